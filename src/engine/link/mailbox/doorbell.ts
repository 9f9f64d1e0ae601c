/**
 * Who looks at the mailbox, and how often. Guest and host have no interrupt for each other: news is found by looking. This
 * doorbell looks from Node's event loop; a native one may look from a thread of its own.
 *
 *   expect() ─▶ at once when the caller is done, again and again for a moment: an answer is often there by then
 *     then, and after a look that found something ─▶ all the time, the event loop going round in between
 *       nothing for 4 ms ─▶ every millisecond
 *         nothing for 60 ms, or the guest has said what it had to say and waits for us ─▶ every 8 ms
 *
 * Who spins takes a processor from those who have something to do, such as the debugger that we answer: it is only done while
 * the guest may speak.
 */

import type { Clock, Timer } from '../../core/clock';

/** What a look has found. `ours`: news, and the guest says no more until it is asked. */
export type Found = 'nothing' | 'news' | 'ours';

export type Look = (now: number) => Found;

export interface Doorbell {
  /**
   * Calls `look` again and again, never from within `expect`.
   * @param look Gets the time; does not throw.
   */
  start(look: Look): void;
  /** An answer is on its way: look more often. */
  expect(): void;
  stop(): void;
}

/** Milliseconds. */
const spinning = 4;
const brisk = 60;
const briskPause = 1;
const idlePause = 8;
/** At a time: a turn of the event loop costs more than a look. */
const atATime = 0.05;
/** Without the event loop going round: others wait for it. */
const withoutTurn = 1;

export class PollingDoorbell implements Doorbell {
  readonly #clock: Clock;
  #look: Look | undefined;
  #lastNews = 0;
  #timer: Timer | undefined;
  #turn: NodeJS.Immediate | undefined;
  #soon = false;
  /** How often an answer was expected. */
  #expected = 0;
  #lastTurn = 0;
  #lastRung = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(look: Look): void {
    this.#look = look;
    this.expect();
  }

  expect(): void {
    if (!this.#look) return;
    const now = this.#clock.now();
    this.#lastNews = now;
    this.#expected++;
    this.#timer?.cancel();
    this.#timer = undefined;
    // Whoever has let others have their turn for so long need not do so first.
    if (now - this.#lastRung > withoutTurn) this.#lastTurn = now;
    if (now - this.#lastTurn < withoutTurn) {
      if (this.#soon) return;
      this.#soon = true;
      queueMicrotask(() => {
        this.#soon = false;
        this.#ring();
      });
    } else {
      this.#turn ??= setImmediate(() => this.#onTurn());
    }
  }

  /** Something may have happened: one look, soon; how often it looks depends on what it finds. */
  glance(): void {
    if (this.#look) this.#turn ??= setImmediate(() => this.#onTurn());
  }

  stop(): void {
    this.#look = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    clearImmediate(this.#turn);
    this.#turn = undefined;
  }

  #onTurn(): void {
    this.#turn = undefined;
    this.#lastTurn = this.#clock.now();
    this.#ring();
  }

  #ring(): void {
    let now = this.#clock.now();
    const end = now + atATime;
    do {
      if (!this.#look) return;
      const expected = this.#expected;
      const found = this.#look(now);
      if (found !== 'nothing') {
        // Whoever got the guest's last word may have answered it at once.
        this.#lastNews = found === 'ours' && this.#expected === expected ? -Infinity : now;
        break; // whoever was told of it has his turn
      }
      now = this.#clock.now();
    } while (now < end);
    this.#lastRung = now;
    this.#schedule(now - this.#lastNews);
  }

  #schedule(quiet: number): void {
    // A look may have stopped us, or asked for the next itself.
    if (!this.#look || this.#soon || this.#turn) return;
    if (quiet < spinning) {
      this.#turn = setImmediate(() => this.#onTurn());
      return;
    }
    this.#timer?.cancel();
    this.#timer = this.#clock.after(quiet < brisk ? briskPause : idlePause, () => {
      this.#timer = undefined;
      this.#onTurn();
    });
  }
}
