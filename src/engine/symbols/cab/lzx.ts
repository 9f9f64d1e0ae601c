/**
 * LZX as cabinets hold it. A frame of 32 KiB is a CFDATA block with a bit stream of its own; LZX's blocks, which have
 * their own codes, run over frames.
 *
 *   stream   1 bit: calls are translated? then 32 bits: their limit        only once, before the first block
 *   block    3 bits type, 24 bits size
 *     1 verbatim      main code (256 literals, 8 × position slots), length code, then symbols
 *     2 aligned       8 × 3 bits: code of the offsets' low 3 bits; then as verbatim
 *     3 uncompressed  to the next word; u32 R0, R1, R2; bytes (and one more if their number is odd)
 *   match    main symbol - 256 = slot << 3 | length header; header 7: the length code adds to it; length + 2
 *            slot 0-2: one of the last three offsets; else base(slot) - 2 + extra bits
 *
 * The lengths of a code are written as differences from those of the block before, themselves in a code of 20 symbols.
 * Calls (e8 rel32) were turned absolute by the packer and are turned back in what is handed out, not in the window.
 *
 * Invariants: the window is the only memory, 2^15 to 2^21 bytes; a match never leaves its frame, nor reaches before the
 * first byte.
 *
 * Source: [MS-PATCH] 2 (LZX DELTA, less its delta part), [MS-CAB] for the frames.
 */

import { fileDamaged } from '../../core/byteSource';
import type { Unpacker } from './unpacker';
import { LzxBits, PrefixCode } from './lzxBits';

const literals = 256;
const lengthSymbols = 249;
const shortestMatch = 2;
/** Position slots by window bits, from 15. */
const slotsOfWindow = [30, 32, 34, 36, 38, 42, 50];
const extraBits = Array.from({ length: 50 }, (_, slot) => Math.min(17, Math.max(0, (slot >> 1) - 1)));
const offsetBase = extraBits.map((_, slot) =>
  extraBits.slice(0, slot).reduce((sum, bits) => sum + 2 ** bits, 0),
);
/** Calls are turned back in so many frames (1 GiB). */
const translatedFrames = 32768;

type BlockKind = 'verbatim' | 'aligned' | 'uncompressed';

export class LzxUnpacker implements Unpacker {
  readonly #window: Uint8Array;
  readonly #mainLengths: Uint8Array;
  readonly #lengthLengths = new Uint8Array(lengthSymbols);
  #main: PrefixCode;
  #length: PrefixCode;
  #aligned: PrefixCode;
  /** R0, R1, R2: the last three offsets. */
  readonly #recent: [number, number, number] = [1, 1, 1];
  #kind: BlockKind = 'verbatim';
  /** Bytes of the current block still to come. */
  #blockLeft = 0;
  /** A byte that fills an odd uncompressed block lies in front of the next. */
  #padding = false;
  /** Bytes that came out so far; modulo the window, where the next goes. */
  #total = 0;
  #frame = 0;
  /** Undefined before the first frame; 0: none are translated. */
  #callLimit: number | undefined;

  /** @param windowBits 15 to 21. @throws file-damaged */
  constructor(
    private readonly name: string,
    windowBits: number,
  ) {
    const slots = slotsOfWindow[windowBits - 15];
    if (slots === undefined) throw fileDamaged(name, `LZX: a window of ${windowBits} bits`);
    this.#window = new Uint8Array(1 << windowBits);
    this.#mainLengths = new Uint8Array(literals + 8 * slots);
    const none = new PrefixCode(new Uint8Array(1), name);
    this.#main = none;
    this.#length = none;
    this.#aligned = none;
  }

