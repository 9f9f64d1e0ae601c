/**
 * A companion pipe of a session, from its opening to its end: WinDbg on the same kernel. Who drives it is engine/companion's
 * business; here the session takes part as the host, and its user hears of it: by lines in the console, and by an event that is
 * none of DAP's, `vmkd/companion`, { pipe, windbg: 'absent' | 'attached', driver: 'windbg' | 'session' | 'nobody' }, or
 * { pipe: null } when there is none any more.
 *
 *   KernelTarget ── stops that are shown ──▶ Companion ◀── pipe ── WinDbg
 *        ▲                                       │
 *        └── gives away, takes back ◀── hand-over, or WinDbg is gone
 */

import { systemClock } from '../engine/core/clock';
import { asVmkdError } from '../engine/core/errors';
import { Mutex } from '../engine/core/mutex';
import { Companion } from '../engine/companion/companion';
import { readCertain, type Found, type MemorySource } from '../engine/companion/memorySource';
import type { Ownership } from '../engine/companion/ownership';
import { attachText, pipeFor } from '../engine/companion/pipePlace';
import { pipeEndpoint, servePipe } from '../engine/companion/servePipe';
import type { LinkEndpoint } from '../engine/link/link';
import { parseListenSpec, type ListenSpec } from '../engine/link/spec';
import type { TraceWriter } from '../engine/link/trace';
import { withPlace } from '../engine/kd/stateChange';
import type { KdPacket } from '../engine/kd/packet';
import type { KernelTarget } from '../engine/target/kernelTarget';
import type { Stop } from '../engine/target/target';
import type { OwnEvents } from '../protocol/ownRequests';
import { errorText } from './errors';
import type { Session } from './session';

/** Bytes of code that a stop shows. */
const shownCode = 16;

interface SessionPipe {
  readonly session: Session;
  /** The kernel that it leads to. */
  readonly target: KernelTarget;
  readonly place: ListenSpec;
  /** Records what passes it. */
  readonly trace: TraceWriter | undefined;
  /** It has ended by itself. */
  readonly onGone: () => void;
}

export class SessionCompanion {
  readonly #companion: Companion;
  readonly #session: Session;
  readonly #target: KernelTarget;
  readonly #place: ListenSpec;
  readonly #closing = new AbortController();
  /** One hand-over at a time. */
  readonly #turn = new Mutex();
  readonly #unfollow: () => void;
  readonly #serving: Promise<void>;
  /** The last stop that the user was shown. */
  #shown: Stop | undefined;

  /** Opens it. @throws link-in-use, link-denied, link-failed, link-bad-spec */
  static async open(options: SessionPipe): Promise<SessionCompanion> {
    const endpoint = pipeEndpoint(options.place, systemClock, (error) =>
      options.session.output.line('important', errorText(error)),
    );
    try {
      await endpoint.listen?.();
    } catch (thrown) {
      await endpoint.dispose();
      throw thrown;
    }
    return new SessionCompanion(options, endpoint);
  }

