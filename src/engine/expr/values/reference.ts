/** C++ references among values: in a target they are pointers; a program sees what they refer to. */

import type { Access } from '../access';
import { inMemory } from './place';
import { addressOf, unsignedOf } from './scalar';
import type { Value } from './value';

/** What a reference refers to; any other value itself. @throws as Access.load */
export async function followed(access: Access, value: Value): Promise<Value> {
  const { type, place } = value;
  if (type.kind !== 'pointer' || !type.reference) return value;
  const pointer = unsignedOf(await access.load(place, type.size), type.size);
  return { type: type.to, place: inMemory(addressOf(pointer, type.size)) };
}
