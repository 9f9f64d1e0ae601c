/**
 * Steps through one CodeView record: fields in a row, numeric leaves, strings.
 *
 *   numeric leaf   u16 below 8000: the value itself; else what follows:
 *     8000 i8  8001 i16  8002 u16  8003 i32  8004 u32  8009 i64  800a u64  8017 i128  8018 u128
 *     8005 f32  8006 f64  8007 f80  8008 f128  800b f48  801c f16  8019 DECIMAL  801a DATE    skipped: no size or
 *     offset is one
 *   padding        f1 … ff between members: the low four bits say how many bytes to the next
 *
 * Source: microsoft-pdb, cvinfo.h (LEAF_ENUM_e). Whatever leaves the record throws `file-damaged`.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';

/** Bytes of the numeric leaves that are integers; negative if signed. */
const integerLeaves: Readonly<Record<number, number>> = {
  0x8000: -1,
  0x8001: -2,
  0x8002: 2,
  0x8003: -4,
  0x8004: 4,
  0x8009: -8,
  0x800a: 8,
  0x8017: -16,
  0x8018: 16,
};
/** Bytes of the others. */
const otherLeaves: Readonly<Record<number, number>> = {
  0x8005: 4,
  0x8006: 8,
  0x8007: 10,
  0x8008: 16,
  0x800b: 6,
  0x8019: 16,
  0x801a: 8,
  0x801c: 2,
};

export class RecordReader {
  constructor(
    readonly bytes: FileBytes,
    public at = 0,
  ) {}

  get left(): number {
    return this.bytes.length - this.at;
  }

  u8(): number {
    return this.bytes.u8(this.#step(1));
  }

  u16(): number {
    return this.bytes.u16(this.#step(2));
  }

  u32(): number {
    return this.bytes.u32(this.#step(4));
  }

  i32(): number {
    return this.bytes.i32(this.#step(4));
  }

  skip(count: number): void {
    this.#step(count);
    if (this.left < 0) throw this.bytes.outside(this.at, 0);
  }

  /** UTF-8, its closing NUL stepped over. A record may end in place of the NUL. */
  string(): string {
    const end = this.bytes.endOfString(this.at);
    const text = this.bytes.string(this.at, end);
    this.at = Math.min(end + 1, this.bytes.length);
    return text;
  }

  /** The value of a numeric leaf; 0 for what is no integer. */
  numeric(): bigint {
    const leaf = this.u16();
    if (leaf < 0x8000) return BigInt(leaf);
    const size = integerLeaves[leaf];
    if (size !== undefined) return this.#integer(size);
    const other = otherLeaves[leaf];
    if (other === undefined) throw this.damaged(`a numeric leaf of kind 0x${leaf.toString(16)}`);
    this.skip(other);
    return 0n;
  }

  /** A numeric leaf that is a size or an offset. */
  size(): number {
    const leaf = this.bytes.u16(this.at);
    if (leaf < 0x8000) {
      this.at += 2;
      return leaf;
    }
    const value = this.numeric();
    if (value < 0n || value > Number.MAX_SAFE_INTEGER) throw this.damaged(`a size of ${value}`);
    return Number(value);
  }

  /** To the next member of a field list. */
  skipPadding(): void {
    while (this.left > 0) {
      const byte = this.bytes.u8(this.at);
      if (byte < 0xf0) return;
      this.at += Math.max(byte & 15, 1);
    }
  }

  damaged(what: string): Error {
    return fileDamaged(this.bytes.name, what);
  }

  #integer(size: number): bigint {
    const bytes = Math.abs(size);
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes.u8(this.at + i));
    this.at += bytes;
    return size < 0 ? BigInt.asIntN(bytes * 8, value) : value;
  }

  #step(count: number): number {
    const at = this.at;
    this.at += count;
    return at;
  }
}
