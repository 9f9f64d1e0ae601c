/**
 * When to look for the mailbox. Looking at an address costs nothing; looking through all of RAM costs a third of a second a
 * gigabyte, so that it is done when there is reason to, and else seldom enough not to be felt.
 *
 *   at first, after a reset, after a mailbox was lost   soon
 *   when the guest announces one                        there, at once
 *   else                                                every now and then: a quarter of a hundredth of the time
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

export class MailboxSearch {
  readonly #finder: MailboxFinder;
  readonly #stopped = new AbortController();
  /** Ends the look under way. */
  #look = new AbortController();
  #announced: bigint | undefined;
  #due = 0;
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
    this.#due = this.clock.now() + Math.max(soon, this.#backOff - firstBackOff);
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
    do {
      this.#look = new AbortController();
      const found = await this.#find(AbortSignal.any([signal, this.#look.signal]));
      if (found && !signal.aborted) await this.hooks.onFound(found);
      await this.#untilDue();
    } while (!signal.aborted);
  }

  async #find(signal: AbortSignal): Promise<FoundMailbox | undefined> {
    const announced = this.#announced;
    this.#announced = undefined;
    if (announced !== undefined) {
      const found = await this.#finder.living(this.#finder.frameAt(announced), signal);
      if (found) return found;
    }
    const started = this.clock.now();
    const frames = await this.#finder.scan(signal);
    const now = this.clock.now();
    this.#due = now + Math.min(Math.max(shortestPause, idleParts * (now - started)), longestPause);
    const found = await this.#finder.living(frames, signal);
    if (!found && !signal.aborted) this.hooks.onNone(this.#finder.failures(frames));
    return found;
  }

  /** Until the time has come, or there is an announcement. */
  async #untilDue(): Promise<void> {
    for (;;) {
      const now = this.clock.now();
      if (this.#stopped.signal.aborted) return;
      if (this.#pausedSince === undefined && (this.#announced !== undefined || now >= this.#due)) return;
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
