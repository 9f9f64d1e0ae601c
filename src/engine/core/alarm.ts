/**
 * A time limit that is set and lifted again and again, and hardly ever reached: each packet on a link has one. Making a timer
 * costs more than that is worth, so one that runs already serves: if it comes too early, it is set for the rest.
 *
 *   set 600 ─── lift ── set 600 ───── lift ── set 600 ──────────────────▶ action
 *   timer 600 ─────────────────────────▶ early: timer for the rest ─────▶
 *
 * Invariants: at most one timer runs; the action is called once for each `set` that is neither lifted nor replaced, and not
 * before its time. A timer may still run when nothing is due, until `stop`.
 */

import type { Clock, Timer } from './clock';

export class Alarm {
  #action: (() => void) | undefined;
  /** When it is due, on the clock. */
  #due = 0;
  #timer: Timer | undefined;
  /** What was due when the timer was set. */
  #comes = 0;

  constructor(private readonly clock: Clock) {}

  /** Calls `action` after so many milliseconds; what was set before is replaced. */
  set(milliseconds: number, action: () => void): void {
    this.#action = action;
    this.#due = this.clock.now() + milliseconds;
    if (this.#timer !== undefined && this.#comes <= this.#due) return;
    this.#timer?.cancel();
    this.#start(milliseconds);
  }

  lift(): void {
    this.#action = undefined;
  }

  /** As `lift`, and no timer runs any more. */
  stop(): void {
    this.lift();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #start(milliseconds: number): void {
    this.#comes = this.#due;
    this.#timer = this.clock.after(milliseconds, () => this.#onTimer());
  }

  #onTimer(): void {
    this.#timer = undefined;
    const action = this.#action;
    if (action === undefined) return;
    if (this.#comes < this.#due) {
      this.#start(Math.max(0, this.#due - this.clock.now()));
      return;
    }
    this.#action = undefined;
    action();
  }
}
