/**
 * Types below 0x1000, which have no record: bits 0-7 say what, bits 8-10 how it is pointed at (0: not at all).
 *
 *   mode 1 near, 2 far, 3 huge: 16 bits   4 near 32, 5 far 32   6 near 64   7 near 128
 *
 * Source: microsoft-pdb, cvinfo.h (TYPE_ENUM_e). 0x103, a near pointer to nothing, is std::nullptr_t.
 */

import type { TypeIndex } from './records';

export type SimpleKind = 'void' | 'signed' | 'unsigned' | 'character' | 'float' | 'boolean' | 'other';

export interface SimpleType {
  /** As C writes it. */
  readonly name: string;
  /** As WinDbg's dt writes it. */
  readonly short: string;
  readonly kind: SimpleKind;
  /** Bytes. */
  readonly size: number;
}

const simple = (name: string, short: string, kind: SimpleKind, size: number): SimpleType => ({
  name,
  short,
  kind,
  size,
});

const simpleTypes: Readonly<Record<number, SimpleType>> = {
  0x00: simple('<no type>', '<no type>', 'other', 0),
  0x03: simple('void', 'Void', 'void', 0),
  0x07: simple('<unknown>', '<unknown>', 'other', 0),
  0x08: simple('HRESULT', 'HRESULT', 'signed', 4),
  0x10: simple('signed char', 'Char', 'character', 1),
  0x11: simple('short', 'Int2B', 'signed', 2),
  0x12: simple('long', 'Int4B', 'signed', 4),
  0x13: simple('__int64', 'Int8B', 'signed', 8),
  0x14: simple('__int128', 'Int16B', 'signed', 16),
  0x20: simple('unsigned char', 'UChar', 'character', 1),
  0x21: simple('unsigned short', 'Uint2B', 'unsigned', 2),
  0x22: simple('unsigned long', 'Uint4B', 'unsigned', 4),
  0x23: simple('unsigned __int64', 'Uint8B', 'unsigned', 8),
  0x24: simple('unsigned __int128', 'Uint16B', 'unsigned', 16),
  0x30: simple('bool', 'Bool', 'boolean', 1),
  0x31: simple('__bool16', 'Bool', 'boolean', 2),
  0x32: simple('__bool32', 'Bool', 'boolean', 4),
  0x33: simple('__bool64', 'Bool', 'boolean', 8),
  0x34: simple('__bool128', 'Bool', 'boolean', 16),
  0x40: simple('float', 'Float', 'float', 4),
  0x41: simple('double', 'Float', 'float', 8),
  0x42: simple('long double', 'Float', 'float', 10),
  0x43: simple('__float128', 'Float', 'float', 16),
  0x44: simple('__float48', 'Float', 'float', 6),
  0x45: simple('float', 'Float', 'float', 4),
  0x46: simple('__half', 'Float', 'float', 2),
  0x50: simple('_Complex float', 'Complex', 'other', 8),
  0x51: simple('_Complex double', 'Complex', 'other', 16),
  0x52: simple('_Complex long double', 'Complex', 'other', 20),
  0x53: simple('_Complex __float128', 'Complex', 'other', 32),
  0x60: simple('<bit>', '<bit>', 'other', 0),
  0x61: simple('<Pascal char>', 'Char', 'character', 1),
  0x68: simple('__int8', 'Char', 'signed', 1),
  0x69: simple('unsigned __int8', 'UChar', 'unsigned', 1),
  0x70: simple('char', 'Char', 'character', 1),
  0x71: simple('wchar_t', 'Wchar', 'character', 2),
  0x72: simple('__int16', 'Int2B', 'signed', 2),
  0x73: simple('unsigned __int16', 'Uint2B', 'unsigned', 2),
  0x74: simple('int', 'Int4B', 'signed', 4),
  0x75: simple('unsigned int', 'Uint4B', 'unsigned', 4),
  0x76: simple('__int64', 'Int8B', 'signed', 8),
  0x77: simple('unsigned __int64', 'Uint8B', 'unsigned', 8),
  0x78: simple('__int128', 'Int16B', 'signed', 16),
  0x79: simple('unsigned __int128', 'Uint16B', 'unsigned', 16),
  0x7a: simple('char16_t', 'Char16', 'character', 2),
  0x7b: simple('char32_t', 'Char32', 'character', 4),
  0x7c: simple('char8_t', 'Char8', 'character', 1),
};

const pointerSizes: readonly number[] = [0, 2, 4, 4, 4, 6, 8, 16];

/** Types from here on have records. */
export const firstRecordIndex = 0x1000;
export const nullptrType = 0x103;

/** What lies at the end of it. Undefined for codes that mean nothing. */
export function simpleType(index: TypeIndex): SimpleType | undefined {
  return index < firstRecordIndex ? simpleTypes[index & 0xff] : undefined;
}

/** Bytes of a pointer to a simple type; 0 if the index is no pointer. */
export const simplePointerSize = (index: TypeIndex): number =>
  index < firstRecordIndex ? pointerSizes[(index >> 8) & 7]! : 0;
