/**
 * A file that somebody looks into, a PDB or a PE image, with the symbols that belong to it. Which of the two it is, its
 * contents say.
 *
 *   PDB     itself
 *   image   the PDB that it names, if the right one lies beside it or on the symbol path, bounded by the image's own
 *           function table; else its exports
 *
 * Invariants: of the path in an image only the file name counts, so no image can have a file opened elsewhere; a PDB is
 * used only if GUID and age agree.
 */

import path from 'node:path';
import { openFileSource, type OpenFile } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import type { PdbReference } from '../pe/debugDirectory';
import { PeFile } from '../peImage';
import { checkSymbolFile } from '../store/fileCheck';
import type { HttpGet } from '../store/http';
import { pdbFile } from '../store/symbolFile';
import type { PathElement } from '../store/symbolPath';
import type { Attempt, FetchOptions } from '../store/symbolServer';
import { SymbolStore } from '../store/symbolStore';
import { moduleNameOf } from './moduleName';
import { openExportSymbols, openPdbSymbols, type OpenSymbols } from './openSymbols';

export interface SessionOptions {
  readonly symbolPath: readonly PathElement[];
  /** Where something goes that was found compressed. */
  readonly defaultCache: string;
  readonly get: HttpGet;
  /** Undefined: folders and caches only. */
  readonly online?: FetchOptions | undefined;
}

export interface SymbolFileSession {
  /** The file that was asked for. */
  readonly path: string;
  /** What stands before `!`. */
  readonly moduleName: string;
  /** IMAGE_FILE_MACHINE_*. */
  readonly machine: number;
  /** Bytes that the image takes in memory. */
  readonly size: number;
  /** Where the image wants to be loaded; 0 for a PDB, which does not know. */
  readonly imageBase: bigint;
  /** Undefined if the file is a PDB. */
  readonly image: PeFile | undefined;
  /** Undefined if the file is a PDB, or an image that names none. */
  readonly search: PdbSearch | undefined;
  readonly open: OpenSymbols;
  /** Releases all files. */
  close(): void;
}

/** How the PDB of an image was looked for. */
export interface PdbSearch {
  readonly reference: PdbReference;
  /** Undefined: exports serve as symbols. */
  readonly path: string | undefined;
  readonly attempts: readonly Attempt[];
  /** Why it was not looked for at all: its name could not be that of a symbol file. */
  readonly refused: string | undefined;
}

/** @throws file-unreadable, file-damaged, file-unsupported; cancelled */
export async function openSymbolFile(file: string, options: SessionOptions): Promise<SymbolFileSession> {
  const source = openFileSource(file);
  try {
    const kind = kindOf(source);
    if (kind === 'pdb') {
      source.close();
      return pdbSession(file);
    }
    return await imageSession(file, source, options);
  } catch (error) {
    source.close();
    throw error;
  }
}

function pdbSession(file: string): SymbolFileSession {
  const open = openPdbSymbols(file);
  const { dbi, sections } = open.pdb!;
  return {
    path: file,
    moduleName: moduleNameOf(file),
    machine: dbi.machine,
    size: Math.max(0, ...sections.sections.map(({ rva, size }) => rva + size)),
    imageBase: 0n,
    image: undefined,
    search: undefined,
    open,
    close: () => open.close(),
  };
}

async function imageSession(
  file: string,
  source: OpenFile,
  options: SessionOptions,
): Promise<SymbolFileSession> {
  const image = new PeFile(source);
  const reference = image.pdbReference();
  const search = reference && (await findPdb(file, reference, options));
  const open =
    search?.path === undefined
      ? openExportSymbols(image.exports(), image.image, image.functions())
      : openPdbSymbols(search.path, image.functions());
  const { machine, sizeOfImage, imageBase } = image.image;
  return {
    path: file,
    moduleName: moduleNameOf(file),
    machine,
    size: sizeOfImage,
    imageBase,
    image,
    search,
    open,
    close() {
      open.close();
      source.close();
    },
  };
}

async function findPdb(
  file: string,
  reference: PdbReference,
  { symbolPath, defaultCache, get, online }: SessionOptions,
): Promise<PdbSearch> {
  let wanted;
  try {
    wanted = pdbFile(reference.path, reference.key);
  } catch (error) {
    if (!(error instanceof VmkdError)) throw error;
    return { reference, path: undefined, attempts: [], refused: error.message };
  }
  const beside: PathElement = { kind: 'plain', path: path.dirname(file), cache: undefined };
  const store = new SymbolStore({
    path: [beside, ...symbolPath],
    defaultCache,
    check: checkSymbolFile,
    get,
  });
  const located = online ? await store.fetch(wanted, online) : await store.find(wanted);
  return { reference, ...located, refused: undefined };
}

function kindOf(file: OpenFile): 'pdb' | 'image' {
  const start = String.fromCharCode(...file.read(0, Math.min(file.size, 16)));
  if (start.startsWith('MZ')) return 'image';
  // All containers that PDBs ever came in; which of them are read, the reader says.
  if (start.startsWith('Microsoft ')) return 'pdb';
  if (start.startsWith('MSCF')) {
    throw new VmkdError('file-unsupported', `${file.name} is a cabinet, as stores keep compressed files`, {
      nextStep:
        'Expand it first (Windows: expand; elsewhere: cabextract), or name its store in --symbol-path.',
    });
  }
  throw new VmkdError('file-unsupported', `${file.name} is neither a PDB nor a PE image`, {
    nextStep: 'Give a PDB, or an image that Windows loads: .exe, .dll, .sys.',
  });
}
