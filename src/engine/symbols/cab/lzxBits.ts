/**
 * The bit stream of an LZX block and its prefix codes. Bits come from little-endian 16-bit words, highest bit first.
 *
 * Invariants: a read past the end yields zeros for two words at most (decoders look ahead that far), then it is
 * `file-damaged`; a code that takes more than there is room for is refused when it is built, and bits that no code
 * has are refused when they are met.
 */

import { fileDamaged } from '../../core/byteSource';

const lookAhead = 4;

export class LzxBits {
  /** The next bits, left-justified in 32. */
  #bits = 0;
  #count = 0;
  #at = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly name: string,
  ) {}

  /** The next `count` bits, 0 to 17, not yet taken. */
  peek(count: number): number {
    if (this.#count <= 16) this.#refill();
    return count === 0 ? 0 : this.#bits >>> (32 - count);
  }

  /** @param count 0 to 17. */
  skip(count: number): void {
    this.#bits <<= count;
    this.#count -= count;
  }

  /** @param count 0 to 17. */
  take(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  /** To the next 16-bit word, a whole one if it stands at one; then bytes may be taken. */
  align(): void {
    if (this.#count <= 16) this.#refill();
    this.skip(this.#count % 16 || 16);
    this.#at -= this.#count / 8;
    this.#bits = 0;
    this.#count = 0;
  }

  /** Bytes, after `align` or other bytes. @throws file-damaged if there are fewer. */
  takeBytes(count: number): Uint8Array {
    if (this.#at + count > this.bytes.length) throw fileDamaged(this.name, 'LZX: a block ends too soon');
    const taken = this.bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }

  get hasBytes(): boolean {
    return this.#at < this.bytes.length;
  }

  #refill(): void {
    const { bytes } = this;
    while (this.#count <= 16) {
      const at = this.#at;
      if (at >= bytes.length + lookAhead) throw fileDamaged(this.name, 'LZX: a block ends too soon');
      const word = (at < bytes.length ? bytes[at]! : 0) | (at + 1 < bytes.length ? bytes[at + 1]! << 8 : 0);
      this.#bits |= word << (16 - this.#count);
      this.#count += 16;
      this.#at = at + 2;
    }
  }
}

const longestCode = 16;
/** Codes up to this length are found by one look; a larger table costs more to build than it saves. */
const tableWidth = 11;

/** A prefix code, given by the lengths of its codes: canonical, shorter codes first, then lower symbols. */
export class PrefixCode {
  /** `symbol << 5 | length` for every value of the next `tableWidth` bits; 0: a longer code, or none. */
  readonly #table = new Uint16Array(1 << tableWidth);
  /** Of every length: how many codes have it, its first code, and where that one's symbol stands in `#symbols`. */
  readonly #counts = new Uint16Array(longestCode + 1);
  readonly #firstCode = new Uint32Array(longestCode + 1);
  readonly #firstIndex = new Uint16Array(longestCode + 1);
  /** By length, then by number. */
  readonly #symbols: Uint16Array;

  /** @param lengths Each 0 (unused) to 16; at most 2048 symbols. @throws file-damaged if they take too much room */
  constructor(
    lengths: Uint8Array,
    private readonly name: string,
  ) {
    for (const length of lengths) if (length > 0) this.#counts[length]!++;
    let code = 0;
    let index = 0;
    for (let length = 1; length <= longestCode; length++) {
      code *= 2;
      this.#firstCode[length] = code;
      this.#firstIndex[length] = index;
      code += this.#counts[length]!;
      index += this.#counts[length]!;
      if (code > 1 << length) throw fileDamaged(name, 'LZX: an impossible prefix code');
    }
    this.#symbols = new Uint16Array(index);
    const next = this.#firstIndex.slice();
    lengths.forEach((length, symbol) => {
      if (length === 0) return;
      const at = next[length]!++;
      this.#symbols[at] = symbol;
      if (length > tableWidth) return;
      const first = this.#firstCode[length]! + at - this.#firstIndex[length]!;
      const shift = tableWidth - length;
      this.#table.fill((symbol << 5) | length, first << shift, (first + 1) << shift);
    });
  }

  /** @throws file-damaged if the next bits are no code */
  take(bits: LzxBits): number {
    const entry = this.#table[bits.peek(tableWidth)]!;
    if (entry !== 0) {
      bits.skip(entry & 31);
      return entry >> 5;
    }
    for (let length = tableWidth + 1; length <= longestCode; length++) {
      const rank = bits.peek(length) - this.#firstCode[length]!;
      if (rank < 0 || rank >= this.#counts[length]!) continue;
      bits.skip(length);
      return this.#symbols[this.#firstIndex[length]! + rank]!;
    }
    throw fileDamaged(this.name, 'LZX: bits that no code has');
  }
}
