/**
 * The debug directory: which PDB belongs to an image.
 *
 *   IMAGE_DEBUG_DIRECTORY (28): 4 TimeDateStamp  c type  10 size  14 rva of the data  18 file offset of the data
 *   CodeView data of type 2: 0 'RSDS'  4 GUID (16)  14 u32 age  18 path of the PDB, UTF-8
 */

import { layout, u32, hex32, bytes } from '../../core/layout';
import { FileBytes } from '../fileBytes';
import { pdbKey } from '../pdbKey';
import type { PeImage } from './headers';
import type { ImageParser } from './reading';

export interface PdbReference {
  /** 16 bytes as in the file. */
  readonly guid: Uint8Array;
  /** The age to compare with that of a PDB's DBI header (not of its info stream). */
  readonly age: number;
  /** As the linker wrote it; often an absolute path of the build machine. Hostile: only its last part is a name. */
  readonly path: string;
  /** The last part of the path. */
  readonly fileName: string;
  /** GUID and age as symbol stores write them. */
  readonly key: string;
}

const entry = layout(28, { type: [0xc, u32], size: [0x10, u32], rva: [0x14, u32] });
const rsds = layout(24, { signature: [0, hex32], guid: [4, bytes(16)], age: [0x14, u32] });
const codeView = 2;
const mostEntries = 64;
const longestPath = 4096;

/** The image's PDB, or undefined if it names none. @throws what the reader throws if the page is absent. */
export function* parsePdbReference(image: PeImage, name: string): ImageParser<PdbReference | undefined> {
  if (image.debug === undefined) return undefined;
  const count = Math.min(Math.floor(image.debug.size / entry.size), mostEntries);
  const table = yield { rva: image.debug.rva, length: count * entry.size };
  for (let i = 0; i < count; i++) {
    const { type, size, rva } = entry.read(table, i * entry.size);
    if (type !== codeView || size <= rsds.size || rva === 0 || rva + size > image.sizeOfImage) continue;
    const data = new FileBytes(yield { rva, length: Math.min(size, rsds.size + longestPath) }, name);
    const { signature, guid, age } = rsds.read(data.bytes);
    if (signature !== 0x53445352) continue;
    const path = data.string(rsds.size);
    const fileName = path.slice(Math.max(path.lastIndexOf('\\'), path.lastIndexOf('/')) + 1);
    return { guid, age, path, fileName, key: pdbKey(guid, age) };
  }
  return undefined;
}
