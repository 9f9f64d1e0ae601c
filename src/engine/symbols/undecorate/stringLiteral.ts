/**
 * Names of string literals: `??_C@_` width length hash `@` characters `@`. The characters are the first 32 bytes (or
 * as many as there are) of the literal; width 1 is wchar_t, 0 everything else, so that char16_t and char32_t have to be
 * guessed by their zeros.
 *
 *   ?0 … ?9    , / \ : . blank newline tab ' -
 *   ?a … ?z, ?A … ?Z    those with the top bit set
 *   ?$XY       the byte of hex digits X and Y, written A to P
 */

import { notDecorated } from './reader';
import type { Reader } from './reader';

const punctuation = ",/\\:. \n\t'-";
const mostBytes = 256;

/** The literal as C writes it, with dots behind it if it was cut. */
export function readStringLiteral(reader: Reader): string {
  reader.expect('@_');
  const width = reader.take();
  if (width !== '0' && width !== '1') throw notDecorated;
  const length = reader.number();
  if (length < (width === '1' ? 2n : 1n)) throw notDecorated;
  if (reader.until('@') === '') throw notDecorated;
  const bytes: number[] = [];
  while (!reader.skip('@')) {
    if (bytes.length >= mostBytes) throw notDecorated;
    bytes.push(readByte(reader));
  }
  if (width === '1') {
    if (bytes.length % 2 !== 0) throw notDecorated;
    return quote('L', unitsOf(bytes, 2, true), 2, length);
  }
  const size = guessWidth(bytes, length);
  return quote({ 1: '', 2: 'u', 4: 'U' }[size], unitsOf(bytes, size, false), size, length);
}

/** Wide characters are written high byte first, the others as they lie in memory. */
function unitsOf(bytes: readonly number[], size: number, highFirst: boolean): number[] {
  const units: number[] = [];
  for (let i = 0; i + size <= bytes.length; i += size) {
    const unit = bytes.slice(i, i + size);
    units.push((highFirst ? unit : unit.reverse()).reduce((value, byte) => value * 256 + byte, 0));
  }
  return units;
}

function readByte(reader: Reader): number {
  const first = reader.take();
  if (first !== '?') return first.charCodeAt(0) & 0xff;
  const escaped = reader.take();
  if (escaped === '$') return readNibble(reader) * 16 + readNibble(reader);
  if (escaped >= '0' && escaped <= '9') return punctuation.charCodeAt(Number(escaped));
  if (/[A-Za-z]/.test(escaped)) return escaped.charCodeAt(0) | 0x80;
  throw notDecorated;
}

function readNibble(reader: Reader): number {
  const digit = reader.take();
  if (digit < 'A' || digit > 'P') throw notDecorated;
  return digit.charCodeAt(0) - 0x41;
}

function guessWidth(bytes: readonly number[], length: bigint): 1 | 2 | 4 {
  if (length % 2n === 1n || bytes.length < 2) return 1;
  if (BigInt(bytes.length) === length) {
    const closing = bytes.length - 1 - bytes.findLastIndex((byte) => byte !== 0);
    if (closing >= 4 && length % 4n === 0n) return 4;
    return closing >= 2 ? 2 : 1;
  }
  const zeros = bytes.filter((byte) => byte === 0).length;
  if (zeros >= Math.floor((2 * bytes.length) / 3) && length % 4n === 0n) return 4;
  return zeros >= Math.floor(bytes.length / 3) ? 2 : 1;
}

const escapes: Readonly<Record<number, string>> = {
  0: '\\0',
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  39: "\\'",
  92: '\\\\',
};

/** @param length The literal's bytes, with the closing NUL, which newer compilers leave out of the characters. */
function quote(prefix: string, units: readonly number[], size: number, length: bigint): string {
  const given = BigInt(units.length * size);
  const shown = given >= length && units.at(-1) === 0 ? units.slice(0, -1) : units;
  const cut = given < length - BigInt(size);
  const text = shown.map((unit) => {
    if (unit > 0x1f && unit < 0x7f && !(unit in escapes)) return String.fromCharCode(unit);
    return escapes[unit] ?? hexEscape(unit);
  });
  return `${prefix}"${text.join('')}"${cut ? '...' : ''}`;
}

function hexEscape(unit: number): string {
  const digits = unit.toString(16).toUpperCase();
  return `\\x${digits.padStart(digits.length + (digits.length % 2), '0')}`;
}
