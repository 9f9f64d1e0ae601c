/**
 * When to look for the mailbox. Looking at an address costs nothing; looking through all of RAM costs a third of a second a
 * gigabyte, so that it is done when there is reason to, and else seldom enough not to be felt.
 *
 *   at first, after a reset, after a mailbox was lost   everywhere, soon
 *   when the guest announces one                        there, at once
 *   where one was found before                          there, every five seconds
 *   else                                                everywhere, every now and then: a quarter of a hundredth of the time
 *
 * Invariant: one look at a time; `onFound` is awaited before the next.
 */

import type { Clock } from '../../core/clock';
import { asVmkdError, type VmkdError } from '../../core/errors';
import { MailboxFinder, type FoundMailbox } from './finder';
import type { MailboxRam } from './ram';

export interface SearchHooks {
  /** A living mailbox. Resolves when it is clear what has become of it. */
  onFound(found: FoundMailbox): Promise<void>;
  /** No module lives; these could not start, some perhaps in kernels that were. The newest first; there may be none. */
  onNone(failures: readonly FoundMailbox[]): void;
  /** RAM cannot be read any more. The last call. */
  onLost(error: VmkdError): void;
}

/** Milliseconds. */
const shortestPause = 5000;
const longestPause = 120_000;
const soon = 50;
/** A mailbox that was left again and again is not run after. */
const longestBackOff = 4000;
const firstBackOff = 250;
/** After that long in use, a loss is the first again. */
const calm = 3000;
/** Of the time, how many parts are spent between two scans for one that a scan takes. */
const idleParts = 400;
const mostKnown = 4;

export class MailboxSearch {
  readonly #finder: MailboxFinder;
  readonly #stopped = new AbortController();
  /** Ends the look under way. */
  #look = new AbortController();
  #announced: bigint | undefined;
  /** Frames where one was announced or found last: what was damaged, or left for a while, may be there again. */
  #known: readonly number[] = [];
  #due = 0;
  /** When all of RAM is looked through. */
  #scanDue = 0;
  #backOff = firstBackOff;
  #pausedSince: number | undefined;
  #wake: () => void = () => undefined;

  constructor(
    ram: MailboxRam,
    private readonly clock: Clock,
    private readonly hooks: SearchHooks,
  ) {
    this.#finder = new MailboxFinder(ram, clock);
  }

  start(): void {
    this.#run().catch((thrown: unknown) => {
      if (!this.#stopped.signal.aborted) this.hooks.onLost(asVmkdError(thrown));
    });
  }

  stop(): void {
    this.#stopped.abort();
    this.#wake();
  }

  /** There, at once. */
  lookAt(address: bigint): void {
    this.#announced = address;
    this.#look.abort();
    this.#wake();
  }

  /** Everywhere, soon; less soon each time. */
  lookSoon(): void {
    this.#resume();
    this.#due = this.#scanDue = this.clock.now() + Math.max(soon, this.#backOff - firstBackOff);
    this.#backOff = Math.min(2 * this.#backOff, longestBackOff);
    this.#wake();
  }

  /** When there is time. */
  lookLater(): void {
    this.#resume();
    this.#due = this.clock.now() + shortestPause;
    this.#wake();
  }

  /** Not while a mailbox is in use. */
  pause(): void {
    this.#pausedSince = this.clock.now();
  }

  #resume(): void {
    const used = this.#pausedSince === undefined ? 0 : this.clock.now() - this.#pausedSince;
    this.#pausedSince = undefined;
    if (used > calm) this.#backOff = firstBackOff;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (await this.#untilDue()) {
      this.#look = new AbortController();
      const found = await this.#find(AbortSignal.any([signal, this.#look.signal]));
      if (found) await this.hooks.onFound(found);
    }
  }

  async #find(signal: AbortSignal): Promise<FoundMailbox | undefined> {
    // A look that is due later, and everywhere, is not put off by an announcement.
    if (this.#due <= this.clock.now()) this.#due = this.clock.now() + shortestPause;
    const announced = this.#announced;
    this.#announced = undefined;
    if (announced !== undefined) {
      const there = this.#finder.frameAt(announced);
      this.#known = [...new Set([...there, ...this.#known])].slice(0, mostKnown);
      const found = await this.#finder.living(there, signal);
      if (found) return found;
    }
    const isEverywhere = this.clock.now() >= this.#scanDue;
    const frames = new Set([...this.#known, ...(isEverywhere ? await this.#scan(signal) : [])]);
    const found = await this.#finder.living([...frames], signal);
    if (found) this.#known = [found.description.pages[0]!];
    else if (isEverywhere && !signal.aborted) this.hooks.onNone(this.#finder.failures([...frames]));
    return found;
  }

  /** Frames of all pages that begin like a mailbox. The next time is not soon, unless that is wanted meanwhile. */
  async #scan(signal: AbortSignal): Promise<readonly number[]> {
    const due = this.#scanDue;
    const started = this.clock.now();
    const frames = await this.#finder.scan(signal);
    const now = this.clock.now();
    if (this.#scanDue === due) {
      const pause = Math.min(Math.max(shortestPause, idleParts * (now - started)), longestPause);
      // Whoever announces all the time has no more than half of the time.
      this.#scanDue = now + (signal.aborted ? now - started : pause);
    }
    return frames;
  }

  /** Until the time has come, or there is an announcement. @returns false: no more, it was stopped */
  async #untilDue(): Promise<boolean> {
    for (;;) {
      const now = this.clock.now();
      if (this.#stopped.signal.aborted) return false;
      if (this.#pausedSince === undefined && (this.#announced !== undefined || now >= this.#due)) return true;
      await new Promise<void>((resolve) => {
        const wait = this.#pausedSince === undefined ? Math.max(1, this.#due - now) : shortestPause;
        const timer = this.clock.after(wait, resolve);
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  }
}
