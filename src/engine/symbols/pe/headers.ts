/**
 * The headers of a PE image, PE32 and PE32+, of any machine.
 *
 *   0 'MZ' … 3c u32 e_lfanew ─▶ 'PE\0\0'
 *    +04 COFF header (20): 4 machine  6 sections  8 TimeDateStamp  14 u16 size of the optional header  16 characteristics
 *    +18 optional header: 18 magic  28 entry point  50 SizeOfImage  54 SizeOfHeaders  58 CheckSum
 *        PE32  (10b): 34 u32 ImageBase  74 number of data directories  78 data directories {u32 rva, u32 size}
 *        PE32+ (20b): 30 u64 ImageBase  84 number of data directories  88 data directories
 *    then section headers (40): 0 name[8]  8 VirtualSize  c VirtualAddress  10 SizeOfRawData  14 PointerToRawData
 *        24 characteristics
 *
 * Source: Microsoft's PE format specification (learn.microsoft.com/windows/win32/debug/pe-format).
 * Invariants: every directory and section that is handed out lies inside SizeOfImage; sections are in order of RVA.
 */

import { fileDamaged } from '../../core/byteSource';
import { hex16, hex32, layout, u16, u32, u64 } from '../../core/layout';
import { FileBytes } from '../fileBytes';
import type { ImageParser } from './reading';

export const machines = { x86: 0x14c, x64: 0x8664, arm64: 0xaa64 } as const;
export type KnownMachine = keyof typeof machines;

/** Undefined for any other machine. */
export const knownMachine = (machine: number): KnownMachine | undefined =>
  (Object.keys(machines) as KnownMachine[]).find((name) => machines[name] === machine);

export interface Directory {
  readonly rva: number;
  readonly size: number;
}

export interface Section {
  /** At most 8 characters. */
  readonly name: string;
  readonly rva: number;
  /** Bytes in memory. */
  readonly size: number;
  /** Where its bytes lie in a file, and how many there are; the rest is zeros. */
  readonly fileOffset: number;
  readonly fileSize: number;
  /** IMAGE_SCN_*: 20000000 execute, 40000000 read, 80000000 write. */
  readonly characteristics: number;
}

export interface PeImage {
  /** IMAGE_FILE_MACHINE_*. */
  readonly machine: number;
  /** 8 in PE32+, 4 in PE32. */
  readonly pointerSize: 4 | 8;
  /** Seconds since 1970, or a hash in reproducible builds; with the size, the image's key in symbol stores. */
  readonly timeDateStamp: number;
  /** Bytes in memory. */
  readonly sizeOfImage: number;
  readonly sizeOfHeaders: number;
  readonly checkSum: number;
  /** Where it wants to be loaded; for an image in memory, where it was. */
  readonly imageBase: bigint;
  /** RVA; 0 if there is none. */
  readonly entryPoint: number;
  readonly sections: readonly Section[];
  /** The export directory, if there is one. */
  readonly exports: Directory | undefined;
  /** .pdata: RUNTIME_FUNCTIONs, each pointing into .xdata. */
  readonly exceptions: Directory | undefined;
  readonly debug: Directory | undefined;
}

const dosHeader = layout(64, { magic: [0, hex16], newHeader: [0x3c, u32] });
const ntHeaders = layout(0x78, {
  signature: [0, hex32],
  machine: [4, hex16],
  sectionCount: [6, u16],
  timeDateStamp: [8, hex32],
  optionalSize: [0x14, u16],
  magic: [0x18, hex16],
  entryPoint: [0x28, u32],
  imageBase64: [0x30, u64],
  imageBase32: [0x34, u32],
  sizeOfImage: [0x50, u32],
  sizeOfHeaders: [0x54, u32],
  checkSum: [0x58, hex32],
});
const sectionHeader = layout(40, {
  size: [8, u32],
  rva: [0xc, u32],
  fileSize: [0x10, u32],
  fileOffset: [0x14, u32],
  characteristics: [0x24, hex32],
});
const optionalHeaderAt = 0x18;
const directoryIndex = { exports: 0, exceptions: 3, debug: 6 } as const;

/** Windows itself loads no image with more. */
const mostSections = 96;

/** Parses the headers. `name` is what errors call the image. @throws file-damaged if it is no PE image. */
export function* parseHeaders(name: string): ImageParser<PeImage> {
  const notAnImage = (why: string): Error => fileDamaged(name, `not a PE image: ${why}`);
  const dos = dosHeader.read(yield { rva: 0, length: dosHeader.size });
  if (dos.magic !== 0x5a4d || dos.newHeader > 0x10000) throw notAnImage('it does not begin with MZ');
  const nt = ntHeaders.read(yield { rva: dos.newHeader, length: ntHeaders.size });
  if (nt.signature !== 0x4550) throw notAnImage('it has no PE header');
  if (nt.magic !== 0x20b && nt.magic !== 0x10b) {
    throw notAnImage(`its optional header is of kind 0x${nt.magic.toString(16)}`);
  }
  if (nt.sectionCount > mostSections) throw notAnImage(`it claims ${nt.sectionCount} sections`);
  const wide = nt.magic === 0x20b;
  const { machine, timeDateStamp, sizeOfImage, sizeOfHeaders, checkSum, entryPoint } = nt;

  const directoriesAt = wide ? 0x70 : 0x60;
  const rest = Math.max(0, nt.optionalSize - directoriesAt);
  const table = new FileBytes(
    yield { rva: dos.newHeader + optionalHeaderAt + directoriesAt - 4, length: 4 + rest },
    name,
  );
  const count = Math.min(table.u32(0), rest >> 3);
  const directoryOf = (index: number): Directory | undefined => {
    if (index >= count) return undefined;
    const [rva, size] = [table.u32(4 + index * 8), table.u32(8 + index * 8)];
    return rva > 0 && size > 0 && rva + size <= sizeOfImage ? { rva, size } : undefined;
  };

  const sections = new FileBytes(
    yield {
      rva: dos.newHeader + optionalHeaderAt + nt.optionalSize,
      length: nt.sectionCount * sectionHeader.size,
    },
    name,
  );
  return {
    machine,
    pointerSize: wide ? 8 : 4,
    timeDateStamp,
    sizeOfImage,
    sizeOfHeaders,
    checkSum,
    imageBase: wide ? nt.imageBase64 : BigInt(nt.imageBase32),
    entryPoint,
    sections: parseSections(sections)
      .filter((section) => section.rva + section.size <= sizeOfImage)
      .sort((a, b) => a.rva - b.rva),
    exports: directoryOf(directoryIndex.exports),
    exceptions: directoryOf(directoryIndex.exceptions),
    debug: directoryOf(directoryIndex.debug),
  };
}

/** Section headers in a row, as in an image or in a PDB's copy of them, which symbols number from 1. */
export function parseSections(table: FileBytes): Section[] {
  const sections: Section[] = [];
  for (let at = 0; at + sectionHeader.size <= table.length; at += sectionHeader.size) {
    const header = sectionHeader.read(table.bytes, at);
    // Old linkers leave VirtualSize 0 and mean the raw size.
    const size = header.size === 0 ? header.fileSize : header.size;
    sections.push({ ...header, name: table.string(at, at + 8), size });
  }
  return sections;
}
