/**
 * The DBI stream (3): what was linked, and where the rest of the debug information is.
 *
 *   header (64): 00 i32 -1  04 version  08 age  0c u16 globals stream  10 u16 publics stream  14 u16 symbol records
 *     18 i32 bytes of modules  1c of section contributions  20 section map  24 source info  28 type server map
 *     30 i32 bytes of the optional debug header  34 EC names  38 u16 flags (1 incremental, 2 stripped)  3a u16 machine
 *   then, in this order: modules, section contributions, section map, source info, type servers, EC names,
 *     optional debug header (u16 stream indices; ffff: none)
 *
 *   module (64 + names, aligned to 4): 22 u16 stream (ffff: none)  24 u32 bytes of symbols  28 C11 lines  2c C13 lines
 *     30 u16 source files  40 module name, NUL, object file name, NUL
 *
 * Source: LLVM's docs/PDB/DbiStream.rst; Microsoft's microsoft-pdb, dbi.h.
 * Invariants: every part lies in the stream; there are at most 65535 modules; only the header and the module list are
 * read at opening.
 */

import { fileDamaged } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { hex16, layout, u16, u32 } from '../../core/layout';
import { FileBytes } from '../fileBytes';
import type { Msf, MsfStream } from './msf';

export interface Module {
  readonly index: number;
  /** Usually the object file's path; `* Linker *` for what the linker made. */
  readonly name: string;
  /** The library or object file it came from. */
  readonly objectFile: string;
  /** Its own stream; undefined: nothing is known of it. */
  readonly stream: number | undefined;
  /** Bytes in that stream, in this order. */
  readonly symbolBytes: number;
  readonly c11Bytes: number;
  readonly c13Bytes: number;
}

/** Streams of the optional debug header, by their place in it. */
export const debugStreams = {
  fpo: 0,
  omapToSource: 3,
  omapFromSource: 4,
  sections: 5,
  xdata: 7,
  pdata: 8,
  newFpo: 9,
  originalSections: 10,
} as const;

export interface Dbi {
  /** To be compared with the age in the image's RSDS record. */
  readonly age: number;
  /** IMAGE_FILE_MACHINE_*. */
  readonly machine: number;
  readonly incrementallyLinked: boolean;
  /** Private symbols were taken out (PDBCopy, /PDBSTRIPPED): publics, some procedures without types, no lines. */
  readonly stripped: boolean;
  readonly globalsStream: number;
  readonly publicsStream: number;
  readonly symbolRecordsStream: number;
  readonly modules: readonly Module[];
  /** The bytes of the section contributions, read when asked for. */
  contributions(): FileBytes;
  /** The bytes of the source info, read when asked for. */
  sourceInfo(): FileBytes;
  /** A stream of the optional debug header, if there is one. */
  debugStream(which: (typeof debugStreams)[keyof typeof debugStreams]): MsfStream | undefined;
}

const dbiStream = 3;
const header = layout(64, {
  signature: [0, u32],
  version: [4, u32],
  age: [8, u32],
  globalsStream: [0xc, u16],
  publicsStream: [0x10, u16],
  symbolRecordsStream: [0x14, u16],
  moduleBytes: [0x18, u32],
  contributionBytes: [0x1c, u32],
  sectionMapBytes: [0x20, u32],
  sourceInfoBytes: [0x24, u32],
  typeServerBytes: [0x28, u32],
  debugHeaderBytes: [0x30, u32],
  ecBytes: [0x34, u32],
  flags: [0x38, hex16],
  machine: [0x3a, hex16],
});
const moduleHeader = layout(64, {
  stream: [0x22, u16],
  symbolBytes: [0x24, u32],
  c11Bytes: [0x28, u32],
  c13Bytes: [0x2c, u32],
});
const versionV70 = 19990903;
const none = 0xffff;
const mostModules = 65535;

/** @throws file-damaged; file-unsupported if it was written by a linker of before 1999. */
export function readDbi(msf: Msf): Dbi {
  const stream = msf.needStream(dbiStream, 'the DBI stream');
  const head = header.read(stream.read(0, header.size));
  if (head.signature !== 0xffff_ffff || head.version < versionV70) {
    throw new VmkdError(
      'file-unsupported',
      `${stream.name} is of version ${head.version}, before Visual C++ 7`,
    );
  }
  const contributionsAt = header.size + head.moduleBytes;
  const sectionMapAt = contributionsAt + head.contributionBytes;
  const debugHeaderAt =
    sectionMapAt + head.sectionMapBytes + head.sourceInfoBytes + head.typeServerBytes + head.ecBytes;
  if (debugHeaderAt + head.debugHeaderBytes > stream.size)
    throw fileDamaged(stream.name, 'its parts exceed it');
  const moduleBytes = new FileBytes(stream.read(header.size, head.moduleBytes), stream.name);
  const debugHeader = new FileBytes(
    stream.read(debugHeaderAt, Math.min(head.debugHeaderBytes, 64)).slice(),
    stream.name,
  );
  return {
    age: head.age,
    machine: head.machine,
    incrementallyLinked: (head.flags & 1) !== 0,
    stripped: (head.flags & 2) !== 0,
    globalsStream: head.globalsStream,
    publicsStream: head.publicsStream,
    symbolRecordsStream: head.symbolRecordsStream,
    modules: parseModules(moduleBytes),
    contributions: () => new FileBytes(stream.read(contributionsAt, head.contributionBytes), stream.name),
    sourceInfo: () =>
      new FileBytes(stream.read(sectionMapAt + head.sectionMapBytes, head.sourceInfoBytes), stream.name),
    debugStream: (which) =>
      which * 2 + 2 > debugHeader.length ? undefined : msf.stream(debugHeader.u16(which * 2)),
  };
}

function parseModules(bytes: FileBytes): Module[] {
  const modules: Module[] = [];
  let at = 0;
  while (at + moduleHeader.size <= bytes.length) {
    if (modules.length === mostModules) throw fileDamaged(bytes.name, `more than ${mostModules} modules`);
    const { stream, symbolBytes, c11Bytes, c13Bytes } = moduleHeader.read(bytes.bytes, at);
    const nameAt = at + moduleHeader.size;
    const nameEnd = bytes.endOfString(nameAt);
    const objectEnd = bytes.endOfString(Math.min(nameEnd + 1, bytes.length));
    modules.push({
      index: modules.length,
      name: bytes.string(nameAt),
      objectFile: bytes.string(Math.min(nameEnd + 1, bytes.length)),
      stream: stream === none ? undefined : stream,
      symbolBytes,
      c11Bytes,
      c13Bytes,
    });
    at = (objectEnd + 1 + 3) & ~3;
  }
  return modules;
}