  private constructor({ session, target, place, trace, onGone }: SessionPipe, endpoint: LinkEndpoint) {
    this.#session = session;
    this.#target = target;
    this.#place = place;
    this.#companion = new Companion({
      clock: systemClock,
      hasHost: true,
      observer: {
        onChange: (now, before) => this.#onChange(now, before),
        onWish: () =>
          this.#say('WinDbg wants the kernel to stop. Pause it, or hand it over with “.kernel give”.'),
        onTouched: () => {
          target.execution.othersChanged();
          session.contexts.forget();
          session.memoryViews.touched();
          session.invalidateSoon(['stacks', 'variables']);
        },
        onError: (error) => session.output.line('stderr', errorText(error)),
      },
    });
    this.#unfollow = target.onState.add((state) => {
      if (state.kind === 'stopped') this.#show(state.stop);
      else this.#shown = undefined;
    });
    this.#companion.follow({ client: target.live.client, memory: sourceOf(target, this.#companion) });
    if (target.state.kind === 'stopped') this.#show(target.state.stop);
    this.#serving = servePipe(endpoint, {
      companion: this.#companion,
      clock: systemClock,
      signal: this.#closing.signal,
      ...(trace && { trace }),
    })
      .catch((thrown: unknown) => {
        session.output.line('important', `The companion pipe is gone. ${errorText(asVmkdError(thrown))}`);
        this.stop().then(onGone, (error: unknown) =>
          session.output.line('important', errorText(asVmkdError(error))),
        );
      })
      .finally(() => endpoint.dispose());
    this.#say(`WinDbg may attach: ${this.text}`);
    this.#tell(this.#companion.now);
  }

  /** How WinDbg attaches. */
  get text(): string {
    return attachText(this.#place);
  }

  /** For the kernel's servant. */
  relay(packet: KdPacket): Promise<KdPacket | undefined> | undefined {
    return this.#companion.relay(packet);
  }

  /** Who drives, for people. */
  get driver(): string {
    return this.#companion.now.owner.kind === 'peer'
      ? 'WinDbg drives the kernel.'
      : 'This session drives the kernel.';
  }

  /** WinDbg drives from now on. @throws companion-absent, target-did-not-stop; then this session does */
  give(): Promise<void> {
    return this.#turn.run(async () => {
      this.#companion.mustHavePeer();
      if (this.#target.execution.looksOn) return;
      await this.#giveAway();
      this.#companion.give();
      this.#say('WinDbg drives the kernel. “.kernel take” takes it back.');
    });
  }

  /** This session drives from now on. @throws target-did-not-stop; then WinDbg does */
  take(): Promise<void> {
    return this.#turn.run(() => this.#take());
  }

  /**
   * There is no pipe any more. WinDbg is shown out once this session drives, and has nothing in the kernel then.
   * @throws target-did-not-stop; then all is as it was
   */
  stop(): Promise<void> {
    return this.#turn.run(async () => {
      if (this.#hasKernel) await this.#take();
      await this.close();
      this.#session.events.send('vmkd/companion', {
        pipe: null,
      } satisfies OwnEvents['vmkd/companion']);
      this.#say('There is no companion pipe any more.');
    });
  }

  /**
   * The session is over. If WinDbg is there, the kernel is its own from now on.
   * @returns Whether it is; else the kernel is still to be let go. @throws target-did-not-stop
   */
  leave(): Promise<boolean> {
    return this.#turn.run(async () => {
      if (!this.#hasKernel || !this.#companion.hasPeer) return false;
      if (!this.#target.execution.looksOn) await this.#giveAway();
      this.#companion.hostLeft();
      return true;
    });
  }

  /** Waits until WinDbg is gone, or for the signal; then the kernel is let go. To be called after `leave`. */
  async outlive(signal: AbortSignal): Promise<void> {
    const { execution } = this.#target;
    if (!execution.looksOn) return;
    if (this.#companion.hasPeer && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#whenAlone = resolve;
        signal.addEventListener('abort', () => resolve());
      });
    }
    this.#companion.close();
    await this.#companion.settled();
    if (!this.#hasKernel) return;
    await execution.takeBack(() => this.#removePeerBreakpoints());
    await execution.release();
  }

  #whenAlone: () => void = () => undefined;

  async close(): Promise<void> {
    this.#unfollow();
    this.#closing.abort();
    this.#companion.close();
    await this.#serving;
  }

  // --- what happens

  #onChange(now: Ownership, before: Ownership): void {
    const [isThere, wasThere] = [hasPeer(now), hasPeer(before)];
    if (isThere !== wasThere) {
      if (!isThere) this.#whenAlone();
      if (this.#session.phase === 'ended') return;
      this.#say(isThere ? 'WinDbg is attached to the companion pipe.' : 'WinDbg is gone.');
    }
    if (now.owner.kind !== before.owner.kind || isThere !== wasThere) this.#tell(now);
    if (!isThere && before.owner.kind === 'peer' && now.owner.kind === 'host') this.#inherit();
  }

  /** The one that drove is gone. */
  #inherit(): void {
    this.#turn
      .run(async () => {
        const { execution } = this.#target;
        if (!execution.looksOn) return;
        await this.#companion.settled();
        await execution.takeBack(() => this.#removePeerBreakpoints());
        this.#say('This session drives the kernel.');
      })
      .catch((thrown: unknown) => this.#session.output.line('important', errorText(asVmkdError(thrown))));
  }

  async #take(): Promise<void> {
    const { execution, live } = this.#target;
    if (!execution.looksOn) return;
    await this.#companion.take();
    try {
      await execution.takeBack(() => this.#companion.breakpoints.sleep(live.client));
    } catch (thrown) {
      if (this.#companion.hasPeer) this.#companion.give();
      throw thrown;
    }
    this.#say('This session drives the kernel.');
  }

  async #giveAway(): Promise<void> {
    const { state, execution, live } = this.#target;
    const ran = state.kind === 'running';
    await execution.giveAway(async () => {
      // One that is at a stop sets them itself when it goes on.
      if (ran) await this.#companion.breakpoints.wake(live.client);
    });
  }

  /** All that is in KD's table is its own: those of this session sleep. */
  async #removePeerBreakpoints(): Promise<void> {
    this.#companion.breakpoints.forget();
    await this.#target.live.breakpoints.removeAll();
  }

  /** WinDbg is shown the stop that the user is shown: where the kernel goes on, without int3s of ours. */
  #show(stop: Stop): void {
    this.#shown = stop;
    const { live, memory, machine } = this.#target;
    const { client } = live;
    if (client.state.kind !== 'stopped') return;
    const payload = client.stopPayload;
    const { processor, programCounter } = stop;
    if (client.state.change.processor !== processor) {
      this.#companion.hostStopped(payload);
      return;
    }
    memory
      .readPartial(programCounter, shownCode)
      .then((code) => {
        if (this.#shown === stop)
          this.#companion.hostStopped(withPlace(payload, machine, programCounter, code));
      })
      .catch(() => undefined);
  }

  get #hasKernel(): boolean {
    const { kind } = this.#target.live.client.state;
    return kind === 'stopped' || kind === 'running';
  }

  #say(line: string): void {
    this.#session.output.line('console', line);
  }

  #tell(now: Ownership): void {
    this.#session.events.send('vmkd/companion', {
      pipe: this.text,
      windbg: hasPeer(now) ? 'attached' : 'absent',
      driver: ({ peer: 'windbg', host: 'session', nobody: 'nobody' } as const)[now.owner.kind],
    } satisfies OwnEvents['vmkd/companion']);
  }
}

const hasPeer = ({ peer }: Ownership): boolean => peer.kind !== 'absent' && peer.kind !== 'mute';

/** A plain name stands for the usual place. @throws link-bad-spec, link-denied */
export function companionPlace(place: string): ListenSpec {
  if (!/[:/\\]/.test(place)) return pipeFor(place);
  return parseListenSpec(place, '“companion” wants a name, or a link that listens');
}

/** Guest RAM where it is; else what the session shows, while it drives: its own int3s must not be seen. */
function sourceOf(target: KernelTarget, companion: Companion): MemorySource {
  const { memory, guestMemory } = target;
  return {
    readVirtual(address, length): Found | Promise<Found> {
      const certain = readCertain(guestMemory, address, length);
      if (certain !== undefined || companion.now.owner.kind !== 'host') return certain;
      return memory.readPartial(address, length);
    },
    readPhysical: (address, length) => guestMemory.readPhysical(address, length),
  };
}
