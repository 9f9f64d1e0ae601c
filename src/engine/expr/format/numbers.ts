/** Numbers as text: integers in five radixes, floating point with as many digits as tell it from its neighbours. */

import type { Radix } from '../syntax/formatSpecifiers';
import type { BitRange } from '../values/place';

/** @param bits The width of the type, or of the bit field: what a negative number is shown in, in other radixes. */
export function integerText(value: bigint, bits: number, radix: Radix): string {
  const unsigned = BigInt.asUintN(bits, value);
  switch (radix) {
    case 'decimal':
      return BigInt.asIntN(bits, value) === value ? value.toString() : BigInt.asIntN(bits, value).toString();
    case 'unsigned':
      return unsigned.toString();
    case 'hex':
      return `0x${unsigned.toString(16)}`;
    case 'octal':
      return `0${unsigned === 0n ? '' : unsigned.toString(8)}`;
    case 'binary':
      return `0b${unsigned.toString(2)}`;
  }
}

/** Bits of a value of `size` bytes. */
export const widthOf = (size: number, bits: BitRange | undefined): number => bits?.length ?? size * 8;

export function floatText(value: number, size: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const text = size === 4 ? shortestSingle(value) : String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** The fewest digits that make this float again. */
function shortestSingle(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(value);
}
