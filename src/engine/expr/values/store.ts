/** Writing scalars: what has to be read first of a bit field, its neighbours, is left as it is. */

import type { Access } from '../access';
import type { ScalarType } from '../types/type';
import { encode, encodeUnsigned, unsignedOf, type Scalar } from './scalar';
import type { BitRange, Place } from './place';

/** @throws what Access.load and Access.store throw */
export async function storeScalar(
  access: Access,
  type: ScalarType,
  place: Place,
  value: Scalar,
  bits?: BitRange,
): Promise<void> {
  if (!bits) return access.store(place, encode(type, value));
  const before = unsignedOf(await access.load(place, type.size), type.size);
  const position = BigInt(bits.position);
  const mask = ((1n << BigInt(bits.length)) - 1n) << position;
  const field = (BigInt(value) << position) & mask;
  await access.store(place, encodeUnsigned((before & ~mask) | field, type.size));
}
