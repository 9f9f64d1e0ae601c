/**
 * The info stream (1) of a PDB: its identity, and the streams that have names.
 *
 *   00 u32 version   04 u32 time stamp   08 u32 age   0c GUID (16)
 *   1c u32 bytes of names, the names (NUL-ended), then a hash table of {u32 offset of the name, u32 stream}:
 *      u32 entries, u32 capacity, bit set of what is present, bit set of what is deleted (each u32 words, then the
 *      words), the present pairs in turn; then u32 feature codes to the end
 *
 * Source: LLVM's docs/PDB/PdbStream.rst and HashTable.rst. The age here is not the one that images carry: that one
 * stands in the DBI header.
 */

import { fileDamaged } from '../../core/byteSource';
import { FileBytes } from '../fileBytes';
import type { Msf } from './msf';

export interface PdbInfo {
  readonly version: number;
  readonly timeStamp: number;
  /** How often the file was written; for display only. */
  readonly age: number;
  /** 16 bytes. */
  readonly guid: Uint8Array;
  /** `/names`, `/LinkInfo`, `/src/headerblock`… → stream index. */
  readonly namedStreams: ReadonlyMap<string, number>;
  /** Stream 4 holds ids (LF_FUNC_ID…). */
  readonly hasIpi: boolean;
}

const infoStream = 1;
const headerSize = 28;
const longestName = 1024;
/** Stream indices have 16 bits. */
const mostNamed = 65536;
const featureVc110 = 20091201;
const featureVc140 = 20140508;

/** @throws file-damaged */
export function readInfo(msf: Msf): PdbInfo {
  const stream = msf.needStream(infoStream, 'the info stream');
  const bytes = new FileBytes(stream.read(0, stream.size), stream.name);
  const namedStreams = new Map<string, number>();
  let at = headerSize;
  const nameBytes = bytes.u32(at);
  const names = bytes.part(at + 4, nameBytes);
  at += 4 + nameBytes;
  const entries = bytes.u32(at);
  at += 8;
  const presentWords = bytes.u32(at);
  const present = bytes.part(at + 4, presentWords * 4);
  at += 4 + presentWords * 4;
  at += 4 + bytes.u32(at) * 4;
  for (let bit = 0; bit < presentWords * 32; bit++) {
    if (((present.u32((bit >> 5) * 4) >>> (bit & 31)) & 1) === 0) continue;
    const name = bytes.u32(at);
    namedStreams.set(names.string(name, name + longestName), bytes.u32(at + 4));
    if (namedStreams.size > mostNamed) throw fileDamaged(stream.name, `over ${mostNamed} named streams`);
    at += 8;
  }
  if (namedStreams.size > entries) throw fileDamaged(stream.name, `more than its ${entries} named streams`);
  let hasIpi = false;
  // Microsoft's linker writes a zero between the table and the feature codes; unknown codes mean nothing to us.
  for (; at + 4 <= bytes.length; at += 4) {
    const code = bytes.u32(at);
    if (code === featureVc140 || code === featureVc110) hasIpi = true;
  }
  return {
    version: bytes.u32(0),
    timeStamp: bytes.u32(4),
    age: bytes.u32(8),
    guid: bytes.part(12, 16).bytes.slice(),
    namedStreams,
    hasIpi,
  };
}
