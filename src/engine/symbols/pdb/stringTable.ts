/**
 * The stream `/names`: strings that other parts of the PDB refer to by offset; source paths above all.
 *
 *   u32 effeeffe, u32 version, u32 bytes of strings, the strings (NUL-ended), a hash table that nobody here needs
 */

import { fileDamaged, type ByteSource } from '../../core/byteSource';
import { FileBytes, textOf } from '../fileBytes';

const headerSize = 12;
const longestString = 4096;

export class StringTable {
  readonly #size: number;
  /** Each string is asked for again and again: by every row of its file. */
  readonly #known = new Map<number, string>();

  /** @throws file-damaged */
  constructor(private readonly stream: ByteSource) {
    const header = new FileBytes(stream.read(0, headerSize), stream.name);
    if (header.u32(0) !== 0xeffeeffe) throw fileDamaged(stream.name, 'it is no string table');
    this.#size = Math.min(header.u32(8), stream.size - headerSize);
  }

  /** Bytes of strings. */
  get size(): number {
    return this.#size;
  }

  /** The string at an offset; at most 4096 bytes of it. @throws file-damaged if it lies outside. */
  at(offset: number): string {
    const known = this.#known.get(offset);
    if (known !== undefined) return known;
    if (offset >= this.#size) throw fileDamaged(this.stream.name, `a string at ${offset}`);
    let bytes: Uint8Array = new Uint8Array(0);
    for (let length = 128; length <= longestString; length *= 2) {
      bytes = this.stream.read(headerSize + offset, Math.min(length, this.#size - offset));
      if (bytes.includes(0)) break;
    }
    const end = bytes.indexOf(0);
    const text = textOf(bytes, 0, end < 0 ? bytes.length : end);
    // A hostile file may point into the middle of strings, at ever new offsets.
    if (this.#known.size >= mostKnown) this.#known.clear();
    this.#known.set(offset, text);
    return text;
  }
}

const mostKnown = 8192;
