/**
 * The companion pipe of a session: WinDbg on the same kernel. Who drives it is engine/companion's business; here the session
 * takes part as the host, and its user hears of it: by lines in the console, and by an event that is none of DAP's,
 * `vmkd/companion`, { pipe, windbg: 'absent' | 'attached', driver: 'windbg' | 'session' | 'nobody' }.
 *
 *   KernelTarget ── stops that are shown ──▶ Companion ◀── pipe ── WinDbg
 *        ▲                                       │
 *        └── gives away, takes back ◀── hand-over, or WinDbg is gone
 */

import { systemClock } from '../engine/core/clock';
import { VmkdError, asVmkdError } from '../engine/core/errors';
import { Mutex } from '../engine/core/mutex';
import { Companion } from '../engine/companion/companion';
import { readCertain, type Found, type MemorySource } from '../engine/companion/memorySource';
import type { Ownership } from '../engine/companion/ownership';
import { attachText, pipeFor } from '../engine/companion/pipePlace';
import { pipeEndpoint, servePipe } from '../engine/companion/servePipe';
import { parseListenSpec, type ListenSpec } from '../engine/link/spec';
import type { TraceWriter } from '../engine/link/trace';
import { withPlace } from '../engine/kd/stateChange';
import type { KdPacket } from '../engine/kd/packet';
import type { KernelTarget } from '../engine/target/kernelTarget';
import type { Stop } from '../engine/target/target';
import { errorText } from './errors';
import type { Session } from './session';

/** Bytes of code that a stop shows. */
const shownCode = 16;

export class SessionCompanion {
  readonly #companion: Companion;
  readonly #pipe: ListenSpec;
  readonly #closing = new AbortController();
  /** One hand-over at a time. */
  readonly #turn = new Mutex();
  #target: KernelTarget | undefined;
  #serving: Promise<void> | undefined;
  /** The last stop that the user was shown. */
  #shown: Stop | undefined;

