/**
 * Who owns the kernel: the state machine behind the companion pipe, as a pure function. docs/companion.md has the rules for
 * people; each row of its table is a way through here.
 *
 *   owner     nobody ◀──────────── peer ◀── gives ── host          the peer is the debugger on the pipe, the host whoever
 *                └──── speaks ──────▶ └── takes ──────▶             shares the kernel with it: the debug adapter, a terminal
 *
 *   kernel    absent ──▶ running ◀──▶ stopped                       as far as the peer may see it: a stop that the host has
 *                                                                  not told anybody of is none
 *
 *   peer      absent ─▶ mute ─▶ waiting ──told──▶ stopped            what the debugger on the pipe takes the kernel for
 *                         first word ▲ ▲             │ the kernel has left that stop, by no doing of the peer's
 *                                    │ └─ goes on ─ behind
 *                                    └── answers ─── parting        it is told that the kernel is gone
 *
 * Invariants: one owner; a debugger that is not waiting is told nothing, for it would not listen; what a debugger is shown as
 * the kernel's state was true when it was shown, and what it asks of a stop that is past is never answered from another; a
 * module's notice that no debugger takes does not hold the kernel up.
 */

/** A stop as the peer is told of it. Each is an object of its own. */
export interface ShownStop {
  /** Of the STATE_CHANGE64 packet. */
  readonly payload: Uint8Array;
  /**
   * notice: a module came or went; good-bye: the kernel shuts down or reboots. A kernel goes on from these if no debugger
   * takes them. From an event it does not.
   */
  readonly kind: 'event' | 'notice' | 'good-bye';
}

export type Owner =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'host' }
  | { readonly kind: 'peer'; readonly hostLooksOn: boolean };

export type KernelView =
  /** @property called The peer wants it to stop when it comes. */
  | { readonly kind: 'absent'; readonly called: boolean }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopped'; readonly stop: ShownStop };

export type PeerView =
  | { readonly kind: 'absent' }
  /** It is connected, and has not said anything that makes sense. */
  | { readonly kind: 'mute' }
  /** It takes the kernel for running. */
  | {
      readonly kind: 'waiting';
      /** The stop that it went on from: it knows of a kernel. */
      readonly left: ShownStop | undefined;
      /** False: it did not acknowledge a notice, and has not been heard of since. */
      readonly answers: boolean;
    }
  /** It is told of the stop that the kernel is in, or knows of it. */
  | { readonly kind: 'stopped'; readonly stop: ShownStop }
  /** It still stands at a stop that the kernel has left. @property missedEnd That kernel is gone. */
  | { readonly kind: 'behind'; readonly stop: ShownStop; readonly missedEnd: boolean }
  /** It is told that the kernel is gone. */
  | { readonly kind: 'parting' };

export interface Ownership {
  readonly owner: Owner;
  readonly kernel: KernelView;
  readonly peer: PeerView;
}

export type Happening =
  | { readonly kind: 'peer-came' }
  /** It has said anything that makes sense. */
  | { readonly kind: 'peer-spoke' }
  | { readonly kind: 'peer-reset' }
  | { readonly kind: 'peer-broke-in' }
  /** It has ordered the kernel to go on, whether that was obeyed or not. */
  | { readonly kind: 'peer-went-on' }
  /** An order of its own has led it from stop to stop: it looks at another processor. */
  | { readonly kind: 'peer-moved' }
  /** It was told something again and again, and never acknowledged it. */
  | { readonly kind: 'peer-unheard' }
  | { readonly kind: 'peer-left' }
  | { readonly kind: 'kernel-stopped'; readonly stop: ShownStop }
  | { readonly kind: 'kernel-ran' }
  /** Reset, powered off, lost: whatever runs next is another one. */
  | { readonly kind: 'kernel-gone' }
  | { readonly kind: 'kernel-came' }
  | { readonly kind: 'host-gives' }
  | { readonly kind: 'host-takes' }
  | { readonly kind: 'host-left' };

