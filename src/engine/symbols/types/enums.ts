/** Enumerators of an enum, and the names of its values. */

import type { TypeIndex } from './records';
import { simpleType } from './simpleTypes';
import type { TypeTable } from './typeTable';

export interface Enumerator {
  readonly name: string;
  /** Signed if the enum's underlying type is. */
  readonly value: bigint;
}

/** In the order of their declaration. Undefined if `type` is no enum, or is declared only. @throws file-damaged */
export function enumeratorsOf(types: TypeTable, type: TypeIndex): readonly Enumerator[] | undefined {
  const tag = types.tag(types.bare(type));
  if (tag?.kind !== 'enum' || tag.properties.forward) return undefined;
  // Compilers store -1 as they like: as a signed number, or as its bits.
  const bits = types.sizeOf(type) * 8 || 64;
  const underlying = simpleType(types.bare(tag.underlying))?.kind;
  const isSigned = underlying === 'signed' || underlying === 'character';
  const fit = (value: bigint): bigint =>
    isSigned ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  const found: Enumerator[] = [];
  for (const member of types.members(tag)) {
    if (member.kind === 'enumerator') found.push({ name: member.name, value: fit(member.value) });
  }
  return found;
}

/** The first enumerator of that value, the bits compared at the enum's width. Undefined if none has it. */
export function enumNameOf(types: TypeTable, type: TypeIndex, value: bigint): string | undefined {
  const bits = types.sizeOf(type) * 8 || 64;
  const wanted = BigInt.asUintN(bits, value);
  return enumeratorsOf(types, type)?.find((one) => BigInt.asUintN(bits, one.value) === wanted)?.name;
}