  /**
   * @param place What the user wrote: a name, or a link that listens. @param trace Records the pipe.
   * @throws link-bad-spec, link-denied
   */
  constructor(
    private readonly session: Session,
    place: string,
    private readonly trace: TraceWriter | undefined,
  ) {
    this.#pipe = pipeOf(place);
    this.#companion = new Companion({
      clock: systemClock,
      hasHost: true,
      observer: {
        onChange: (now, before) => this.#onChange(now, before),
        onWish: () =>
          this.#say('WinDbg wants the kernel to stop. Pause it, or hand it over with “.kernel give”.'),
        onTouched: () => {
          this.#target?.execution.othersChanged();
          session.contexts.forget();
          session.memoryViews.allChanged();
          session.invalidateSoon();
        },
        onError: (error) => session.output.line('stderr', errorText(error)),
      },
    });
  }

  /** For the kernel's servant. */
  relay(packet: KdPacket): Promise<KdPacket | undefined> | undefined {
    return this.#companion.relay(packet);
  }

  /** From now on the pipe leads to this kernel. */
  follow(target: KernelTarget): void {
    this.#target = target;
    target.onState.add((state) => {
      if (state.kind === 'stopped') this.#show(target, state.stop);
      else this.#shown = undefined;
    });
    this.#companion.follow({ client: target.live.client, memory: sourceOf(target, this.#companion) });
    if (target.state.kind === 'stopped') this.#show(target, target.state.stop);
    const endpoint = pipeEndpoint(this.#pipe, systemClock, (error) =>
      this.session.output.line('important', errorText(error)),
    );
    this.#serving = servePipe(endpoint, {
      companion: this.#companion,
      clock: systemClock,
      signal: this.#closing.signal,
      ...(this.trace && { trace: this.trace }),
    })
      .catch((thrown: unknown) => {
        this.session.output.line(
          'important',
          `There is no companion pipe. ${errorText(asVmkdError(thrown))}`,
        );
      })
      .finally(() => endpoint.dispose());
    this.#say(`WinDbg may attach: ${attachText(this.#pipe)}`);
    this.#tell(this.#companion.now);
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
      const target = this.#mustHaveTarget();
      this.#companion.mustHavePeer();
      if (target.execution.looksOn) return;
      await this.#giveAway(target);
      this.#companion.give();
      this.#say('WinDbg drives the kernel. “.kernel take” takes it back.');
    });
  }

  /** This session drives from now on. @throws target-did-not-stop; then WinDbg does */
  take(): Promise<void> {
    return this.#turn.run(async () => {
      const { execution, live } = this.#mustHaveTarget();
      if (!execution.looksOn) return;
      await this.#companion.take();
      try {
        await execution.takeBack(() => this.#companion.breakpoints.sleep(live.client));
      } catch (thrown) {
        if (this.#companion.hasPeer) this.#companion.give();
        throw thrown;
      }
      this.#say('This session drives the kernel.');
    });
  }

  /**
   * The session is over. If WinDbg is there, the kernel is its own from now on.
   * @returns Whether it is; else the kernel is still to be let go. @throws target-did-not-stop
   */
  leave(): Promise<boolean> {
    return this.#turn.run(async () => {
      const target = this.#target;
      const { kind } = target?.live.client.state ?? { kind: 'idle' };
      const isThere = kind === 'stopped' || kind === 'running';
      if (target === undefined || !isThere || !this.#companion.hasPeer) return false;
      if (!target.execution.looksOn) await this.#giveAway(target);
      this.#companion.hostLeft();
      return true;
    });
  }

  /** Waits until WinDbg is gone, or for the signal; then the kernel is let go. To be called after `leave`. */
  async outlive(signal: AbortSignal): Promise<void> {
    const target = this.#target;
    if (target?.execution.looksOn !== true) return;
    if (this.#companion.hasPeer && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#whenAlone = resolve;
        signal.addEventListener('abort', () => resolve());
      });
    }
    this.#companion.close();
    await this.#companion.settled();
    const { kind } = target.live.client.state;
    if (kind === 'running' || kind === 'stopped') {
      await target.execution.takeBack(() => this.#removePeerBreakpoints(target));
      await target.execution.release();
    }
  }

  #whenAlone: () => void = () => undefined;

  async close(): Promise<void> {
    this.#closing.abort();
    this.#companion.close();
    await this.#serving;
  }

  // --- what happens

  #onChange(now: Ownership, before: Ownership): void {
    const [isThere, wasThere] = [hasPeer(now), hasPeer(before)];
    if (isThere !== wasThere) {
      if (!isThere) this.#whenAlone();
      if (this.session.phase === 'ended') return;
      this.#say(isThere ? 'WinDbg is attached to the companion pipe.' : 'WinDbg is gone.');
    }
    if (now.owner.kind !== before.owner.kind || isThere !== wasThere) this.#tell(now);
    if (!isThere && before.owner.kind === 'peer' && now.owner.kind === 'host') this.#inherit();
  }

  /** The one that drove is gone. */
  #inherit(): void {
    this.#turn
      .run(async () => {
        const target = this.#mustHaveTarget();
        if (!target.execution.looksOn) return;
        await this.#companion.settled();
        await target.execution.takeBack(() => this.#removePeerBreakpoints(target));
        this.#say('This session drives the kernel.');
      })
      .catch((thrown: unknown) => this.session.output.line('important', errorText(asVmkdError(thrown))));
  }

  async #giveAway({ state, execution, live }: KernelTarget): Promise<void> {
    const { client } = live;
    const ran = state.kind === 'running';
    await execution.giveAway(async () => {
      // One that is at a stop sets them itself when it goes on.
      if (ran) await this.#companion.breakpoints.wake(client);
    });
  }

  /** All that is in KD's table is its own: those of this session sleep. */
  async #removePeerBreakpoints({ live }: KernelTarget): Promise<void> {
    this.#companion.breakpoints.forget();
    await live.breakpoints.removeAll();
  }

  /** WinDbg is shown the stop that the user is shown: where the kernel goes on, without int3s of ours. */
  #show(target: KernelTarget, stop: Stop): void {
    this.#shown = stop;
    const { client } = target.live;
    if (client.state.kind !== 'stopped') return;
    const payload = client.stopPayload;
    const { processor, programCounter } = stop;
    if (client.state.change.processor !== processor) {
      this.#companion.hostStopped(payload);
      return;
    }
    target.memory
      .readPartial(programCounter, shownCode)
      .then((code) => {
        if (this.#shown === stop)
          this.#companion.hostStopped(withPlace(payload, target.machine, programCounter, code));
      })
      .catch(() => undefined);
  }

  #mustHaveTarget(): KernelTarget {
    if (this.#target === undefined) throw new VmkdError('target-not-attached', 'There is no kernel yet');
    return this.#target;
  }

  #say(line: string): void {
    this.session.output.line('console', line);
  }

  #tell(now: Ownership): void {
    this.session.events.send('vmkd/companion', {
      pipe: attachText(this.#pipe),
      windbg: hasPeer(now) ? 'attached' : 'absent',
      driver: { peer: 'windbg', host: 'session', nobody: 'nobody' }[now.owner.kind],
    });
  }
}

const hasPeer = ({ peer }: Ownership): boolean => peer.kind !== 'absent' && peer.kind !== 'mute';

/** A plain name stands for the usual place. */
function pipeOf(place: string): ListenSpec {
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
