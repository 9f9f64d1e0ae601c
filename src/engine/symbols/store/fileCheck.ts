/**
 * Whether a file is the one that a name and a key in a symbol store mean: by what the file itself says, never by where
 * it lay or who sent it.
 *
 *   PDB     GUID of the info stream, age of the DBI header          image   TimeDateStamp, SizeOfImage of its headers
 */

import { openFileSource } from '../../core/byteSource';
import { Pdb } from '../pdb/pdb';
import { PeFile } from '../peImage';
import { imageFile } from './symbolFile';
import type { FileCheck } from './symbolStore';

/** @throws file-damaged, file-unsupported, file-unreadable: a SymbolStore takes these too for what is wrong with it. */
export const checkSymbolFile: FileCheck = (path, wanted) =>
  // A promise of its own, so that what opening throws rejects it.
  Promise.resolve().then(() => {
    const file = openFileSource(path);
    try {
      const key = wanted.kind === 'pdb' ? new Pdb(file).key : imageKey(new PeFile(file), wanted.name);
      if (key.toUpperCase() === wanted.key.toUpperCase()) return undefined;
      return `it is ${wanted.name} of another build: its key is ${key}, not ${wanted.key}`;
    } finally {
      file.close();
    }
  });

const imageKey = ({ image }: PeFile, name: string): string =>
  imageFile(name, image.timeDateStamp, image.sizeOfImage).key;
