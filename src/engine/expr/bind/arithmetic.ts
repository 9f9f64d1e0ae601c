/**
 * What C++ computes with numbers on Windows: promotions, the usual arithmetic conversions, and the operations
 * themselves, at the width and with the sign of their type. What C++ leaves undefined is what x64 does (overflow wraps)
 * or plain sense (shifting everything out gives 0, or -1 of negative numbers); only division by 0 fails.
 */

import { VmkdError } from '../../core/errors';
import { doubleType, floatType, intType, unsignedIntType } from '../types/builtinTypes';
import { integer, type FloatType, type IntegerType, type ScalarType } from '../types/type';
import type { ArithmeticOperator } from '../syntax/ast';
import { fit, isSigned, type Scalar } from '../values/scalar';

export type ArithmeticType = IntegerType | FloatType;

const bySize = new Map(
  ([1, 2, 4, 8, 16] as const).flatMap((size) => {
    const name = { 1: 'char', 2: 'short', 4: 'int', 8: '__int64', 16: '__int128' }[size];
    return [
      [`${size} true`, integer(name === 'char' ? 'signed char' : name, size, true)],
      [`${size} false`, integer(`unsigned ${name}`, size, false)],
    ];
  }),
);

/** The integer that holds an enum, a boolean or a pointer. */
function integerOf(type: ScalarType): IntegerType {
  if (type.kind === 'integer') return type;
  return bySize.get(`${type.size} ${isSigned(type)}`) ?? integer('unsigned __int64', 8, false);
}

/** @param width Bits, if it is a bit field. */
export function promoted(type: ScalarType, width?: number): ArithmeticType {
  if (type.kind === 'float') return type.size === 4 ? floatType : doubleType;
  if (width !== undefined && type.kind !== 'enum') {
    if (width < 32 || (width === 32 && isSigned(type))) return intType;
    if (width === 32) return unsignedIntType;
  }
  const whole = integerOf(type);
  return whole.size < 4 ? intType : whole;
}

/** The type that both are converted to. */
export function commonType(left: ArithmeticType, right: ArithmeticType): ArithmeticType {
  if (left.kind === 'float') return right.kind === 'float' && right.size > left.size ? right : left;
  if (right.kind === 'float') return right;
  if (left.signed === right.signed) return right.rank > left.rank ? right : left;
  const [signed, unsigned] = left.signed ? [left, right] : [right, left];
  if (unsigned.rank >= signed.rank) return unsigned;
  return signed.size > unsigned.size ? signed : integer(`unsigned ${signed.name}`, signed.size, false);
}

/** How a value of one type becomes one of another; undefined if it is the same already. */
export function conversion(from: ScalarType, to: ScalarType): ((value: Scalar) => Scalar) | undefined {
  if (to.kind === 'boolean') {
    return from.kind === 'boolean' ? undefined : (value) => (isTrue(value) ? 1n : 0n);
  }
  if (to.kind === 'float') {
    if (from.kind === 'float' && from.size <= to.size) return undefined;
    return to.size === 4 ? (value) => Math.fround(Number(value)) : Number;
  }
  const signed = isSigned(to);
  const { size } = to;
  if (from.kind === 'float') return (value) => fit(truncated(Number(value), size, signed), size, signed);
  const wasSigned = isSigned(from);
  if (from.size === size && wasSigned === signed) return undefined;
  if (from.size < size && (signed || !wasSigned)) return undefined;
  return (value) => fit(value as bigint, size, signed);
}

export const isTrue = (value: Scalar): boolean => value !== 0n && value !== 0;

/** What is beyond the type's range becomes its least value, as x64's conversions have it. */
function truncated(value: number, size: number, signed: boolean): bigint {
  const bits = size * 8 - (signed ? 1 : 0);
  const whole = Math.trunc(value);
  if (!Number.isFinite(whole) || Math.abs(whole) >= 2 ** Math.max(bits, 64))
    return 1n << BigInt(size * 8 - 1);
  return BigInt(whole);
}

type Operation = (left: Scalar, right: Scalar) => Scalar;

/** On two values of `type`, but for shifts, whose count is of any integer. Undefined if floats have none such. */
export function operation(operator: ArithmeticOperator, type: ArithmeticType): Operation | undefined {
  if (type.kind === 'float') return floatOperation(operator, type);
  const { size, signed } = type;
  const on = (compute: (left: bigint, right: bigint) => bigint): Operation => {
    return (left, right) => fit(compute(left as bigint, right as bigint), size, signed);
  };
  switch (operator) {
    case '+':
      return on((left, right) => left + right);
    case '-':
      return on((left, right) => left - right);
    case '*':
      return on((left, right) => left * right);
    case '/':
      return on((left, right) => left / nonZero(right));
    case '%':
      return on((left, right) => left % nonZero(right));
    case '&':
      return on((left, right) => left & right);
    case '|':
      return on((left, right) => left | right);
    case '^':
      return on((left, right) => left ^ right);
    case '<<':
      return on((left, right) => (inRange(right, size) ? left << right : 0n));
    case '>>':
      return on((left, right) => (inRange(right, size) ? left >> right : left < 0n ? -1n : 0n));
  }
}

const inRange = (count: bigint, size: number): boolean => count >= 0n && count < BigInt(size * 8);

function nonZero(divisor: bigint): bigint {
  if (divisor !== 0n) return divisor;
  throw new VmkdError('expression-bad', 'This divides by zero.');
}

function floatOperation(operator: ArithmeticOperator, type: FloatType): Operation | undefined {
  const on = (compute: (left: number, right: number) => number): Operation => {
    return type.size === 4
      ? (left, right) => Math.fround(compute(left as number, right as number))
      : (left, right) => compute(left as number, right as number);
  };
  switch (operator) {
    case '+':
      return on((left, right) => left + right);
    case '-':
      return on((left, right) => left - right);
    case '*':
      return on((left, right) => left * right);
    case '/':
      return on((left, right) => left / right);
    case '%':
    case '&':
    case '|':
    case '^':
    case '<<':
    case '>>':
      return undefined;
  }
}
