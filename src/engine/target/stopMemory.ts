/**
 * Memory of a stopped target as the user shall see it: read once a stop, and without the int3s that we put into it.
 *
 *   request ─▶ lines of 512 bytes, kept until the target runs ─▶ KdMemory
 *                                  └─ our own int3s become what they stand for
 *
 * A miss reads from its line to the end of the request: neighbours are asked for next, and each request costs a round trip.
 *
 * Invariant: what was read before the target ran is never seen after it.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { Mutex } from '../core/mutex';
import type { KdMemory } from './kdMemory';
import type { TargetMemory } from './target';

/** What stands in memory on our account. */
export interface CodeOverlay {
  /** Puts the target's own bytes where ours are. */
  cover(address: VirtualAddress, bytes: Uint8Array): void;
  /** Takes ours out of a range that is about to be written; they come back before the target runs. */
  clear(address: VirtualAddress, length: number): Promise<void>;
}

const lineSize = 512;
/** 16 MiB. */
const mostLines = 32_768;
/** Kept lines of one fetch: more is streamed to its reader. */
const largestFetch = 1 << 20;

export class StopMemory implements TargetMemory {
  /** By number; shorter than a line where memory is absent. */
  readonly #lines = new Map<bigint, Uint8Array>();
  readonly #turn = new Mutex();
  /** Bytes that the stop itself has told. */
  #told: { readonly address: VirtualAddress; readonly bytes: Uint8Array } | undefined;

  constructor(
    private readonly source: KdMemory,
    private readonly overlay: CodeOverlay,
  ) {}

  /** The target runs, or its memory has changed. */
  forget(): void {
    this.#lines.clear();
    this.#told = undefined;
  }

  /** The target says by itself what a few bytes are. */
  learn(address: VirtualAddress, bytes: Uint8Array): void {
    this.overlay.cover(address, bytes);
    this.#told = { address, bytes };
  }

  async readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    if (length > largestFetch) return this.#pass(address, length);
    const told = this.#told;
    const from = told === undefined ? -1 : Number(address - told.address);
    if (told !== undefined && from >= 0 && from + length <= told.bytes.length)
      return told.bytes.slice(from, from + length);
    return this.#turn.run(() => this.#read(address, length));
  }

  /** @throws target-refused, memory-unreadable; target-running and link errors */
  async write(address: VirtualAddress, bytes: Uint8Array): Promise<void> {
    await this.#turn.run(async () => {
      await this.overlay.clear(address, bytes.length);
      this.forget();
      await this.source.write(address, bytes);
    });
  }

  async #read(address: VirtualAddress, length: number): Promise<Uint8Array> {
    const whole = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = plus(address, done);
      const within = Number(at % BigInt(lineSize));
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
