/** Opens what tells about one image: a PDB, or the image's exports where there is none. */

import { openFileSource } from '../../core/byteSource';
import { Pdb } from '../pdb/pdb';
import type { ExportTable } from '../pe/exports';
import type { FunctionTable } from '../pe/functionTable';
import type { PeImage } from '../pe/headers';
import type { TypeTable } from '../types/typeTable';
import { ExportSymbols } from './exportSymbols';
import type { ImageSymbols } from './imageSymbols';
import { PdbSymbols } from './pdbSymbols';

/** Symbols of one image with everything that they were made of. */
export interface OpenSymbols {
  readonly symbols: ImageSymbols;
  readonly pdb?: Pdb;
  /** Opened when it is first asked for. @throws file-damaged, file-unsupported */
  readonly types?: TypeTable;
  /** The image's if it was given, else the PDB's copy of it. */
  readonly functions?: FunctionTable;
  /** Releases files: nothing can be read afterwards. A second close does nothing. */
  close(): void;
}

/**
 * Of private or public quality. Whether the PDB belongs to the image is the caller's business (store/fileCheck.ts).
 * @param functions The image's own, which knows more than the PDB's copy.
 * @throws file-unreadable, file-damaged, file-unsupported
 */
export function openPdbSymbols(path: string, functions?: FunctionTable): OpenSymbols {
  const file = openFileSource(path);
  try {
    const pdb = new Pdb(file);
    const bounds = functions ?? pdb.functions;
    return {
      symbols: new PdbSymbols(pdb, bounds),
      pdb,
      get types() {
        return pdb.types;
      },
      ...(bounds && { functions: bounds }),
      close: () => file.close(),
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Names of what an image exports. @param image Its headers. */
export function openExportSymbols(
  exports: ExportTable,
  { sections }: Pick<PeImage, 'sections'>,
  functions?: FunctionTable,
): OpenSymbols {
  return {
    symbols: new ExportSymbols(exports, functions, sections),
    ...(functions && { functions }),
    close: () => undefined,
  };
}
