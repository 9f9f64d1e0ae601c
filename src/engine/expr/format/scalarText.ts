/** Numbers, booleans, enums and characters in one line; pointers are pointerText's. */

import { statusName } from '../statusNames';
import type { EnumType, IntegerType, PointerType, ScalarType } from '../types/type';
import type { BitRange } from '../values/place';
import type { Scalar } from '../values/scalar';
import { enumNames } from './enumText';
import type { DisplayOptions, Format } from './format';
import { floatText, integerText, widthOf } from './numbers';
import { quoted } from './quoted';
import { fileTimeText } from './times';

export function scalarText(
  type: Exclude<ScalarType, PointerType>,
  value: Scalar,
  bits: BitRange | undefined,
  format: Format,
  options: DisplayOptions,
): string {
  if (type.kind === 'float') return floatText(value as number, type.size);
  const number = value as bigint;
  if (type.kind === 'boolean') return booleanText(number);
  if (format.time === true) return fileTimeText(BigInt.asIntN(64, number));
  const width = widthOf(type.size, bits);
  const usual = options.hex ? 'hex' : type.signed ? 'decimal' : 'unsigned';
  const text = integerText(number, width, format.radix ?? usual);
  return type.kind === 'enum'
    ? enumText(type, number, width, text, format)
    : withMeaning(type, number, width, text, format);
}

const booleanText = (value: bigint): string =>
  value === 0n ? 'false' : value === 1n ? 'true' : `true (0x${value.toString(16)})`;

function enumText(type: EnumType, value: bigint, width: number, text: string, { raw }: Format): string {
  const names = raw === true ? undefined : enumNames(type, BigInt.asUintN(width, value), width);
  return names === undefined ? text : `${names} (${text})`;
}

/** What the number may stand for: a status, a character. */
function withMeaning(type: IntegerType, value: bigint, width: number, text: string, format: Format): string {
  const status = width === 32 ? statusOf(type, value, format) : undefined;
  if (status !== undefined) return `${status} (${integerText(value, 32, 'hex')})`;
  if (format.character === true) return `${text} ${characterText(value)}`;
  const { character } = type;
  const readable = character !== undefined && value !== 0n && (character !== 'byte' || isPlain(value));
  return readable && format.raw !== true ? `${text} ${characterText(BigInt.asUintN(width, value))}` : text;
}

/** Failures among plain longs, which is what PDBs make of NTSTATUS; whatever is said to be a status. */
function statusOf({ name }: IntegerType, value: bigint, { status, radix, raw }: Format): string | undefined {
  const isStatus = status === true || name === 'NTSTATUS';
  if (!isStatus && (name !== 'long' || value >= 0n || radix !== undefined || raw === true)) return undefined;
  return statusName(Number(BigInt.asUintN(32, value)));
}

/** Letters, digits and signs of ASCII. */
export const isPlain = (value: bigint): boolean => value >= 0x20n && value < 0x7fn;

function characterText(value: bigint): string {
  const code = Number(BigInt.asUintN(32, value));
  const character =
    code < 0x10000 ? String.fromCharCode(code) : String.fromCodePoint(code > 0x10ffff ? 0xfffd : code);
  return quoted(character, false, "'");
}
