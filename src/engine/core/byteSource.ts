/**
 * Random access to bytes that never change: a file, a buffer, a stream inside a container. All readers of PE images,
 * PDBs and cabinets stand on this one interface, so that none of them ever needs a whole file in memory.
 *
 *   ┌ reader ┐ read(offset, length)   ┌ MsfStream ┐   ┌ FileSource ┐  positional reads of 64 KiB blocks,
 *   │        │ ─────────────────────▶ │ (blocks)  │ ─▶│ block cache│  the last 32 of them kept
 *   └────────┘                        └───────────┘   └────────────┘
 *
 * Invariants: a read that does not lie wholly inside throws `file-damaged` before anything is allocated, so no length
 * taken from a hostile file can cost more memory than the file has bytes; nothing is read that nobody asked for,
 * but the rest of its block.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { VmkdError } from './errors';

export interface ByteSource {
  /** What errors call it: a path, or “stream 3 of ntdll.pdb”. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes. They may be shared with a cache: never write to them; keep a copy (`slice`) of what is to
   * live long, for a small view keeps its whole block alive.
   * @throws file-damaged if any of them lies outside; file-unreadable if the operating system fails.
   */
  read(offset: number, length: number): Uint8Array;
}

/** A source that holds a file open. */
export interface OpenFile extends ByteSource {
  /** Reads fail afterwards. A second close does nothing. */
  close(): void;
}

export const fileDamaged = (name: string, what: string): VmkdError =>
  new VmkdError('file-damaged', `${name}: ${what}`);

/** @throws file-damaged unless `length` bytes at `offset` lie inside `source`. */
export function mustLieInside(
  source: { readonly name: string; readonly size: number },
  offset: number,
  length: number,
): void {
  const inside =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= source.size;
  if (!inside) throw fileDamaged(source.name, `${length} bytes at ${offset} exceed its ${source.size}`);
}

/** `bytes` themselves as a source; reads are views of them. */
export function memorySource(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      mustLieInside(this, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** As `source.read`, but in memory of its own: for what is kept. */
export function readOwn(source: ByteSource, offset: number, length: number): Uint8Array {
  const bytes = source.read(offset, length);
  return bytes.buffer.byteLength === length ? bytes : bytes.slice();
}

const blockSize = 65536;
const cachedBlocks = 32;

/** Opens a file for reading. @throws file-unreadable */
export function openFileSource(path: string): OpenFile {
  return new FileSource(path);
}

class FileSource implements OpenFile {
  readonly size: number;
  #descriptor: number | undefined;
  /** Oldest use first. */
  readonly #blocks = new Map<number, Uint8Array>();
  /** The block of the last read: most reads go where the last one went. */
  #lastIndex = -1;
  #lastBlock: Uint8Array = new Uint8Array(0);

  constructor(readonly name: string) {
    try {
      this.#descriptor = openSync(name, 'r');
    } catch (error) {
      throw unreadable(name, error);
    }
    try {
      const stat = fstatSync(this.#descriptor);
      if (!stat.isFile()) throw new Error('it is not a regular file');
      this.size = stat.size;
    } catch (error) {
      this.close();
      throw unreadable(name, error);
    }
  }

  read(offset: number, length: number): Uint8Array {
    mustLieInside(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    const index = Math.floor(offset / blockSize);
    const start = offset - index * blockSize;
    if (start + length <= blockSize) return this.#block(index).subarray(start, start + length);
    return this.#fill(new Uint8Array(length), offset);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    this.#blocks.clear();
    this.#lastIndex = -1;
  }

  #block(index: number): Uint8Array {
    if (index === this.#lastIndex) return this.#lastBlock;
    let block = this.#blocks.get(index);
    if (block === undefined) {
      const start = index * blockSize;
      block = this.#fill(new Uint8Array(Math.min(blockSize, this.size - start)), start);
      if (this.#blocks.size >= cachedBlocks) {
        for (const oldest of this.#blocks.keys()) {
          this.#blocks.delete(oldest);
          break;
        }
      }
    } else {
      this.#blocks.delete(index);
    }
    this.#blocks.set(index, block);
    this.#lastIndex = index;
    this.#lastBlock = block;
    return block;
  }

  #fill(bytes: Uint8Array, offset: number): Uint8Array {
    if (this.#descriptor === undefined) throw unreadable(this.name, new Error('it was closed'));
    let done = 0;
    while (done < bytes.length) {
      let count: number;
      try {
        count = readSync(this.#descriptor, bytes, done, bytes.length - done, offset + done);
      } catch (error) {
        throw unreadable(this.name, error);
      }
      // Somebody cut the file short after it was opened.
      if (count === 0)
        throw fileDamaged(this.name, `it ends at ${offset + done}, before its size ${this.size}`);
      done += count;
    }
    return bytes;
  }
}

const unreadable = (name: string, cause: unknown): VmkdError =>
  new VmkdError('file-unreadable', `${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