export type Consequence =
  | { readonly kind: 'tell'; readonly stop: ShownStop }
  /** @property last The stop that the peer knows of. */
  | { readonly kind: 'tell-end'; readonly last: ShownStop }
  /** What the peer is being told is not so any more. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'break-in' }
  /** The peer wants the kernel to stop, which is the host's to decide. */
  | { readonly kind: 'wish' }
  /** Nobody takes this stop. */
  | { readonly kind: 'let-go'; readonly stop: ShownStop };

/** @param hasHost Somebody shares the kernel with the pipe, and drives it. */
export const beginning = (hasHost: boolean): Ownership => ({
  owner: hasHost ? { kind: 'host' } : { kind: 'nobody' },
  kernel: { kind: 'absent', called: false },
  peer: { kind: 'absent' },
});

export interface Turn {
  readonly now: Ownership;
  readonly consequences: readonly Consequence[];
}

export function turn(before: Ownership, happening: Happening): Turn {
  const first = apply(before, happening);
  const second = meet(first.now);
  return { now: second.now, consequences: [...first.consequences, ...second.consequences] };
}

const turned = (now: Ownership, ...consequences: Consequence[]): Turn => ({ now, consequences });

const freshlyWaiting: PeerView = { kind: 'waiting', left: undefined, answers: true };

function apply(now: Ownership, happening: Happening): Turn {
  const { owner, kernel, peer } = now;
  switch (happening.kind) {
    case 'peer-came':
      return turned({ ...now, peer: { kind: 'mute' } });
    case 'peer-spoke':
      return turned(spoken(now));
    case 'peer-reset':
      return reset(spoken(now));
    case 'peer-broke-in':
      return brokenIn(spoken(now));
    case 'peer-went-on':
      return wentOn(now);
    case 'peer-moved':
      if (kernel.kind !== 'stopped') return turned(now);
      return turned({ ...now, peer: { kind: 'stopped', stop: kernel.stop } });
    case 'peer-unheard':
      return turned({ ...now, peer: unheard(peer) });
    case 'peer-left':
      return turned({
        owner: withoutPeer(owner),
        kernel: kernel.kind === 'absent' ? { kind: 'absent', called: false } : kernel,
        peer: { kind: 'absent' },
      });
    case 'kernel-stopped': {
      const { stop } = happening;
      return turned({ ...now, kernel: { kind: 'stopped', stop }, peer: leftBehind(peer) });
    }
    case 'kernel-ran':
      return turned({ ...now, kernel: { kind: 'running' }, peer: leftBehind(peer) });
    case 'kernel-gone':
      return gone(now);
    case 'kernel-came': {
      const come: Ownership = { ...now, kernel: { kind: 'running' }, peer: leftBehind(peer) };
      return kernel.kind === 'absent' && kernel.called ? brokenIn(come) : turned(come);
    }
    case 'host-gives':
      return turned({ ...lookingAnew(now), owner: { kind: 'peer', hostLooksOn: true } });
    case 'host-takes':
      return turned({ ...now, owner: { kind: 'host' } });
    case 'host-left': {
      const hasPeer = peer.kind !== 'absent' && peer.kind !== 'mute';
      return turned({
        ...lookingAnew(now),
        owner: hasPeer ? { kind: 'peer', hostLooksOn: false } : { kind: 'nobody' },
      });
    }
  }
}

/** Its first word makes a debugger of it, and the owner if there is none. */
function spoken(now: Ownership): Ownership {
  const { owner, peer } = now;
  if (peer.kind === 'mute') {
    const first: Owner = owner.kind === 'nobody' ? { kind: 'peer', hostLooksOn: false } : owner;
    return { ...now, owner: first, peer: freshlyWaiting };
  }
  return peer.kind === 'waiting' && !peer.answers ? { ...now, peer: { ...peer, answers: true } } : now;
}

/** Who waits is told of the stop that there is, also if it went on from it as a looker-on. */
function lookingAnew(now: Ownership): Ownership {
  const { kernel, peer } = now;
  if (peer.kind !== 'waiting' || kernel.kind !== 'stopped') return now;
  return { ...now, peer: { ...peer, left: undefined } };
}