  unpack(block: Uint8Array, unpackedSize: number): Uint8Array {
    const bits = new LzxBits(block, this.name);
    if (this.#callLimit === undefined) {
      this.#callLimit = bits.take(1) === 0 ? 0 : bits.take(16) * 0x10000 + bits.take(16);
    }
    const start = this.#total;
    const end = start + unpackedSize;
    while (this.#total < end) {
      if (this.#blockLeft === 0) this.#startBlock(bits);
      const upTo = Math.min(end, this.#total + this.#blockLeft);
      const before = this.#total;
      if (this.#kind === 'uncompressed') this.#copy(bits, upTo);
      else this.#decode(bits, upTo, end);
      this.#blockLeft -= this.#total - before;
      if (this.#blockLeft < 0) throw fileDamaged(this.name, 'LZX: a match runs over its block');
      // At the end of a frame it may stand in either of two.
      if (this.#blockLeft === 0 && this.#padding && bits.hasBytes) this.#skipPadding(bits);
    }
    const bytes = this.#takeOut(start, unpackedSize);
    if (this.#callLimit > 0 && this.#frame < translatedFrames) restoreCalls(bytes, start, this.#callLimit);
    this.#frame++;
    return bytes;
  }

  #startBlock(bits: LzxBits): void {
    if (this.#padding) this.#skipPadding(bits);
    const type = bits.take(3);
    const size = bits.take(16) * 256 + bits.take(8);
    if (size === 0) throw fileDamaged(this.name, 'LZX: an empty block');
    this.#blockLeft = size;
    switch (type) {
      case 1:
        this.#kind = 'verbatim';
        this.#readCodes(bits);
        break;
      case 2:
        this.#kind = 'aligned';
        this.#aligned = new PrefixCode(
          Uint8Array.from({ length: 8 }, () => bits.take(3)),
          this.name,
        );
        this.#readCodes(bits);
        break;
      case 3: {
        this.#kind = 'uncompressed';
        this.#padding = size % 2 === 1;
        bits.align();
        const recent = bits.takeBytes(12);
        const view = new DataView(recent.buffer, recent.byteOffset, 12);
        for (const i of [0, 1, 2] as const) this.#recent[i] = view.getUint32(i * 4, true);
        break;
      }
      default:
        throw fileDamaged(this.name, `LZX: a block of type ${type}`);
    }
  }

  #skipPadding(bits: LzxBits): void {
    bits.takeBytes(1);
    this.#padding = false;
  }

  #readCodes(bits: LzxBits): void {
    this.#readLengths(bits, this.#mainLengths, 0, literals);
    this.#readLengths(bits, this.#mainLengths, literals, this.#mainLengths.length);
    this.#main = new PrefixCode(this.#mainLengths, this.name);
    this.#readLengths(bits, this.#lengthLengths, 0, lengthSymbols);
    this.#length = new PrefixCode(this.#lengthLengths, this.name);
  }

  /** Symbols 0-16: the difference to the old length; 17, 18: runs of unused symbols; 19: a run of one difference. */
  #readLengths(bits: LzxBits, lengths: Uint8Array, from: number, to: number): void {
    const code = new PrefixCode(
      Uint8Array.from({ length: 20 }, () => bits.take(4)),
      this.name,
    );
    for (let at = from; at < to;) {
      const symbol = code.take(bits);
      let run = 1;
      let difference: number | undefined = symbol;
      if (symbol === 17) {
        run = 4 + bits.take(4);
        difference = undefined;
      } else if (symbol === 18) {
        run = 20 + bits.take(5);
        difference = undefined;
      } else if (symbol === 19) {
        run = 4 + bits.take(1);
        difference = code.take(bits);
      }
      if (at + run > to || (difference ?? 0) > 16)
        throw fileDamaged(this.name, 'LZX: impossible code lengths');
      const length = difference === undefined ? 0 : (lengths[at]! - difference + 17) % 17;
      lengths.fill(length, at, at + run);
      at += run;
    }
  }

  #copy(bits: LzxBits, upTo: number): void {
    const window = this.#window;
    const mask = window.length - 1;
    const bytes = bits.takeBytes(upTo - this.#total);
    const at = this.#total & mask;
    const first = Math.min(bytes.length, window.length - at);
    window.set(bytes.subarray(0, first), at);
    window.set(bytes.subarray(first), 0);
    this.#total = upTo;
  }

  #decode(bits: LzxBits, upTo: number, frameEnd: number): void {
    const window = this.#window;
    const mask = window.length - 1;
    const main = this.#main;
    let total = this.#total;
    while (total < upTo) {
      const symbol = main.take(bits);
      if (symbol < literals) {
        window[total & mask] = symbol;
        total++;
        continue;
      }
      const match = symbol - literals;
      const header = match & 7;
      const length = shortestMatch + (header === 7 ? 7 + this.#length.take(bits) : header);
      const offset = this.#takeOffset(bits, match >> 3);
      if (offset > total || offset > window.length || offset === 0 || total + length > frameEnd) {
        throw fileDamaged(this.name, 'LZX: a match outside the window');
      }
      for (const end = total + length; total < end; total++) {
        window[total & mask] = window[(total - offset) & mask]!;
      }
    }
    this.#total = total;
  }

  #takeOffset(bits: LzxBits, slot: number): number {
    const recent = this.#recent;
    if (slot < 3) {
      const offset = recent[slot as 0 | 1 | 2];
      recent[slot as 0 | 1 | 2] = recent[0];
      recent[0] = offset;
      return offset;
    }
    const extra = extraBits[slot]!;
    let offset = offsetBase[slot]! - 2;
    if (this.#kind === 'aligned' && extra >= 3) {
      offset += bits.take(extra - 3) * 8;
      offset += this.#aligned.take(bits);
    } else {
      offset += bits.take(extra);
    }
    recent[2] = recent[1];
    recent[1] = recent[0];
    recent[0] = offset;
    return offset;
  }

  /** A copy of what came out last. */
  #takeOut(start: number, size: number): Uint8Array {
    const window = this.#window;
    const at = start & (window.length - 1);
    const bytes = new Uint8Array(size);
    const first = Math.min(size, window.length - at);
    bytes.set(window.subarray(at, at + first));
    bytes.set(window.subarray(0, size - first), first);
    return bytes;
  }
}

/** Absolute targets of calls back to relative ones. The last ten bytes of a frame are left alone. */
function restoreCalls(bytes: Uint8Array, start: number, limit: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length - 10; at++) {
    if (bytes[at] !== 0xe8) continue;
    const position = start + at;
    const absolute = view.getInt32(at + 1, true);
    if (absolute >= -position && absolute < limit) {
      view.setInt32(at + 1, absolute >= 0 ? absolute - position : absolute + limit, true);
    }
    at += 4;
  }
}
