/**
 * A piece of a hostile file in memory, read by position. What lies outside it is `file-damaged`: no offset, length or
 * count out of the file can lead anywhere else. (`core/layout` is for structures; this is for tables and strings.)
 */

import { fileDamaged } from '../core/byteSource';

export class FileBytes {
  readonly length: number;
  readonly #view: DataView;
  #buffer: Buffer | undefined;

  /** `name` is what errors call it. */
  constructor(
    readonly bytes: Uint8Array,
    readonly name: string,
  ) {
    this.length = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8(at: number): number {
    if (!(at >= 0 && at < this.length)) throw this.outside(at, 1);
    return this.bytes[at]!;
  }

  u16(at: number): number {
    if (!(at >= 0 && at + 2 <= this.length)) throw this.outside(at, 2);
    return this.#view.getUint16(at, true);
  }

  u32(at: number): number {
    if (!(at >= 0 && at + 4 <= this.length)) throw this.outside(at, 4);
    return this.#view.getUint32(at, true);
  }

  i32(at: number): number {
    return this.u32(at) | 0;
  }

  /** A view, not a copy. */
  part(at: number, length: number): FileBytes {
    if (!(at >= 0 && length >= 0 && at + length <= this.length)) throw this.outside(at, length);
    return new FileBytes(this.bytes.subarray(at, at + length), this.name);
  }

  /** Where the string at `at` ends: its NUL, or `limit`. */
  endOfString(at: number, limit = this.length): number {
    if (!(at >= 0 && at <= this.length)) throw this.outside(at, 1);
    const end = this.bytes.indexOf(0, at);
    return end < 0 || end > limit ? Math.min(limit, this.length) : end;
  }

  /** UTF-8 (what is none becomes U+FFFD) up to the first NUL or `limit`. */
  string(at: number, limit = this.length): string {
    this.#buffer ??= bufferOf(this.bytes);
    return this.#buffer.toString('utf8', at, this.endOfString(at, limit));
  }

  outside(at: number, length: number): Error {
    return fileDamaged(this.name, `${length} bytes at ${at} exceed the ${this.length} of a part of it`);
  }
}

/** UTF-8; what is none becomes U+FFFD. Node's own decoder is ten times as fast as TextDecoder on short names. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return bufferOf(bytes).toString('utf8', start, end);
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
