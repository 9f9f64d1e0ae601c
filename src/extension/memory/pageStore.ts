/**
 * Pages of memory as a view has read them, and what of them has changed since the stop before.
 *
 *   unknown ──wanted──▶ asked ──received──▶ there ──stop──▶ old: still shown, asked for again, compared with what comes
 *
 * Invariants: a page is asked for once at a time; what was asked for before a stop and comes after it counts as old; at most
 * `mostPages` are kept, those unused for longest go first.
 */

export const pageBytes = 4096;

/** 16 MiB. */
const mostPages = 4096;
/** What one request may ask for. */
const mostAsked = 16;

export interface Page {
  /** undefined: it cannot be read. */
  bytes: Uint8Array | undefined;
  /** Of the stop before, if it was read then. */
  before: Uint8Array | undefined;
  view: DataView | undefined;
  /** Of the stop in which it was read. */
  epoch: number;
}

export interface Run {
  /** Number of the first page: address / 4096. */
  readonly page: bigint;
  readonly count: number;
}

export class PageStore {
  readonly #pages = new Map<bigint, Page>();
  readonly #asked = new Map<bigint, number>();
  #epoch = 0;

  /** A new stop, or memory was written: all that is known is old. @param epoch Counts stops; the same: bytes were written. */
  renew(epoch: number): void {
    this.#asked.clear();
    for (const page of this.#pages.values()) page.epoch = -1;
    if (epoch === this.#epoch) return;
    for (const page of this.#pages.values()) page.before = page.bytes;
    this.#epoch = epoch;
  }

  /** Another kernel: nothing of this is true. */
  clear(): void {
    this.#pages.clear();
    this.#asked.clear();
  }

  page(number: bigint): Page | undefined {
    return this.#pages.get(number);
  }

  /** Pages of [from, to] that must be asked for, in runs; they count as asked for. */
  wanted(from: bigint, to: bigint): Run[] {
    const runs: { page: bigint; count: number }[] = [];
    for (let number = from; number <= to; number++) {
      const page = this.#pages.get(number);
      if (this.#asked.has(number) || page?.epoch === this.#epoch) {
        if (page !== undefined) this.#touch(number, page);
        continue;
      }
      this.#asked.set(number, this.#epoch);
      const last = runs.at(-1);
      if (last !== undefined && last.page + BigInt(last.count) === number && last.count < mostAsked)
        last.count++;
      else runs.push({ page: number, count: 1 });
    }
    return runs;
  }

  /** @param bytes From the start of the run on, as far as there are any. @param unreadable Bytes behind them that are not there */
  received({ page: first, count }: Run, bytes: Uint8Array, unreadable: number): void {
    const known = Math.min(count, Math.ceil((bytes.length + unreadable) / pageBytes));
    for (let at = 0; at < count; at++) {
      const number = first + BigInt(at);
      const askedIn = this.#asked.get(number);
      this.#asked.delete(number);
      // Of what is neither there nor said to be absent, nothing is known.
      if (at < known && askedIn === this.#epoch)
        this.#take(number, bytes.slice(at * pageBytes, (at + 1) * pageBytes));
    }
    this.#bound();
  }

  /** It could not be asked for; it may be asked for again. */
  refused({ page, count }: Run): void {
    for (let at = 0; at < count; at++) this.#asked.delete(page + BigInt(at));
  }

  /** Whether the byte is another than in the stop before. */
  hasChanged(page: Page, offset: number): boolean {
    return (
      page.before !== undefined && page.bytes !== undefined && page.before[offset] !== page.bytes[offset]
    );
  }

  #take(number: bigint, bytes: Uint8Array): void {
    const before = this.#pages.get(number)?.before;
    const whole = bytes.length === pageBytes ? bytes : undefined;
    const view = whole && new DataView(whole.buffer, whole.byteOffset, pageBytes);
    this.#pages.delete(number);
    this.#pages.set(number, { bytes: whole, before, view, epoch: this.#epoch });
  }

  #touch(number: bigint, page: Page): void {
    this.#pages.delete(number);
    this.#pages.set(number, page);
  }

  #bound(): void {
    for (const number of this.#pages.keys()) {
      if (this.#pages.size <= mostPages) return;
      this.#pages.delete(number);
    }
  }
}
