/**
 * Numbers as C++ and WinDbg write them, with the types that C++ gives them on Windows.
 *
 *   1234  0x4d2  02322  0b1001  1'000  1.5e3  2.f    C++; a leading 0 is octal
 *   0n1234  0t2322  0y1001                           WinDbg's decimal, octal, binary
 *   fffff803`12345678  0xfffff803`12345678           hexadecimal of 64 bits, its halves apart
 *   12u  12L  12ull  12i64  12ui64                   suffixes
 */

import { bad, type Span } from '../expressionError';
import {
  doubleType,
  floatType,
  int64Type,
  intType,
  longType,
  unsignedInt64Type,
  unsignedIntType,
  unsignedLongType,
} from '../types/builtinTypes';
import type { IntegerType, Type } from '../types/type';

interface NumberLiteral {
  readonly value: bigint | number;
  readonly type: Type;
  readonly span: Span;
}

const ticked = /(?:0x)?([0-9a-f]{1,8})`([0-9a-f]{8})(?![\w`])/iy;
const real = /(?:\d[\d']*\.\d*|\.\d+)(?:e[+-]?\d+)?(f|l)?(?![\w.])|\d[\d']*e[+-]?\d+(f|l)?(?![\w.])/iy;
const whole = /0x[0-9a-f']*|0[nty]\d[\d']*|0b[01'][01']*|\d[\d']*/iy;
const suffix = /(ui64|i64|ull|llu|ul|lu|ll|u|l)?(?=[^\w]|$)/iy;

/** Undefined if there is no number at `at`. @throws expression-bad if there is one that is none after all */
export function readNumber(text: string, at: number): NumberLiteral | undefined {
  ticked.lastIndex = at;
  const halves = ticked.exec(text);
  if (halves) {
    const value = (BigInt(`0x${halves[1]!}`) << 32n) | BigInt(`0x${halves[2]!}`);
    return { value, type: unsignedInt64Type, span: { offset: at, length: halves[0].length } };
  }
  if (!/^\.?\d/.test(text.slice(at, at + 2))) return undefined;
  real.lastIndex = at;
  const found = real.exec(text);
  if (found) {
    const [written, first, second] = found;
    const isFloat = (first ?? second)?.toLowerCase() === 'f';
    const value = Number(written.replace(/[fl]$/i, '').replaceAll("'", ''));
    return {
      value: isFloat ? Math.fround(value) : value,
      type: isFloat ? floatType : doubleType,
      span: { offset: at, length: written.length },
    };
  }
  return readInteger(text, at);
}

function readInteger(text: string, offset: number): NumberLiteral {
  whole.lastIndex = offset;
  const written = whole.exec(text)?.[0] ?? '';
  suffix.lastIndex = offset + written.length;
  const ending = suffix.exec(text);
  const span = { offset, length: written.length + (ending?.[0].length ?? 0) };
  const [, prefix = '', digits = ''] = /^(0[xntyb])?(.*)$/i.exec(written.replaceAll("'", ''))!;
  if (!ending || digits === '') {
    const [all] = /^[\w']+/.exec(text.slice(offset))!;
    throw bad(
      `“${all}” is no number.`,
      { offset, length: all.length },
      /^[0-9a-f]+$/i.test(all) ? `Write 0x${all} if it is hexadecimal.` : undefined,
    );
  }
  const radix = radixOf(prefix.toLowerCase(), digits);
  const value = valueOf(digits, radix);
  if (value === undefined) throw bad(`“${written}” is no ${radixNames[radix]!} number.`, span);
  if (value >= 1n << 64n) throw bad(`“${written}” has more than 64 bits.`, span);
  return { value, type: typeOfInteger(value, radix === 10, ending[0].toLowerCase()), span };
}

const radixNames: Readonly<Record<number, string>> = {
  2: 'binary',
  8: 'octal',
  10: 'decimal',
  16: 'hexadecimal',
};

function radixOf(prefix: string, digits: string): number {
  switch (prefix) {
    case '0x':
      return 16;
    case '0y':
    case '0b':
      return 2;
    case '0t':
      return 8;
    case '0n':
      return 10;
    default:
      return digits.length > 1 && digits.startsWith('0') ? 8 : 10;
  }
}

function valueOf(digits: string, radix: number): bigint | undefined {
  switch (radix) {
    case 16:
      return BigInt(`0x${digits}`);
    case 8:
      return /^[0-7]+$/.test(digits) ? BigInt(`0o${digits}`) : undefined;
    case 2:
      return /^[01]+$/.test(digits) ? BigInt(`0b${digits}`) : undefined;
    default:
      return BigInt(digits);
  }
}

/** The first of C++'s list that holds the value: decimal numbers without `u` are never unsigned, until 64 bits are too few. */
function typeOfInteger(value: bigint, decimal: boolean, suffix: string): IntegerType {
  const unsigned = suffix.includes('u');
  const long = suffix.includes('64') || suffix.includes('ll') ? 2 : suffix.includes('l') ? 1 : 0;
  const candidates = [
    [intType, unsignedIntType],
    [longType, unsignedLongType],
    [int64Type, unsignedInt64Type],
  ] as const;
  for (const [signedType, unsignedType] of candidates.slice(long)) {
    const bits = BigInt(signedType.size * 8);
    if (!unsigned && value < 1n << (bits - 1n)) return signedType;
    if ((unsigned || !decimal) && value < 1n << bits) return unsignedType;
  }
  return unsignedInt64Type;
}
