/**
 * Cabinet files (.cab, and the .pd_, .dl_, .ex_ of symbol stores): their directory, and one file out of them at a time,
 * block after block, so that memory stays at a few blocks and a window whatever the sizes.
 *
 *   ┌────────┬──────────┬─────────┬────────────────────────────┐
 *   │CFHEADER│CFFOLDER… │CFFILE…  │CFDATA CFDATA … per folder  │
 *   └────────┴──────────┴─────────┴────────────────────────────┘
 *   CFHEADER (36)   0 'MSCF'  8 u32 size  10 u32 offset of CFFILEs  18 u8 minor  19 u8 major (1)  1a u16 folders
 *                   1c u16 files  1e u16 flags: 1 another before, 2 another behind, 4 reserved areas  20 u16 set  22 u16 index
 *     flag 4        u16 bytes reserved here, u8 in each CFFOLDER, u8 in each CFDATA; then the reserved bytes
 *     flags 1, 2    two strings each: the other cabinet's name and its disk's
 *   CFFOLDER (8)    0 u32 offset of first CFDATA  4 u16 count  6 u16 compression: low 4 bits 0 none 1 MSZIP 3 LZX (bits 8-12 window)
 *   CFFILE (16)     0 u32 size  4 u32 offset in its folder  8 u16 folder (fffd-ffff: goes on in another cabinet)  e u16 attributes
 *                   10 name, NUL
 *   CFDATA (8)      0 u32 checksum (0: none)  4 u16 bytes here  6 u16 bytes unpacked, at most 32768   (offsets in hexadecimal)
 *
 * Invariants: every offset is checked by the source; names are data, never paths; what comes out is never more than the
 * CFFILE's size.
 *
 * Source: [MS-CAB].
 */

import { VmkdError } from '../../core/errors';
import { fileDamaged, type ByteSource } from '../../core/byteSource';
import { layout, u16, u32, u8 } from '../../core/layout';
import { decodeAnsi } from '../../core/text';
import { hasChecksum } from './checksum';
import { LzxUnpacker } from './lzx';
import { MszipUnpacker } from './mszip';
import { blockSize, type Unpacker } from './unpacker';

const cfHeader = layout(36, {
  signature: [0, u32],
  filesOffset: [0x10, u32],
  major: [0x19, u8],
  folderCount: [0x1a, u16],
  fileCount: [0x1c, u16],
  flags: [0x1e, u16],
});
const reserveSizes = layout(4, { header: [0, u16], folder: [2, u8], data: [3, u8] });
const cfFolder = layout(8, { dataOffset: [0, u32], dataCount: [4, u16], compression: [6, u16] });
const cfFile = layout(16, { size: [0, u32], offset: [4, u32], folder: [8, u16], attributes: [14, u16] });
const cfData = layout(8, { checksum: [0, u32], packed: [4, u16], unpacked: [6, u16] });

const flag = { before: 1, behind: 2, reserve: 4 } as const;
const nameIsUtf8 = 0x80;
const firstContinued = 0xfffd;
const longestName = 256;

export interface CabinetFile {
  /** As it stands in the cabinet: hostile. */
  readonly name: string;
  /** Bytes, unpacked. */
  readonly size: number;
}

interface Folder {
  readonly dataOffset: number;
  readonly dataCount: number;
  readonly compression: number;
}

interface Entry extends CabinetFile {
  readonly offset: number;
  readonly folder: number;
}

export class Cabinet {
  readonly #entries: readonly Entry[];
  readonly #folders: readonly Folder[];
  readonly #dataReserve: number;

