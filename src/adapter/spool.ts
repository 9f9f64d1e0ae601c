/**
 * A queue of texts on disk, for what would be too much to keep in memory: first in, first out, in a file that nobody else
 * sees and that is gone with the process.
 *
 *   file: one JSON value a line      ▲ read so far        ▲ written so far
 *
 * Invariant: when all was read, the file is empty again.
 */

import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Bytes read back at a time. */
const chunkSize = 256 * 1024;

export class Spool<T> {
  #file: number | undefined;
  #folder: string | undefined;
  #written = 0;
  #read = 0;

  get isEmpty(): boolean {
    return this.#read === this.#written;
  }

  /** @throws what the file system throws: the disk may be full */
  push(value: T): void {
    this.#file ??= this.#open();
    const line = Buffer.from(`${JSON.stringify(value)}\n`);
    for (let done = 0; done < line.length;)
      done += writeSync(this.#file, line, done, line.length - done, this.#written + done);
    this.#written += line.length;
  }

  /** The oldest ones, some of them. */
  take(): T[] {
    if (this.#file === undefined || this.isEmpty) return [];
    let size = chunkSize;
    for (;;) {
      const chunk = Buffer.alloc(Math.min(size, this.#written - this.#read));
      const length = readSync(this.#file, chunk, 0, chunk.length, this.#read);
      const end = chunk.subarray(0, length).lastIndexOf(0x0a) + 1;
      if (end === 0) {
        // One value is larger than that.
        size *= 2;
        continue;
      }
      this.#read += end;
      if (this.#read === this.#written) this.#empty(this.#file);
      const lines = chunk.toString('utf8', 0, end - 1).split('\n');
      return lines.map((line) => JSON.parse(line) as T);
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#file = this.#folder = undefined;
    this.#read = this.#written = 0;
  }

  #empty(file: number): void {
    ftruncateSync(file, 0);
    this.#read = this.#written = 0;
  }

  #open(): number {
    const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-output-'));
    const file = openSync(path.join(folder, 'pending'), 'w+', 0o600);
    // Where a file may lose its name while it is open, nothing is left behind, whatever ends us.
    if (process.platform === 'win32') this.#folder = folder;
    else rmSync(folder, { recursive: true, force: true });
    return file;
  }
}
