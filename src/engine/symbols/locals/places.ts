/**
 * Where a variable lives, and while the program is where: the records behind S_LOCAL and S_FILESTATIC.
 *
 *   range (8)  0 offset  4 u16 section  6 u16 bytes; then gaps {u16 from the range's start, u16 bytes}…: holes in it
 *
 *   S_DEFRANGE_REGISTER                    1141  0 u16 register  2 u16 attributes  4 range
 *   S_DEFRANGE_FRAMEPOINTER_REL            1142  0 i32 offset  4 range
 *   S_DEFRANGE_SUBFIELD_REGISTER           1143  0 u16 register  2 u16 attributes  4 u32 offset in the variable:12  8 range
 *   S_DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE 1144  0 i32 offset
 *   S_DEFRANGE_REGISTER_REL                1145  0 u16 register  2 u16 spilled member:1 pad:3 offset in the variable:12
 *                                                4 i32 offset  8 range
 *   S_DEFRANGE_REGISTER_REL_INDIR          1177  the same, but 8 i32 offset behind the pointer  c range
 *   S_DEFRANGE_CONSTVAL_FULL_SCOPE         117f  the value's bytes
 *   S_DEFRANGE_GLOBALSYM_FULL_SCOPE        1180  0 offset  4 u16 section: the value is that address
 *   S_DEFRANGE 113f, _SUBFIELD 1140: programs of a language that nobody has described
 *
 * Source: microsoft-pdb, cvinfo.h; 117f and 1180 as measured on what MSVC writes; 1177 LLVM's SymbolRecord.h.
 */

import type { FileBytes } from '../fileBytes';
import { K, type SectionOffset, type SymbolRecord } from './records';

interface LiveRange extends SectionOffset {
  readonly length: number;
  /** From the start of the range. */
  readonly gaps: readonly { readonly start: number; readonly length: number }[];
}

export type Spot =
  | { readonly kind: 'register'; readonly register: number }
  | {
      readonly kind: 'memory';
      readonly register: number;
      readonly offset: number;
      /** If present, a pointer lies there, and the variable this many bytes behind what it points at. */
      readonly behindPointer?: number;
    }
  /** Relative to what FRAMEPROC says. */
  | { readonly kind: 'frame'; readonly offset: number }
  | { readonly kind: 'constant'; readonly bytes: Uint8Array }
  | { readonly kind: 'addressOf'; readonly place: SectionOffset }
  | { readonly kind: 'unknown'; readonly record: number };

export interface Place {
  readonly spot: Spot;
  /** Absent: as long as the scope lasts. */
  readonly range?: LiveRange;
  /** Bytes from the start of the variable, where this is a piece of it. */
  readonly pieceAt?: number;
}

/** Undefined if the record is none of a place. @throws file-damaged */
export function asPlace({ kind, data }: SymbolRecord): Place | undefined {
  switch (kind) {
    case K.DEFRANGE_REGISTER:
      return { spot: { kind: 'register', register: data.u16(0) }, range: rangeAt(data, 4) };
    case K.DEFRANGE_FRAMEPOINTER_REL:
      return { spot: { kind: 'frame', offset: data.i32(0) }, range: rangeAt(data, 4) };
    case K.DEFRANGE_FRAMEPOINTER_REL_FULL_SCOPE:
      return { spot: { kind: 'frame', offset: data.i32(0) } };
    case K.DEFRANGE_SUBFIELD_REGISTER:
      return {
        spot: { kind: 'register', register: data.u16(0) },
        range: rangeAt(data, 8),
        pieceAt: data.u32(4) & 0xfff,
      };
    case K.DEFRANGE_REGISTER_REL:
      return inMemory(data, undefined, 8);
    case K.DEFRANGE_REGISTER_REL_INDIR:
      return inMemory(data, data.i32(8), 12);
    case K.DEFRANGE_CONSTVAL_FULL_SCOPE:
      return { spot: { kind: 'constant', bytes: Uint8Array.from(data.bytes) } };
    case K.DEFRANGE_GLOBALSYM_FULL_SCOPE:
      return { spot: { kind: 'addressOf', place: { offset: data.u32(0), section: data.u16(4) } } };
    case K.DEFRANGE:
      return { spot: { kind: 'unknown', record: kind }, range: rangeAt(data, 4) };
    case K.DEFRANGE_SUBFIELD:
      return { spot: { kind: 'unknown', record: kind }, range: rangeAt(data, 8) };
    default:
      return undefined;
  }
}

function inMemory(data: FileBytes, behindPointer: number | undefined, rangeStart: number): Place {
  const flags = data.u16(2);
  const spot: Spot = { kind: 'memory', register: data.u16(0), offset: data.i32(4) };
  const place = {
    spot: behindPointer === undefined ? spot : { ...spot, behindPointer },
    range: rangeAt(data, rangeStart),
  };
  return (flags & 1) !== 0 ? { ...place, pieceAt: flags >> 4 } : place;
}

function rangeAt(data: FileBytes, at: number): LiveRange {
  const gaps: { start: number; length: number }[] = [];
  for (let gap = at + 8; gap + 4 <= data.length; gap += 4) {
    gaps.push({ start: data.u16(gap), length: data.u16(gap + 2) });
  }
  return { offset: data.u32(at), section: data.u16(at + 4), length: data.u16(at + 6), gaps };
}

/** Whether the variable is there while the program is at `address`. */
export function isLive({ range }: Place, address: SectionOffset): boolean {
  if (!range) return true;
  const into = address.offset - range.offset;
  if (address.section !== range.section || into < 0 || into >= range.length) return false;
  return !range.gaps.some(({ start, length }) => into >= start && into < start + length);
}