  /** Reads the directory. @throws file-damaged, file-unsupported */
  constructor(readonly source: ByteSource) {
    if (source.size < cfHeader.size) throw fileDamaged(source.name, 'too short for a cabinet');
    const header = cfHeader.read(source.read(0, cfHeader.size));
    if (header.signature !== 0x4643534d || header.major !== 1) {
      throw fileDamaged(source.name, 'it does not begin as a cabinet does');
    }
    let at: number = cfHeader.size;
    let reserve = { header: 0, folder: 0, data: 0 };
    if (header.flags & flag.reserve) {
      reserve = reserveSizes.read(source.read(at, reserveSizes.size));
      at += reserveSizes.size + reserve.header;
    }
    const links = (header.flags & flag.before ? 2 : 0) + (header.flags & flag.behind ? 2 : 0);
    for (let i = 0; i < links; i++) at = readName(source, at).end;
    this.#dataReserve = reserve.data;
    this.#folders = Array.from({ length: header.folderCount }, (_, i) =>
      cfFolder.read(source.read(at + i * (cfFolder.size + reserve.folder), cfFolder.size)),
    );
    this.#entries = readEntries(source, header.filesOffset, header.fileCount);
  }

  get files(): readonly CabinetFile[] {
    return this.#entries;
  }

  /**
   * The bytes of one of `files`, in pieces of at most 32 KiB, each valid until the next is asked for.
   * @throws file-damaged, file-unsupported
   */
  *extract(file: CabinetFile): Generator<Uint8Array, void, undefined> {
    const entry = this.#entries.find((candidate) => candidate === file);
    if (entry === undefined) throw new VmkdError('internal', 'That file is not of this cabinet');
    if (entry.folder >= firstContinued) {
      throw unsupported(this.source, `${entry.name} goes on in another cabinet of a set`);
    }
    const folder = this.#folders[entry.folder];
    if (folder === undefined) throw fileDamaged(this.source.name, `there is no folder ${entry.folder}`);
    let skip = entry.offset;
    let wanted = entry.size;
    if (wanted === 0) return;
    for (const bytes of this.#blocks(folder)) {
      if (skip >= bytes.length) {
        skip -= bytes.length;
        continue;
      }
      const piece = bytes.subarray(skip, skip + wanted);
      skip = 0;
      wanted -= piece.length;
      yield piece;
      if (wanted === 0) return;
    }
    throw fileDamaged(this.source.name, `${entry.name} lacks its last ${wanted} bytes`);
  }

  *#blocks(folder: Folder): Generator<Uint8Array, void, undefined> {
    const { source } = this;
    const unpacker = unpackerOf(source, folder.compression);
    let at = folder.dataOffset;
    for (let i = 0; i < folder.dataCount; i++) {
      const head = source.read(at, cfData.size + this.#dataReserve);
      const { checksum, packed, unpacked } = cfData.read(head);
      at += head.length;
      if (unpacked === 0) throw unsupported(source, 'a block goes on in another cabinet of a set');
      if (unpacked > blockSize) throw fileDamaged(source.name, `a block of ${unpacked} bytes`);
      const block = source.read(at, packed);
      at += packed;
      if (checksum !== 0 && !hasChecksum(checksum, head.subarray(4), block)) {
        throw fileDamaged(source.name, `block ${i} does not have the checksum it says`);
      }
      yield unpacker.unpack(block, unpacked);
    }
  }
}

function unpackerOf(source: ByteSource, compression: number): Unpacker {
  switch (compression & 15) {
    case 0:
      return {
        unpack(block, unpackedSize) {
          if (block.length === unpackedSize) return block;
          throw fileDamaged(source.name, `a stored block of ${block.length} bytes says ${unpackedSize}`);
        },
      };
    case 1:
      return new MszipUnpacker(source.name);
    case 3:
      return new LzxUnpacker(source.name, (compression >> 8) & 31);
    default:
      throw unsupported(source, `its compression (${compression & 15}) is neither MSZIP nor LZX`);
  }
}

function readEntries(source: ByteSource, offset: number, count: number): Entry[] {
  const entries: Entry[] = [];
  let at = offset;
  for (let i = 0; i < count; i++) {
    const { size, offset: inFolder, folder, attributes } = cfFile.read(source.read(at, cfFile.size));
    const { bytes, end } = readName(source, at + cfFile.size);
    const name = attributes & nameIsUtf8 ? utf8.decode(bytes) : decodeAnsi(bytes);
    entries.push({ name, size, offset: inFolder, folder });
    at = end;
  }
  return entries;
}

const utf8 = new TextDecoder();

function readName(source: ByteSource, at: number): { bytes: Uint8Array; end: number } {
  const bytes = source.read(at, Math.max(0, Math.min(longestName, source.size - at)));
  const length = bytes.indexOf(0);
  if (length < 0) throw fileDamaged(source.name, `a name of over ${longestName} bytes`);
  return { bytes: bytes.slice(0, length), end: at + length + 1 };
}

const unsupported = (source: ByteSource, what: string): VmkdError =>
  new VmkdError('file-unsupported', `${source.name}: ${what}`, {
    nextStep: 'Get the file uncompressed, or unpack it with expand.exe or cabextract.',
  });
