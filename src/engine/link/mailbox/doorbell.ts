/**
 * Who looks at the mailbox, and how often. Guest and host have no interrupt for each other: news is found by looking. This
 * doorbell looks from Node's event loop; a native one may look from a thread of its own.
 *
 *   expect(), or a look that found something ─▶ all the time, the event loop going round in between
 *     nothing for 4 ms ─▶ every millisecond
 *       nothing for 60 ms ─▶ every 8 ms
 */

import type { Clock, Timer } from '../../core/clock';

export interface Doorbell {
  /** Calls `look` again and again, never from within `expect`. `look` tells whether there was news, and does not throw. */
  start(look: () => boolean): void;
  /** An answer is on its way: look more often. */
  expect(): void;
  stop(): void;
}

/** Milliseconds. */
const spinning = 4;
const brisk = 60;
const briskPause = 1;
const idlePause = 8;
/** In one turn of the event loop, which costs more than a look: an answer is often there within it. */
const inOneTurn = 0.05;

export class PollingDoorbell implements Doorbell {
  readonly #clock: Clock;
  #look: (() => boolean) | undefined;
  #lastNews = 0;
  #timer: Timer | undefined;
  #turn: NodeJS.Immediate | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(look: () => boolean): void {
    this.#look = look;
    this.expect();
  }

  expect(): void {
    if (!this.#look) return;
    this.#lastNews = this.#clock.now();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#turn ??= setImmediate(() => this.#ring());
  }

  stop(): void {
    this.#look = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    clearImmediate(this.#turn);
    this.#turn = undefined;
  }

  #ring(): void {
    this.#turn = undefined;
    this.#timer = undefined;
    const end = this.#clock.now() + inOneTurn;
    let now: number;
    do {
      if (!this.#look) return;
      const news = this.#look();
      now = this.#clock.now();
      if (news) {
        this.#lastNews = now;
        break; // whoever was told of it has his turn
      }
    } while (now < end && now - this.#lastNews < spinning);
    this.#schedule(now - this.#lastNews);
  }

  #schedule(quiet: number): void {
    // A look may have stopped us, or asked for the next itself.
    if (!this.#look || this.#turn) return;
    if (quiet < spinning) this.#turn = setImmediate(() => this.#ring());
    else this.#timer = this.#clock.after(quiet < brisk ? briskPause : idlePause, () => this.#ring());
  }
}
