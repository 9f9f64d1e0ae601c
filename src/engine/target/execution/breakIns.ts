/**
 * Break-ins: sent until whoever waits for a stop has one. Each stops the target once, when the guest gets round to it, so one
 * that was sent too often, or by a session that is no more, stops it some time later. That is told from one that is wanted.
 */

import { systemClock, type Clock, type Timer } from '../../core/clock';
import type { KdClient } from '../../kd/client';

/** Milliseconds between two break-ins to a target that does not stop. */
const interval = 1500;
/** Milliseconds after a continue within which a break-in too many shows. */
const strayWindow = 1000;

export class BreakIns {
  #timer: Timer | undefined;
  /** Until then one may be that of a session before this one: it shows when the target first runs. */
  #foreignUntil = Infinity;
  /** Until then one of ours may show that was sent too often. */
  #ownUntil = 0;

  /** @param isAwaited Whether anybody still waits for a stop. */
  constructor(
    private readonly client: KdClient,
    private readonly isAwaited: () => boolean,
    readonly clock: Clock = systemClock,
  ) {}

  /** Sends them until nobody waits any more. One that is on its way is given its time. */
  call(): void {
    if (this.#timer !== undefined || !this.isAwaited()) return;
    const send = (again: boolean): void => {
      this.#timer = undefined;
      if (!this.isAwaited()) return;
      const { state, unspentBreakIns } = this.client;
      // A stop that is being decided on serves who waits, or is followed by another call.
      if (state.kind === 'running' && (again || unspentBreakIns === 0)) this.client.callBreakIn();
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

  /** Milliseconds until none can come any more that nobody wants. */
  get stillMayCome(): number {
    const own = this.client.unspentBreakIns > 0 ? this.#ownUntil : 0;
    return Math.max(0, Math.max(own, this.#foreignUntil) - this.clock.now());
  }
}
