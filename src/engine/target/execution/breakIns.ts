/**
 * Break-ins: sent until whoever waits for a stop has one. Each stops the target once, when the guest gets round to it, so one
 * that was sent too often, or by a session that is no more, stops it some time later: when its machine, which may have been at
 * rest, goes on. That is told from one that is wanted.
 *
 * How many are on their way is not certain: a stopped target takes several for one. So they are counted down by the stops that
 * they make, and never up by time.
 */

import { systemClock, type Clock, type Timer } from '../../core/clock';
import type { KdClient } from '../../kd/client';

/** Milliseconds between two break-ins to a target that does not stop. */
const interval = 1500;
/** Milliseconds after a continue within which a break-in too many shows. */
const strayWindow = 1000;

export class BreakIns {
  #timer: Timer | undefined;
  /** The target stood when one should have been sent. */
  #stood = false;
  /** Until then one may be that of a session before this one: it shows when the target first runs. */
  #foreignUntil = Infinity;
  /** Until then one of ours may show that was sent too often. */
  #ownUntil = 0;
  #sentAt = -Infinity;

  /** @param isAwaited Whether anybody still waits for a stop. */
  constructor(
    private readonly client: Pick<KdClient, 'state' | 'callBreakIn' | 'unspentBreakIns'>,
    private readonly isAwaited: () => boolean,
    readonly clock: Clock = systemClock,
  ) {}

  /** Sends them until nobody waits any more. One that is on its way is given its time. */
  call(): void {
    const isRunning = (): boolean => this.client.state.kind === 'running';
    if (!this.isAwaited() || (this.#timer !== undefined && !(this.#stood && isRunning()))) return;
    this.stop();
    const send = (again: boolean): void => {
      this.#timer = undefined;
      if (!this.isAwaited()) return;
      // A stop that is being decided on serves who waits, or is followed by another call.
      this.#stood = !isRunning();
      if (!this.#stood && (again || !this.mayBeOwn)) {
        this.client.callBreakIn();
        this.#sentAt = this.clock.now();
      }
      this.#timer = this.clock.after(interval, () => send(true));
    };
    send(false);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The target was let go, or found running. */
  targetRuns(): void {
    this.#ownUntil = this.clock.now() + strayWindow;
    if (this.#foreignUntil === Infinity) this.#foreignUntil = this.#ownUntil;
  }

  /** A break-in that we did not send may be somebody's who has gone. */
  get mayBeForeign(): boolean {
    return this.clock.now() < this.#foreignUntil;
  }

  /** One of ours that has not stopped anything was sent lately, or before the target was let go lately. */
  get mayBeOwn(): boolean {
    const until = Math.max(this.#ownUntil, this.#sentAt + interval);
    return this.client.unspentBreakIns > 0 && this.clock.now() < until;
  }

  /** Milliseconds until none can come any more that nobody wants. */
  get stillMayCome(): number {
    const own = this.client.unspentBreakIns > 0 ? this.#ownUntil : 0;
    return Math.max(0, Math.max(own, this.#foreignUntil) - this.clock.now());
  }
}
