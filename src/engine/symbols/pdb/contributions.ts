/**
 * Section contributions: which module a piece of a section came from. Symbols and lines of a module are read only when
 * an address in one of its pieces is asked for.
 *
 *   u32 version: f12eba2d (28 bytes each) or f13151e4 (32: another u32 at the end)
 *   00 u16 section  04 i32 offset  08 i32 size  0c characteristics  10 u16 module  14 CRCs
 *
 * Linkers write them sorted; one that does not is sorted here.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';

export interface Contribution {
  /** 1-based. */
  readonly section: number;
  readonly offset: number;
  readonly size: number;
  readonly module: number;
}

export class Contributions {
  readonly count: number;
  readonly #bytes: FileBytes;
  readonly #stride: number;
  readonly #order: Uint32Array | undefined;

  /** @throws file-damaged */
  constructor(bytes: FileBytes) {
    this.#bytes = bytes;
    const version = bytes.length === 0 ? 0xf12eba2d : bytes.u32(0);
    if (version !== 0xf12eba2d && version !== 0xf13151e4) {
      throw fileDamaged(bytes.name, `section contributions of version 0x${version.toString(16)}`);
    }
    this.#stride = version === 0xf12eba2d ? 28 : 32;
    this.count = Math.floor(Math.max(0, bytes.length - 4) / this.#stride);
    let sorted = true;
    for (let i = 1; i < this.count && sorted; i++) sorted = this.#compare(i - 1, i) <= 0;
    if (!sorted)
      this.#order = Uint32Array.from({ length: this.count }, (_, i) => i).sort((a, b) => this.#compare(a, b));
  }

  /** The piece that holds an address. */
  find(section: number, offset: number): Contribution | undefined {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const index = this.#order?.[middle] ?? middle;
      const found = this.#section(index);
      if (found < section || (found === section && this.#offset(index) <= offset)) low = middle + 1;
      else high = middle;
    }
    // Pieces of no bytes may share an offset with the one that has some.
    for (let i = low - 1; i >= 0 && i >= low - 16; i--) {
      const index = this.#order?.[i] ?? i;
      if (this.#section(index) !== section) return undefined;
      const piece = this.#at(index);
      if (offset < piece.offset + piece.size) return piece;
      if (piece.size > 0) return undefined;
    }
    return undefined;
  }

  #at(index: number): Contribution {
    const at = 4 + index * this.#stride;
    return {
      section: this.#bytes.u16(at),
      offset: this.#bytes.u32(at + 4),
      size: this.#bytes.u32(at + 8),
      module: this.#bytes.u16(at + 16),
    };
  }

  #section(index: number): number {
    return this.#bytes.u16(4 + index * this.#stride);
  }

  #offset(index: number): number {
    return this.#bytes.u32(4 + index * this.#stride + 4);
  }

  #compare(a: number, b: number): number {
    return this.#section(a) - this.#section(b) || this.#offset(a) - this.#offset(b);
  }
}
