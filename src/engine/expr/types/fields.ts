/** Members of classes, structs and unions by name: with the bases that they come from, and those of virtual bases. */

import type { Member } from '../../symbols/types/records';
import {
  layoutOf,
  type LayoutField,
  type StructLayout,
  type VirtualBase,
} from '../../symbols/types/structLayout';
import type { BitRange } from '../values/place';
import { typeOf, type StructType, type Type } from './type';

export interface FoundField {
  readonly type: Type;
  /** Bytes from the start of the whole, or of the virtual base. */
  readonly offset: number;
  readonly bits?: BitRange;
  /** If present, the member lies in this virtual base. */
  readonly virtualBase?: VirtualBase;
}

/** Undefined if the type is declared only. @throws file-damaged */
export const layoutOfStruct = (type: StructType): StructLayout | undefined =>
  layoutOf(type.ref.types, type.ref.index);

/**
 * @param name May be qualified by the type itself or one of its bases: `Base::x`.
 * @returns 'ambiguous' if bases that are equally near have it; undefined if nobody has.
 * @throws file-damaged
 */
export function findField(type: StructType, name: string): FoundField | 'ambiguous' | undefined {
  const layout = layoutOfStruct(type);
  if (!layout) return undefined;
  const split = name.lastIndexOf('::');
  const owner = split < 0 ? undefined : name.slice(0, split);
  const last = split < 0 ? name : name.slice(split + 2);
  const found = nearest(layout, owner, last);
  if (found === 'ambiguous') return found;
  if (found) return foundField(type, found);
  for (const base of layout.virtualBases) {
    const inner = layoutOf(type.ref.types, base.type);
    const field = inner && nearest(inner, owner, last);
    if (field === 'ambiguous') return field;
    if (field) return { ...foundField(type, field), virtualBase: base };
  }
  return undefined;
}

/** A member's own name hides that of its bases. */
function nearest(
  layout: StructLayout,
  owner: string | undefined,
  name: string,
): LayoutField | 'ambiguous' | undefined {
  let best: LayoutField | undefined;
  let rivals = false;
  for (const field of layout.fields) {
    if (field.name !== name) continue;
    if (owner !== undefined && owner !== layout.name && !field.bases.includes(owner)) continue;
    if (best && field.bases.length >= best.bases.length) {
      rivals ||= field.bases.length === best.bases.length && field.bases.join() !== best.bases.join();
      continue;
    }
    best = field;
    rivals = false;
  }
  return rivals ? 'ambiguous' : best;
}

/** @param owner Whose table the field's type is in. */
export function foundField({ ref }: StructType, { type, offset, bits }: LayoutField): FoundField {
  const found = { type: typeOf({ ...ref, index: type }), offset };
  return bits ? { ...found, bits } : found;
}

const mostBases = 256;

/** The type itself with 0, then its bases with where they lie in it, nearest first; virtual ones are left out. */
function* withBases(type: StructType): Iterable<{ readonly type: StructType; readonly offset: number }> {
  const queue = [{ type, offset: 0 }];
  for (let i = 0; i < queue.length && i < mostBases; i++) {
    const one = queue[i]!;
    yield one;
    for (const member of membersOf(one.type)) {
      if (member.kind !== 'base') continue;
      const base = typeOf({ ...type.ref, index: member.type });
      if (base.kind === 'struct') queue.push({ type: base, offset: one.offset + member.offset });
    }
  }
}

/** As the compiler wrote them; none if the type is declared only. @throws file-damaged */
export function membersOf({ ref: { types, index }, incomplete }: StructType): readonly Member[] {
  const tag = incomplete ? undefined : types.tag(index);
  return tag ? types.members(tag) : [];
}

/** The class that has the static member: the type itself, or one of its bases. @throws file-damaged */
export function ownerOfStatic(type: StructType, name: string): StructType | undefined {
  for (const { type: owner } of withBases(type)) {
    if (membersOf(owner).some((member) => member.kind === 'static' && member.name === name)) return owner;
  }
  return undefined;
}

/** Where the base of that name lies in the type; undefined if it is no base of it, or a virtual one. @throws file-damaged */
export function baseOffset(type: StructType, name: string): number | undefined {
  for (const { type: base, offset } of withBases(type)) {
    if (base !== type && base.name === name) return offset;
  }
  return undefined;
}
