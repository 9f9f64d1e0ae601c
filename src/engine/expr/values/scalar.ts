/**
 * Scalars between their bytes in the target and numbers here: integers, enums, pointers and booleans are bigints, with
 * a sign if their type has one; floating point is a number.
 */

import { signExtend32, virtualAddress, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { ScalarType } from '../types/type';
import type { BitRange } from './place';

export type Scalar = bigint | number;

export const isSigned = (type: ScalarType): boolean =>
  (type.kind === 'integer' || type.kind === 'enum') && type.signed;

/** `value` as `size` bytes hold it. */
export const fit = (value: bigint, size: number, signed: boolean): bigint =>
  signed ? BigInt.asIntN(size * 8, value) : BigInt.asUintN(size * 8, value);

/** @param bytes As many as the type has. */
export function decode(type: ScalarType, bytes: Uint8Array, bits?: BitRange): Scalar {
  if (type.kind === 'float') return decodeFloat(bytes, type.size);
  const whole = unsignedOf(bytes, type.size);
  if (bits) {
    const value = whole >> BigInt(bits.position);
    return isSigned(type) ? BigInt.asIntN(bits.length, value) : BigInt.asUintN(bits.length, value);
  }
  return isSigned(type) ? BigInt.asIntN(type.size * 8, whole) : whole;
}

/** Little endian. */
export function unsignedOf(bytes: Uint8Array, size: number): bigint {
  if (size === 4) return BigInt((bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0);
  if (size === 8) return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}

/** The inverse of `decode`, for whole values. @throws value-out-of-range for floats of 80 bits */
export function encode(type: ScalarType, value: Scalar): Uint8Array {
  if (type.kind === 'float') {
    const bytes = new Uint8Array(type.size);
    const view = new DataView(bytes.buffer);
    if (type.size === 4) view.setFloat32(0, Number(value), true);
    else if (type.size === 8) view.setFloat64(0, Number(value), true);
    else throw new VmkdError('value-out-of-range', 'Floating-point numbers of 80 bits cannot be written.');
    return bytes;
  }
  return encodeUnsigned(BigInt(value), type.size);
}

/** The low `size` bytes. */
export function encodeUnsigned(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

function decodeFloat(bytes: Uint8Array, size: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (size === 4) return view.getFloat32(0, true);
  if (size === 8) return view.getFloat64(0, true);
  return decodeExtended(view);
}

/** The x87 format: a mantissa of 64 bits with its leading one, an exponent of 15, a sign. As near as a double gets. */
function decodeExtended(view: DataView): number {
  const mantissa = view.getBigUint64(0, true);
  const word = view.getUint16(8, true);
  const sign = (word & 0x8000) === 0 ? 1 : -1;
  const exponent = word & 0x7fff;
  if (exponent === 0x7fff) return BigInt.asUintN(63, mantissa) === 0n ? sign * Infinity : NaN;
  return sign * Number(mantissa) * 2 ** -63 * 2 ** (exponent - 16383);
}

/** A pointer's value as an address: those of 32 bits are sign-extended, as KD does. */
export const addressOf = (pointer: bigint, size: number): VirtualAddress =>
  size === 4 ? signExtend32(Number(BigInt.asUintN(32, pointer))) : virtualAddress(pointer);
