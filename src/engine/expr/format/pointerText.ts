/** Addresses in one line: `0xfffff80312345678 nt!KiTimer+0x10`, `0xffffa10000000010 "text"`. */

import type { VirtualAddress } from '../../core/addresses';
import type { Access } from '../access';
import type { TextEncoding } from '../syntax/formatSpecifiers';
import type { CharacterKind, PointerType, Type } from '../types/type';
import { inMemory, type Place } from '../values/place';
import { addressOf } from '../values/scalar';
import { countedString, readText, type TextUnit } from '../values/text';
import type { Format } from './format';
import type { Value } from '../values/value';
import { plainText, quoted } from './quoted';
import { unreadableText } from './unreadable';

export const mostCharacters = 256;
/** No module lies in the first 64 KiB. */
const lowestNamed = 0x10000n;

/** With what lies there, if that is known. */
export async function addressText(
  access: Access,
  address: VirtualAddress,
  size: number,
  { noSymbol }: Format,
): Promise<string> {
  const digits = addressDigits(address, size);
  if (noSymbol === true || address < lowestNamed) return digits;
  const symbol = await access.context.symbolAt(address);
  return symbol === undefined ? digits : `${digits} ${symbol}`;
}

/** All of a pointer's digits. */
const addressDigits = (address: bigint, size: number): string =>
  `0x${BigInt.asUintN(size * 8, address)
    .toString(16)
    .padStart(size * 2, '0')}`;

/** With the text that it points at, if it is a pointer to such. */
export async function pointerText(
  access: Access,
  type: PointerType,
  value: bigint,
  format: Format,
): Promise<string> {
  const address = addressOf(value, type.size);
  const wantsText = format.text !== undefined || (value !== 0n && format.raw !== true);
  const text = wantsText ? await textBehind(access, inMemory(address), type.to, format) : undefined;
  if (text !== undefined && format.unquoted === true) return text;
  // Where there is text, a symbol says less: of literals no more than that they are such.
  if (text !== undefined) return `${addressDigits(address, type.size)} ${text}`;
  return addressText(access, address, type.size, format);
}

/** Undefined if what is pointed at is none. */
async function textBehind(
  access: Access,
  there: Place,
  to: Type,
  format: Format,
): Promise<string | undefined> {
  try {
    const counted = await countedText(access, { type: to, place: there }, format);
    if (counted !== undefined) return counted;
    const unit = textUnit(format) ?? unitOfCharacter(to);
    return unit && (await textAt(access, there, unit, format));
  } catch (error) {
    return unreadableText(error);
  }
}

/** Of a UNICODE_STRING and its kin. @throws as readText */
export async function countedText(access: Access, value: Value, format: Format): Promise<string | undefined> {
  const found = await countedString(access, value, mostCharacters);
  return found && shownText(found.text, found.cut, format);
}

/** What lies there up to a NUL. @throws as readText */
export async function textAt(
  access: Access,
  place: Place,
  unit: TextUnit,
  format: Format,
  most = mostCharacters,
): Promise<string> {
  const { text, cut } = await readText(access, place, unit, Math.min(most, mostCharacters));
  // An array without a NUL is full, and not cut.
  return shownText(text, cut && most >= mostCharacters, format);
}

const shownText = (text: string, cut: boolean, { unquoted }: Format): string =>
  unquoted === true ? plainText(text) : quoted(text, cut);

const unitsByEncoding: Readonly<Record<TextEncoding, TextUnit>> = { ansi: 1, utf8: 'utf8', utf16: 2 };
const unitsByCharacter: Readonly<Record<CharacterKind, TextUnit | undefined>> = {
  ansi: 1,
  utf8: 'utf8',
  utf16: 2,
  utf32: 4,
  byte: undefined,
};

/** What the user wants to see text as, if at all. */
export const textUnit = ({ text }: Format): TextUnit | undefined => text && unitsByEncoding[text];

/** Of characters that are text more often than numbers. */
export const unitOfCharacter = (type: Type): TextUnit | undefined =>
  type.kind === 'integer' && type.character !== undefined ? unitsByCharacter[type.character] : undefined;
