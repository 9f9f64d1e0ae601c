/**
 * Guest RAM in a file that the monitor maps: QEMU's `memory-backend-file` with share=on, VMware's named file. Positional
 * reads by the operating system go to the very pages that the guest writes.
 *
 *   ranges ─▶ offsets in the file ─▶ neighbours become one run ─▶ reads of at most 1 MiB, straight into the caller's bytes
 *
 * Invariants: the file is open for reading only; a window has a descriptor of its own, and nothing else may write.
 */

import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import type { PageFrame } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { GuestRam, PhysicalRange, RamWindow } from './guestRam';
import { pageSize, rangeOffset, type PhysicalLayout } from './layout';

/** More at a time is slower: it leaves the processor's caches. */
const largestRead = 1 << 20;
/** A guest may change a word faster than anybody can read it twice. */
const mostTries = 8;

/** @throws ram-unreadable, ram-truncated */
export function openBackingFile(path: string, layout: PhysicalLayout): GuestRam {
  return new BackingFile(path, layout);
}

class BackingFile implements GuestRam {
  readonly way: string;
  #descriptor: number | undefined;

  constructor(
    private readonly path: string,
    readonly layout: PhysicalLayout,
  ) {
    this.way = `backing file ${path}`;
    this.#descriptor = openFile(path, 'r');
    const size = this.#size();
    if (size >= layout.totalBytes) return;
    this.close();
    throw new VmkdError(
      'ram-truncated',
      `${path} has ${size} bytes; the machine’s memory has ${layout.totalBytes}`,
    );
  }

  read(ranges: readonly PhysicalRange[], into: Uint8Array): void {
    let done = 0;
    let start = 0;
    let length = 0;
    for (const { address, length: wanted } of ranges) {
      if (wanted === 0) continue;
      const offset = rangeOffset(this.layout, Number(address), wanted);
      if (offset !== start + length) {
        this.#fill(into, done, length, start);
        done += length;
        start = offset;
        length = 0;
      }
      length += wanted;
    }
    this.#fill(into, done, length, start);
  }

  window(pages: readonly PageFrame[]): RamWindow {
    const offsets = pages.map((page) => rangeOffset(this.layout, page * pageSize, pageSize));
    return new FileWindow(this.path, openFile(this.path, 'r+'), offsets);
  }

  check(): void {
    if (this.#size() < this.layout.totalBytes) throw this.#lost('it was cut short');
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #fill(into: Uint8Array, at: number, length: number, offset: number): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) throw this.#lost('it was closed');
    for (let done = 0; done < length;) {
      const wanted = Math.min(length - done, largestRead);
      let count: number;
      try {
        count = readSync(descriptor, into, at + done, wanted, offset + done);
      } catch (error) {
        throw this.#lost((error as Error).message, error);
      }
      if (count === 0) throw this.#lost('it was cut short');
      done += count;
    }
  }

  #size(): number {
    if (this.#descriptor === undefined) throw this.#lost('it was closed');
    try {
      return fstatSync(this.#descriptor).size;
    } catch (error) {
      throw this.#lost((error as Error).message, error);
    }
  }

  #lost(why: string, cause?: unknown): VmkdError {
    return new VmkdError('ram-lost', `${this.path}: ${why}`, { cause });
  }
}

/**
 * Single pages of the file, written one system call at a time. The kernel copies an aligned word with one instruction where
 * the processor has fast short copies; a back end that maps the pages does so everywhere.
 */
class FileWindow implements RamWindow {
  readonly length: number;
  readonly #word = new DataView(new ArrayBuffer(4));
  #descriptor: number | undefined;

  constructor(
    private readonly path: string,
    descriptor: number,
    private readonly offsets: readonly number[],
  ) {
    this.#descriptor = descriptor;
    this.length = offsets.length * pageSize;
  }

  read(offset: number, into: Uint8Array): void {
    this.#eachPart(offset, into.length, (file, done, count) =>
      readSync(file.descriptor, into, done, count, file.at),
    );
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#eachPart(offset, bytes.length, (file, done, count) =>
      writeSync(file.descriptor, bytes, done, count, file.at),
    );
  }

  readU32(offset: number): number {
    this.#mustBeAligned(offset);
    // Two reads that agree: a word that is being written might come in pieces.
    let value = this.#readWord(offset);
    for (let tries = mostTries; tries > 0; tries--) {
      const again = this.#readWord(offset);
      if (again === value) break;
      value = again;
    }
    return value;
  }

  writeU32(offset: number, value: number): void {
    this.#mustBeAligned(offset);
    this.#word.setUint32(0, value, true);
    this.write(offset, new Uint8Array(this.#word.buffer));
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #readWord(offset: number): number {
    this.read(offset, new Uint8Array(this.#word.buffer));
    return this.#word.getUint32(0, true);
  }

  #mustBeAligned(offset: number): void {
    if (offset % 4 !== 0) throw outside(`A word at ${offset} is not aligned`);
  }

  #eachPart(
    offset: number,
    length: number,
    move: (file: { readonly descriptor: number; readonly at: number }, done: number, count: number) => number,
  ): void {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) throw new VmkdError('ram-lost', `${this.path}: the window was closed`);
    if (!(Number.isInteger(offset) && offset >= 0 && offset + length <= this.length))
      throw outside(`${length} bytes at ${offset} exceed a window of ${this.length}`);
    for (let done = 0; done < length;) {
      const within = (offset + done) % pageSize;
      const at = this.offsets[Math.floor((offset + done) / pageSize)]! + within;
      const count = Math.min(length - done, pageSize - within);
      let moved: number;
      try {
        moved = move({ descriptor, at }, done, count);
      } catch (error) {
        throw new VmkdError('ram-lost', `${this.path}: ${(error as Error).message}`, { cause: error });
      }
      if (moved === 0) throw new VmkdError('ram-lost', `${this.path}: it was cut short`);
      done += moved;
    }
  }
}

/** Nothing but a regular file is opened: a pipe would wait for its other end for ever. */
function openFile(path: string, flags: 'r' | 'r+'): number {
  try {
    if (!statSync(path).isFile()) throw new Error('it is not a regular file');
    return openSync(path, flags);
  } catch (error) {
    throw new VmkdError('ram-unreadable', `${path}: ${(error as Error).message}`, { cause: error });
  }
}

const outside = (message: string): VmkdError => new VmkdError('ram-out-of-range', message);
