/**
 * Symbol records inside procedures: scopes, variables, and where variables live. A record is u16 length of the rest,
 * u16 kind, fields (offsets below from the end of the kind); names are NUL-ended UTF-8.
 *
 *   S_?PROC32     110f 1110 1146 1147 1155 1156   0 parent  4 end  8 next  c length  10 prolog end  14 epilog start
 *                 18 type (TPI; in the _ID forms an IPI function id)  1c offset  20 u16 section  22 u8 flags  23 name
 *   S_FRAMEPROC   1012  0 bytes of frame  4 of padding  8 its offset  c bytes of saved registers  10 handler offset
 *                 14 u16 its section  16 u32 flags: 14-15 base of locals, 16-17 base of parameters
 *   S_BLOCK32     1103  0 parent  4 end  8 length  c offset  10 u16 section  12 name
 *   S_INLINESITE  114d  0 parent  4 end  8 inlinee (IPI)  c annotations;   S_INLINESITE2 115d  c u32 calls  10 annotations
 *   S_LOCAL       113e  0 type  4 u16 flags (1 parameter, 100 optimised out, …)  6 name; its DEFRANGEs follow
 *   S_FILESTATIC  1153  0 type  4 module file name  8 u16 flags  a name; its DEFRANGEs follow
 *   S_REGREL32    1111  0 i32 offset  4 type  8 u16 register  a name
 *     _INDIR      1171  0 i32 offset  4 type  8 offset behind the pointer  c u16 register  e name
 *   S_BPREL32     110b  0 i32 offset  4 type  8 name;   _INDIR 1170  8 offset behind the pointer  c name
 *   S_REGISTER    1106  0 type  4 u16 register  6 name
 *   S_?DATA32 110c 110d, S_?THREAD32 1112 1113   0 type  4 offset  8 u16 section  a name
 *   S_CONSTANT    1107  0 type  4 numeric leaf, name
 *
 * Source: microsoft-pdb, cvinfo.h; the _INDIR forms, which it leaves out, LLVM's SymbolRecord.h (BPREL32's by analogy).
 */

import { recordEnd } from '../pdb/symbolKinds';
import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';

export const K = {
  END: 0x0006,
  FRAMEPROC: 0x1012,
  BLOCK32: 0x1103,
  WITH32: 0x1104,
  REGISTER: 0x1106,
  CONSTANT: 0x1107,
  BPREL32: 0x110b,
  LDATA32: 0x110c,
  GDATA32: 0x110d,
  LPROC32: 0x110f,
  GPROC32: 0x1110,
  REGREL32: 0x1111,
  LTHREAD32: 0x1112,
  GTHREAD32: 0x1113,
  LOCAL: 0x113e,
  DEFRANGE: 0x113f,
  DEFRANGE_SUBFIELD: 0x1140,
  DEFRANGE_REGISTER: 0x1141,
  DEFRANGE_FRAMEPOINTER_REL: 0x1142,
  DEFRANGE_SUBFIELD_REGISTER: 0x1143,
  DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE: 0x1144,
  DEFRANGE_REGISTER_REL: 0x1145,
  LPROC32_ID: 0x1146,
  GPROC32_ID: 0x1147,
  INLINESITE: 0x114d,
  INLINESITE_END: 0x114e,
  PROC_ID_END: 0x114f,
  FILESTATIC: 0x1153,
  LPROC32_DPC: 0x1155,
  LPROC32_DPC_ID: 0x1156,
  INLINESITE2: 0x115d,
  BPREL32_INDIR: 0x1170,
  REGREL32_INDIR: 0x1171,
  DEFRANGE_REGISTER_REL_INDIR: 0x1177,
  DEFRANGE_CONSTVAL_FULL_SCOPE: 0x117f,
  DEFRANGE_GLOBALSYM_FULL_SCOPE: 0x1180,
} as const;

/** One record: `data` is the part behind its kind. */
export interface SymbolRecord {
  readonly kind: number;
  /** In the module's symbols, signature included, as pParent and pEnd count. */
  readonly at: number;
  readonly end: number;
  readonly data: FileBytes;
}

/** @throws file-damaged if it leaves the bytes */
export function recordAt(symbols: FileBytes, at: number): SymbolRecord {
  const end = recordEnd(symbols, at);
  return { kind: symbols.u16(at + 2), at, end, data: symbols.part(at + 4, end - at - 4) };
}

/** A place in the image: a section, from 1, and an offset in it. */
export interface SectionOffset {
  readonly section: number;
  readonly offset: number;
}

export interface ProcedureRecord extends SectionOffset {
  readonly name: string;
  /** TPI type, or with `isId` an IPI function id; 0 in stripped PDBs. */
  readonly type: number;
  readonly isId: boolean;
  /** Bytes. */
  readonly length: number;
  /** From the start: where the prolog has done its work. */
  readonly prologEnd: number;
  /** From the start: where the (last) epilog begins. */
  readonly epilogStart: number;
  /** Of the record that ends its scope. */
  readonly endRecord: number;
}

/** Undefined if the record is of another kind. */
export function asProcedure({ kind, data }: SymbolRecord): ProcedureRecord | undefined {
  const isId = kind === K.LPROC32_ID || kind === K.GPROC32_ID || kind === K.LPROC32_DPC_ID;
  if (!isId && kind !== K.LPROC32 && kind !== K.GPROC32 && kind !== K.LPROC32_DPC) return undefined;
  return {
    name: data.string(0x23),
    type: data.u32(0x18),
    isId,
    section: data.u16(0x20),
    offset: data.u32(0x1c),
    length: data.u32(0xc),
    prologEnd: data.u32(0x10),
    epilogStart: data.u32(0x14),
    endRecord: data.u32(4),
  };
}

/** What FRAMEPROC calls the base of locals or parameters, by machine. */
export type FrameBase = 'none' | 'stack' | 'frame' | 'other';
const frameBases = ['none', 'stack', 'frame', 'other'] as const;

export interface FrameRecord {
  /** Bytes, without what was pushed. */
  readonly frameSize: number;
  readonly savedRegisterBytes: number;
  readonly localBase: FrameBase;
  readonly parameterBase: FrameBase;
}

export function asFrame({ kind, data }: SymbolRecord): FrameRecord | undefined {
  if (kind !== K.FRAMEPROC) return undefined;
  const flags = data.u32(0x16);
  return {
    frameSize: data.u32(0),
    savedRegisterBytes: data.u32(0xc),
    localBase: frameBases[(flags >> 14) & 3]!,
    parameterBase: frameBases[(flags >> 16) & 3]!,
  };
}

/** Where a scope's record says that it ends; always behind the record, and not behind `limit`. */
export function scopeEnd(symbols: FileBytes, record: SymbolRecord, limit: number): number {
  const end = record.data.u32(4);
  if (end < record.end || end > limit) {
    throw fileDamaged(symbols.name, `the scope at ${record.at} ends at ${end}`);
  }
  return end;
}
