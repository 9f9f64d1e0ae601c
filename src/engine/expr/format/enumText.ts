/** Values of enums by the names of their enumerators. */

import type { EnumType } from '../types/type';

/**
 * `PagedPool`; of flags `FILE_READ | FILE_WRITE`. Undefined if no enumerators make up the value.
 * @param value Its bits, unsigned.
 * @param width How many.
 */
export function enumNames({ enumerators }: EnumType, value: bigint, width: number): string | undefined {
  const bits = (one: bigint): bigint => BigInt.asUintN(width, one);
  const exact = enumerators.find((one) => bits(one.value) === value);
  if (exact) return exact.name;
  if (value === 0n || enumerators.some((one) => isNumber(bits(one.value)))) return undefined;
  let rest = value;
  const names: string[] = [];
  for (const one of enumerators) {
    const bit = bits(one.value);
    if (!isFlag(bit) || (rest & bit) === 0n) continue;
    names.push(one.name);
    rest &= ~bit;
  }
  return rest === 0n ? names.join(' | ') : undefined;
}

const isFlag = (value: bigint): boolean => value !== 0n && (value & (value - 1n)) === 0n;

/** An enum that has a 3 before its 4 counts; masks of flags are larger than the flags in them. */
const isNumber = (value: bigint): boolean => value === 3n;
