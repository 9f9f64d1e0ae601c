/**
 * Memory of a stopped target as the user shall see it: read once a stop, and without the int3s that we put into it.
 *
 *   request ─▶ guest RAM, as far as it has it
 *          └─▶ what it lacks, page by page: lines of 512 bytes, kept until the target runs ─▶ KdMemory
 *                                  └─ our own int3s become what they stand for
 *
 * Of KD, a miss reads from its line to the end of the request: neighbours are asked for next, and each request costs a round
 * trip. Guest RAM is read without waiting, and keeps pages of its own.
 *
 * Invariant: what was read before the target ran is never seen after it.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { Mutex } from '../core/mutex';
import { mostBytes, type KdMemory } from './kdMemory';
import type { TargetMemory } from './target';

/** What stands in memory on our account. */
export interface CodeOverlay {
  /** Puts the target's own bytes where ours are. */
  cover(address: VirtualAddress, bytes: Uint8Array): void;
  /** Takes ours out of a range that is about to be written; they come back before the target runs. */
  clear(address: VirtualAddress, length: number): Promise<void>;
}

/** A way to the same memory that is faster than KD, and does not have all of it. It shows no int3s of ours, either. */
export interface FastMemory {
  /** Whether it may be read now. */
  readonly isUsable: boolean;
  /** Fills `into` from its start. @returns bytes; fewer where it does not have a page, none if it may not be read */
  read(address: VirtualAddress, into: Uint8Array): number;
  /** Whether the target finds a page there; it may read others, too. Undefined: it cannot tell. */
  isPresent(address: VirtualAddress): boolean | undefined;
  /** Whether the page at which the last read ended is nobody's, so that KD need not be asked. */
  readonly endedAtNothing: boolean;
  forget(): void;
}

const pageSize = 4096;
const lineSize = 512;
/** 16 MiB. */
const mostLines = 32_768;
/** Kept lines of one fetch: more is streamed to its reader. */
const largestFetch = 1 << 20;

export class StopMemory implements TargetMemory {
  /** By number; shorter than a line where memory is absent. */
  readonly #lines = new Map<bigint, Uint8Array>();
  readonly #turn = new Mutex();
  #writes = 0;
  /** Bytes that the stop itself has told. */
  #told: { readonly address: VirtualAddress; readonly bytes: Uint8Array } | undefined;

  constructor(
    private readonly source: KdMemory,
    private readonly overlay: CodeOverlay,
    private readonly fast?: FastMemory,
  ) {}

  /** How often it was written to: what was made of memory before is old. */
  get writes(): number {
    return this.#writes;
  }

  /** The target runs, or its memory has changed. */
  forget(): void {
    this.#lines.clear();
    this.#told = undefined;
    this.fast?.forget();
  }

  /** A part of the target's memory was changed, not through `write`. */
  changed(address: VirtualAddress, length: number): void {
    this.fast?.forget();
    const end = address + BigInt(length);
    for (let line = address - (address % BigInt(lineSize)); line < end; line += BigInt(lineSize))
      this.#lines.delete(line);
  }

  /** The target says by itself what a few bytes are. */
  learn(address: VirtualAddress, bytes: Uint8Array): void {
    this.overlay.cover(address, bytes);
    this.#told = { address, bytes };
  }

  readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    const told = this.#told;
    const from = told === undefined ? -1 : Number(address - told.address);
    if (told !== undefined && from >= 0 && from + length <= told.bytes.length)
      return Promise.resolve(told.bytes.slice(from, from + length));
    if (this.fast?.isUsable !== true || length > mostBytes) return this.#readOfKd(address, length);
    const whole = new Uint8Array(length);
    const done = this.fast.read(address, whole);
    if (done === length) return Promise.resolve(whole);
    return this.#readRest(this.fast, address, whole, done).then((count) => whole.subarray(0, count));
  }

  /** Whether the target can reach an address now. Pages that it would have to bring in can be read here all the same. */
  async isPresent(address: VirtualAddress): Promise<boolean> {
    return this.fast?.isPresent(address) ?? (await this.#readOfKd(address, 1)).length === 1;
  }

  /** As `readPartial`, into bytes of the caller's: for large reads, whose memory would cost more than they. @returns bytes */
  async readInto(address: VirtualAddress, into: Uint8Array): Promise<number> {
    if (this.fast?.isUsable === true) {
      const done = this.fast.read(address, into);
      return done === into.length ? done : this.#readRest(this.fast, address, into, done);
    }
    const bytes = await this.#readOfKd(address, into.length);
    into.set(bytes);
    return bytes.length;
  }

  /** @throws target-refused, memory-unreadable; target-running and link errors */
  async write(address: VirtualAddress, bytes: Uint8Array): Promise<void> {
    await this.#turn.run(async () => {
      await this.overlay.clear(address, bytes.length);
      try {
        await this.source.write(address, bytes);
      } finally {
        this.forget();
        this.#writes++;
      }
    });
  }

  /** Of each page that guest RAM lacks, KD is asked; behind it, guest RAM may go on. */
  async #readRest(
    fast: FastMemory,
    address: VirtualAddress,
    whole: Uint8Array,
    before: number,
  ): Promise<number> {
    let done = before;
    while (done < whole.length && !fast.endedAtNothing) {
      const at = plus(address, done);
      const toEnd = pageSize - Number(at % BigInt(pageSize));
      const wanted = fast.isUsable ? Math.min(whole.length - done, toEnd) : whole.length - done;
      const bytes = await this.#readOfKd(at, wanted);
      whole.set(bytes, done);
      done += bytes.length;
      if (bytes.length < wanted) break;
      done += fast.read(plus(address, done), whole.subarray(done));
    }
    return done;
  }

  #readOfKd(address: VirtualAddress, length: number): Promise<Uint8Array> {
    if (length > largestFetch) return this.#pass(address, length);
    // What is known need not wait for what others read.
    const known = this.#known(address, length);
    return known ? Promise.resolve(known) : this.#turn.run(() => this.#read(address, length));
  }

  /** A copy, if it lies in one line that was read. */
  #known(address: VirtualAddress, length: number): Uint8Array | undefined {
    const within = Number(address & BigInt(lineSize - 1));
    if (within + length > lineSize) return undefined;
    return this.#lines.get(plus(address, -within))?.slice(within, within + length);
  }

  async #read(address: VirtualAddress, length: number): Promise<Uint8Array> {
    const whole = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = plus(address, done);
      const within = Number(at & BigInt(lineSize - 1));
      const line = await this.#line(plus(at, -within), length - done + within);
      const part = line.subarray(within, within + length - done);
      whole.set(part, done);
      done += part.length;
      if (within + part.length < lineSize) return whole.subarray(0, done);
    }
    return whole;
  }

  /** The line that begins at `start`; if it has to be fetched, with what follows of `wanted` bytes. */
  async #line(start: VirtualAddress, wanted: number): Promise<Uint8Array> {
    const known = this.#lines.get(start);
    if (known) return known;
    const length = Math.ceil(wanted / lineSize) * lineSize;
    const bytes = await this.#pass(start, length);
    if (this.#lines.size >= mostLines) this.#lines.clear();
    // What comes after the first absent byte was not tried.
    for (let at = 0; at === 0 || at <= bytes.length - 1; at += lineSize)
      this.#lines.set(plus(start, at), bytes.subarray(at, at + lineSize));
    return bytes.subarray(0, lineSize);
  }

  async #pass(address: VirtualAddress, length: number): Promise<Uint8Array> {
    const bytes = await this.source.readPartial(address, length);
    this.overlay.cover(address, bytes);
    return bytes;
  }
}
