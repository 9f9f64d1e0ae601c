/**
 * A PE image as it lies in memory: just enough to know what it is and what it exports. Bytes come through a reader, so an
 * image in guest memory (pages absent) and one in a buffer are read alike. The image is hostile: every RVA, count and
 * string is bounded by the image's own size and by the limits below.
 *
 *   0 'MZ' … 3c u32 e_lfanew ─▶ 'PE\0\0'  +4 COFF header (20)  +18h optional header:
 *       PE32+ magic 20b; 38h SizeOfImage; 70h data directories: [0] exports {u32 rva, u32 size}
 *       PE32  magic 10b; 38h SizeOfImage; 60h data directories
 *   export directory (40): 14 functions  18 names  1c rva of functions  20 rva of names  24 rva of ordinals
 */

import { VmkdError } from '../core/errors';
import { hex16, hex32, layout, u16, u32 } from '../core/layout';
import { decodeAnsiz } from '../core/text';

/** Reads `length` bytes at an offset from the image's base. @throws if any of them is absent. */
export type ImageReader = (rva: number, length: number) => Promise<Uint8Array>;

const dosHeader = layout(64, { magic: [0, hex16], newHeader: [0x3c, u32] });
const ntHeaders = layout(0x78, {
  signature: [0, hex32],
  machine: [4, hex16],
  timeDateStamp: [8, hex32],
  magic: [0x18, hex16],
  sizeOfImage: [0x50, u32],
  checkSum: [0x58, hex32],
});
const directory = layout(8, { rva: [0, u32], size: [4, u32] });
const exportDirectory = layout(40, {
  functionCount: [0x14, u32],
  nameCount: [0x18, u32],
  functions: [0x1c, u32],
  names: [0x20, u32],
  ordinals: [0x24, u32],
});

const mostExports = 65536;
const longestName = 512;

export interface PeImage {
  /** IMAGE_FILE_MACHINE_*. */
  readonly machine: number;
  /** Seconds since 1970, or a hash in reproducible builds; with the size, the image's key in symbol stores. */
  readonly timeDateStamp: number;
  /** Bytes in memory. */
  readonly sizeOfImage: number;
  readonly checkSum: number;
  /** The export directory, if there is one. */
  readonly exports: { readonly rva: number; readonly size: number } | undefined;
}

/** @throws protocol-violation if it is no PE image; whatever `read` throws. */
export async function readPeImage(read: ImageReader): Promise<PeImage> {
  const dos = dosHeader.read(await read(0, dosHeader.size));
  if (dos.magic !== 0x5a4d || dos.newHeader > 0x10000) throw notAnImage('it does not begin with MZ');
  const nt = ntHeaders.read(await read(dos.newHeader, ntHeaders.size));
  if (nt.signature !== 0x4550) throw notAnImage('it has no PE header');
  const directories = { 0x20b: 0x18 + 0x70, 0x10b: 0x18 + 0x60 }[nt.magic];
  if (directories === undefined)
    throw notAnImage(`its optional header is of kind 0x${nt.magic.toString(16)}`);
  const found = directory.read(await read(dos.newHeader + directories, directory.size));
  const inside =
    found.rva > 0 && found.size >= exportDirectory.size && found.rva + found.size <= nt.sizeOfImage;
  const { machine, timeDateStamp, sizeOfImage, checkSum } = nt;
  return { machine, timeDateStamp, sizeOfImage, checkSum, exports: inside ? found : undefined };
}

/** Exported names and their RVAs. Forwarders (RVAs inside the export directory) are left out. */
export async function readExports(read: ImageReader, image: PeImage): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  if (!image.exports) return found;
  // One read of the whole directory: linkers put its tables and names inside it.
  const { rva, size } = image.exports;
  const bytes = await read(rva, size);
  const table = exportDirectory.read(bytes);
  if (table.nameCount > mostExports || table.functionCount > mostExports) {
    throw new VmkdError('protocol-violation', `An image claims ${table.nameCount} exported names`);
  }
  const part = async (at: number, length: number): Promise<Uint8Array> =>
    at >= rva && at + length <= rva + size ? bytes.subarray(at - rva, at - rva + length) : read(at, length);
  const functions = await part(table.functions, table.functionCount * 4);
  const names = await part(table.names, table.nameCount * 4);
  const ordinals = await part(table.ordinals, table.nameCount * 2);
  for (let i = 0; i < table.nameCount; i++) {
    const nameRva = u32.read(viewOf(names), i * 4);
    const ordinal = u16.read(viewOf(ordinals), i * 2);
    if (ordinal >= table.functionCount || nameRva < rva || nameRva >= rva + size) continue;
    const functionRva = u32.read(viewOf(functions), ordinal * 4);
    const isForwarder = functionRva >= rva && functionRva < rva + size;
    if (functionRva === 0 || functionRva >= image.sizeOfImage || isForwarder) continue;
    found.set(decodeAnsiz(bytes.subarray(nameRva - rva, nameRva - rva + longestName)), functionRva);
  }
  return found;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

const notAnImage = (why: string): VmkdError => new VmkdError('protocol-violation', `Not a PE image: ${why}`);
