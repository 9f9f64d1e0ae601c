/**
 * Scalar types by the names that C++ and NT's headers give them, for PDBs that do not tell: `unsigned long long`, `ULONG`,
 * `PUCHAR`, `ULONG_PTR`. Sizes are those of Windows: `long` has 32 bits.
 */

import { integer, pointerTo, voidType, type BooleanType, type FloatType, type Type } from './type';

export const boolType: BooleanType = { kind: 'boolean', name: 'bool', size: 1 };
export const floatType: FloatType = { kind: 'float', name: 'float', size: 4 };
export const doubleType: FloatType = { kind: 'float', name: 'double', size: 8 };

export const charType = integer('char', 1, true);
export const wideCharType = integer('wchar_t', 2, false);
export const intType = integer('int', 4, true);
export const unsignedIntType = integer('unsigned int', 4, false);
export const longType = integer('long', 4, true);
export const unsignedLongType = integer('unsigned long', 4, false);
export const int64Type = integer('__int64', 8, true);
export const unsignedInt64Type = integer('unsigned __int64', 8, false);
/** `typedef long NTSTATUS`, but one that knows to be shown by name. */
export const statusType = { ...longType, name: 'NTSTATUS' };

/** What sizeof gives. */
export const sizeType = (pointerSize: number): Type =>
  pointerSize === 8 ? unsignedInt64Type : unsignedIntType;

const sized = (bits: number, signed: boolean): Type =>
  ({
    8: integer(signed ? 'signed char' : 'unsigned char', 1, signed),
    16: integer(signed ? 'short' : 'unsigned short', 2, signed),
    32: signed ? intType : unsignedIntType,
    64: signed ? int64Type : unsignedInt64Type,
    128: integer(signed ? '__int128' : 'unsigned __int128', 16, signed),
  })[bits]!;

/** Words that can only begin a type. */
export const typeWords: ReadonlySet<string> = new Set(
  'void bool char short int long float double signed unsigned wchar_t char8_t char16_t char32_t __int8 __int16 __int32 __int64 __int128 __wchar_t'.split(
    ' ',
  ),
);

/** `unsigned long int`, its words in any order. Undefined if they make no type. */
export function typeOfWords(words: readonly string[]): Type | undefined {
  const rest = [...words].sort().join(' ');
  const signed = !words.includes('unsigned');
  const bare = rest
    .replace(/\b(un)?signed\b/g, '')
    .trim()
    .replace(/ +/g, ' ');
  if (words.filter((word) => /^(un)?signed$/.test(word)).length > 1) return undefined;
  const hasSign = bare !== rest;
  switch (bare) {
    case 'void':
      return hasSign ? undefined : voidType;
    case 'bool':
      return hasSign ? undefined : boolType;
    case 'float':
      return hasSign ? undefined : floatType;
    case 'double':
    case 'double long':
      return hasSign ? undefined : doubleType;
    case 'wchar_t':
    case '__wchar_t':
      return hasSign ? undefined : wideCharType;
    case 'char8_t':
    case 'char16_t':
    case 'char32_t':
      return hasSign ? undefined : integer(bare, Number(bare.replace(/\D/g, '')) / 8, false);
    case 'char':
      return hasSign ? sized(8, signed) : charType;
    case 'short':
    case 'int short':
      return sized(16, signed);
    case '':
    case 'int':
      return sized(32, signed);
    case 'long':
    case 'int long':
      return signed ? longType : unsignedLongType;
    case 'long long':
    case 'int long long':
      return sized(64, signed);
    default: {
      const bits = /^__int(8|16|32|64|128)$/.exec(bare)?.[1];
      return bits === undefined ? undefined : sized(Number(bits), signed);
    }
  }
}

/** Bits, negative if signed, and the names of such integers. */
const integers = new Map(
  (
    [
      [8, 'UCHAR BYTE BOOLEAN UINT8 uint8_t KIRQL'],
      [-8, 'SCHAR INT8 int8_t'],
      [16, 'USHORT WORD UINT16 uint16_t'],
      [-16, 'SHORT CSHORT INT16 int16_t'],
      [32, 'UINT UINT32 ULONG32 DWORD32 uint32_t'],
      [-32, 'INT BOOL INT32 LONG32 int32_t'],
      [64, 'ULONGLONG ULONG64 DWORD64 DWORDLONG UINT64 QWORD uint64_t'],
      [-64, 'LONGLONG LONG64 INT64 int64_t'],
    ] as const
  ).flatMap(([bits, names]) => names.split(' ').map((name) => [name, bits] as const)),
);
const longs: Readonly<Record<string, Type>> = {
  LONG: longType,
  ULONG: unsignedLongType,
  DWORD: unsignedLongType,
  KPRIORITY: longType,
  ACCESS_MASK: unsignedLongType,
  NTSTATUS: statusType,
  HRESULT: { ...longType, name: 'HRESULT' },
  CHAR: charType,
  WCHAR: wideCharType,
  FLOAT: floatType,
  DOUBLE: doubleType,
  VOID: voidType,
};
const pointerWide: Readonly<Record<string, boolean>> = {
  SIZE_T: false,
  SSIZE_T: true,
  ULONG_PTR: false,
  LONG_PTR: true,
  DWORD_PTR: false,
  UINT_PTR: false,
  INT_PTR: true,
  KAFFINITY: false,
  size_t: false,
  uintptr_t: false,
  intptr_t: true,
  ptrdiff_t: true,
};

/** By a typedef's name. Undefined if NT's headers have none of it that stands for a scalar. */
export function builtinType(name: string, pointerSize: number): Type | undefined {
  const plain = plainType(name, pointerSize);
  if (plain) return plain;
  if (name === 'HANDLE') return pointerTo(voidType, pointerSize);
  const text = /^(?:LP|P)C?(W?)STR$/.exec(name);
  if (text) return pointerTo(text[1] === '' ? charType : wideCharType, pointerSize);
  const pointee = /^(?:LP|P)C?(\w+)$/.exec(name)?.[1];
  const to = pointee === undefined ? undefined : plainType(pointee, pointerSize);
  return to && pointerTo(to, pointerSize);
}

function plainType(name: string, pointerSize: number): Type | undefined {
  if (Object.hasOwn(longs, name)) return longs[name];
  const bits = integers.get(name);
  if (bits !== undefined) return sized(Math.abs(bits), bits < 0);
  if (Object.hasOwn(pointerWide, name)) return sized(pointerSize * 8, pointerWide[name]!);
  return undefined;
}
