/**
 * Pages of memory as a view has read them, and what of them has changed since the kernel stood before.
 *
 *   unknown ──wanted──▶ asked ──received──▶ there ──renew──▶ old: still shown, and asked for again
 *
 * Invariants: a page is asked for once at a time; what was asked for before a `renew` and comes after it is dropped; a page is
 * compared with what was known of it when the kernel last ran on, whether that was read in that stop or in an earlier one; at
 * most `mostPages` are kept, those unused for longest go first.
 */

export const pageBytes = 4096;

/** 16 MiB. */
const mostPages = 4096;
/** What one request may ask for. */
const mostAsked = 16;

export interface Page {
  /** undefined: it cannot be read. */
  readonly bytes: Uint8Array | undefined;
  /** Of the same bytes. */
  readonly view: DataView | undefined;
  /** What it was when the kernel ran on; undefined: nobody knows. */
  before: Uint8Array | undefined;
  /** In which it was read. */
  readonly age: number;
}

export interface Run {
  /** Number of the first page: address / 4096. */
  readonly page: bigint;
  readonly count: number;
  /** In which it was asked for. */
  readonly age: number;
}

export class PageStore {
  readonly #pages = new Map<bigint, Page>();
  readonly #asked = new Set<bigint>();
  /** Counts `renew`. */
  #age = 0;

  /** All that is known is old: the kernel stands again, memory was written, or it runs and may write at any time. */
  renew(): void {
    this.#age++;
    this.#asked.clear();
  }

  /** The kernel runs on: from now on, things are compared with what is known now. */
  depart(): void {
    for (const page of this.#pages.values()) page.before = page.bytes;
  }

  /** Other memory: nothing of this is true. */
  clear(): void {
    this.renew();
    this.#pages.clear();
  }

  page(number: bigint): Page | undefined {
    return this.#pages.get(number);
  }

  /** It was read since the last `renew`. */
  isCurrent({ age }: Page): boolean {
    return age === this.#age;
  }

  /** Pages of [from, to] that must be asked for, in runs, `most` at most; they count as asked for. */
  wanted(from: bigint, to: bigint, most = Infinity): Run[] {
    const runs: { page: bigint; count: number; age: number }[] = [];
    for (let number = from; number <= to; number++) {
      const page = this.#pages.get(number);
      if (page !== undefined) this.#touch(number, page);
      if (this.#asked.has(number) || page?.age === this.#age) continue;
      const last = runs.at(-1);
      if (last !== undefined && last.page + BigInt(last.count) === number && last.count < mostAsked)
        last.count++;
      else if (runs.length < most) runs.push({ page: number, count: 1, age: this.#age });
      else continue;
      this.#asked.add(number);
    }
    return runs;
  }

  /** Whether what a run will bring is news of [from, to]. */
  isOf({ page, count, age }: Run, from: bigint, to: bigint): boolean {
    return age === this.#age && page <= to && page + BigInt(count) > from;
  }

  /** @param bytes From the start of the run on, as far as there are any. @param unreadable Bytes behind them that are not there */
  received(run: Run, bytes: Uint8Array, unreadable: number): void {
    if (run.age !== this.#age) return;
    // Of what is neither there nor said to be absent, nothing is known.
    const known = Math.min(run.count, Math.ceil((bytes.length + unreadable) / pageBytes));
    for (let at = 0; at < run.count; at++) {
      const number = run.page + BigInt(at);
      this.#asked.delete(number);
      if (at < known) this.#take(number, bytes.slice(at * pageBytes, (at + 1) * pageBytes));
    }
    this.#bound();
  }

  /** It could not be asked for; it may be asked for again. @returns Whether anybody still wanted it */
  refused(run: Run): boolean {
    if (run.age !== this.#age) return false;
    for (let at = 0; at < run.count; at++) this.#asked.delete(run.page + BigInt(at));
    return true;
  }

  #take(number: bigint, bytes: Uint8Array): void {
    const before = this.#pages.get(number)?.before;
    const whole = bytes.length === pageBytes ? bytes : undefined;
    const view = whole && new DataView(whole.buffer, whole.byteOffset, pageBytes);
    this.#pages.delete(number);
    this.#pages.set(number, { bytes: whole, before, view, age: this.#age });
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

/** Whether any of the bytes is another than when the kernel last ran on. */
export function hasChanged({ before, bytes }: Page, offset: number, count: number): boolean {
  if (before === undefined || bytes === undefined || before === bytes) return false;
  for (let at = offset; at < offset + count; at++) if (before[at] !== bytes[at]) return true;
  return false;
}