/** It wants to know anew how things stand. A kernel that runs does not answer. */
function reset(now: Ownership): Turn {
  const { kernel, peer } = now;
  if (peer.kind !== 'behind') return turned(lookingAnew(now));
  const left = kernel.kind === 'stopped' || peer.missedEnd ? undefined : peer.stop;
  return turned({ ...now, peer: { kind: 'waiting', left, answers: true } }, { kind: 'silence' });
}

/** To one that stands, or takes the kernel for standing, it means nothing. */
function brokenIn(now: Ownership): Turn {
  const { owner, kernel, peer } = now;
  if (peer.kind !== 'waiting') return turned(now);
  switch (kernel.kind) {
    case 'absent':
      return turned({ ...now, kernel: { kind: 'absent', called: true } });
    case 'stopped':
      return turned({ ...now, peer: freshlyWaiting });
    case 'running':
      return turned(now, { kind: owner.kind === 'peer' ? 'break-in' : 'wish' });
  }
}

function wentOn(now: Ownership): Turn {
  const { owner, peer } = now;
  switch (peer.kind) {
    case 'stopped': {
      // A driver's order that was obeyed would have left the stop behind: this one was given as a looker-on's.
      const left = owner.kind === 'peer' ? undefined : peer.stop;
      return turned({ ...now, peer: { kind: 'waiting', left, answers: true } });
    }
    case 'behind':
      if (peer.missedEnd) return turned({ ...now, peer: { kind: 'parting' } }, tellEnd(peer.stop));
      return turned({ ...now, peer: { kind: 'waiting', left: peer.stop, answers: true } });
    case 'parting':
      return turned({ ...now, peer: freshlyWaiting });
    case 'absent':
    case 'mute':
    case 'waiting':
      return turned(now);
  }
}

const tellEnd = (last: ShownStop): Consequence => ({ kind: 'tell-end', last });

function unheard(peer: PeerView): PeerView {
  switch (peer.kind) {
    case 'stopped':
    case 'behind':
      return { kind: 'waiting', left: peer.stop, answers: false };
    case 'parting':
      return { kind: 'waiting', left: undefined, answers: false };
    case 'waiting':
      return { ...peer, answers: false };
    case 'absent':
    case 'mute':
      return peer;
  }
}

const leftBehind = (peer: PeerView): PeerView =>
  peer.kind === 'stopped' ? { kind: 'behind', stop: peer.stop, missedEnd: false } : peer;

function withoutPeer(owner: Owner): Owner {
  if (owner.kind !== 'peer') return owner;
  return { kind: owner.hostLooksOn ? 'host' : 'nobody' };
}

/** Who waits is told at once, who stands at a stop when it goes on from it; who knew of no kernel, or heard its own good-bye, never. */
function gone(before: Ownership): Turn {
  const now: Ownership = { ...before, kernel: { kind: 'absent', called: false } };
  const { peer } = now;
  switch (peer.kind) {
    case 'stopped':
    case 'behind':
      return turned({
        ...now,
        peer: { kind: 'behind', stop: peer.stop, missedEnd: peer.stop.kind !== 'good-bye' },
      });
    case 'waiting': {
      const { left, answers } = peer;
      if (left === undefined || left.kind === 'good-bye' || !answers)
        return turned({ ...now, peer: { ...peer, left: undefined } });
      return turned({ ...now, peer: { kind: 'parting' } }, tellEnd(left));
    }
    case 'absent':
    case 'mute':
    case 'parting':
      return turned(now);
  }
}

/** What is due, however it came to be so. */
function meet(now: Ownership): Turn {
  const { owner, kernel, peer } = now;
  if (kernel.kind !== 'stopped') return turned(now);
  const { stop } = kernel;
  if (peer.kind === 'waiting' && peer.left !== stop && (peer.answers || stop.kind === 'event'))
    return turned({ ...now, peer: { kind: 'stopped', stop } }, { kind: 'tell', stop });
  // Who is still being told of the end of another kernel is soon free for this one, or given up.
  const isTaken = peer.kind === 'parting' || (peer.kind === 'stopped' && peer.stop === stop);
  if (stop.kind === 'event' || owner.kind === 'host' || isTaken) return turned(now);
  return turned(now, { kind: 'let-go', stop });
}
