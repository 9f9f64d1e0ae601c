/** Addresses in one line: `0xfffff80312345678 nt!KiTimer+0x10`, `0xffffa10000000010 "text"`. */

import type { VirtualAddress } from '../../core/addresses';
import type { Access } from '../access';
import type { TextEncoding } from '../syntax/formatSpecifiers';
import type { CharacterKind, PointerType, Type } from '../types/type';
import { inMemory, type Place } from '../values/place';
import { addressOf } from '../values/scalar';
import { countedString, readText, type TextUnit } from '../values/text';
import type { Format } from './format';
import { quoted } from './quoted';
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
  const unit = textUnit(format) ?? unitOfCharacter(type.to);
  const there = inMemory(address);
  if (format.text !== undefined && format.unquoted === true) return textAt(access, there, unit!, format);
  const shown = await addressText(access, address, type.size, format);
  if (value === 0n || (format.raw === true && format.text === undefined)) return shown;
  const text = await preview(access, there, type.to, unit, format);
  return text === undefined ? shown : `${shown} ${text}`;
}

async function preview(
  access: Access,
  there: Place,
  to: Type,
  unit: TextUnit | undefined,
  format: Format,
): Promise<string | undefined> {
  try {
    if (unit !== undefined) return await textAt(access, there, unit, format);
    const found = await countedString(access, { type: to, place: there }, mostCharacters);
    return found && (format.unquoted === true ? found.text : quoted(found.text, found.cut));
  } catch (error) {
    return unreadableText(error, there);
  }
}

/** What lies there up to a NUL. @throws as readText */
export async function textAt(
  access: Access,
  place: Place,
  unit: TextUnit,
  { unquoted }: Format,
  most = mostCharacters,
): Promise<string> {
  const { text, cut } = await readText(access, place, unit, Math.min(most, mostCharacters));
  // An array without a NUL is full, and not cut.
  return unquoted === true ? text : quoted(text, cut && most >= mostCharacters);
}

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
