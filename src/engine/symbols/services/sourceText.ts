/**
 * Lines of source files that a PDB names, out of the files that are here.
 *
 * Invariants: a file is read only where the source map leads, or under its own path if that is one of this machine,
 * never over the network: a PDB must not make anybody's machine log on to a share. At most `mostBytes` of a file are
 * read, and the last `mostFiles` are kept.
 */

import { statSync } from 'node:fs';
import path from 'node:path';
import { openFileSource } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import type { Pdb } from '../pdb/pdb';
import { compareSource, type LineMatch } from './sourceLines';
import { localPath, type SourceMapping } from './sourcePaths';

export interface SourceText {
  /** Here. */
  readonly path: string;
  /** `mismatch`: the code was built from another version of the file. */
  readonly checksum: LineMatch['checksum'];
  readonly lines: readonly string[];
}

const mostBytes = 16 << 20;
const mostFiles = 64;

export class SourceTexts {
  readonly #kept = new Map<string, SourceText | undefined>();

  constructor(
    private readonly pdb: Pdb,
    private readonly sourceMap: readonly SourceMapping[],
  ) {}

  /** @param source As in the PDB. Undefined if the file is not here, or cannot be read. */
  find(source: string): SourceText | undefined {
    if (this.#kept.has(source)) return this.#kept.get(source);
    const text = this.#read(source);
    if (this.#kept.size >= mostFiles) this.#kept.clear();
    this.#kept.set(source, text);
    return text;
  }

  #read(source: string): SourceText | undefined {
    const here = localPath(source, this.sourceMap) ?? (isLocal(source) ? source : undefined);
    if (here === undefined || !isFile(here)) return undefined;
    try {
      const file = openFileSource(here);
      try {
        if (file.size > mostBytes) return undefined;
        const content = file.read(0, file.size);
        const checksum = compareSource(this.pdb, source, content);
        return { path: here, checksum, lines: new TextDecoder().decode(content).split(/\r\n|\n|\r/) };
      } finally {
        file.close();
      }
    } catch (error) {
      if (error instanceof VmkdError) return undefined;
      throw error;
    }
  }
}

const isLocal = (source: string): boolean => path.isAbsolute(source) && !/^[\\/]{2}/.test(source);

/** Opening a pipe would wait for its other end. */
function isFile(here: string): boolean {
  try {
    return statSync(here).isFile();
  } catch {
    return false;
  }
}
