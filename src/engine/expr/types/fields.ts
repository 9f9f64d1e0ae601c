/** Members of classes, structs and unions by name: with the bases that they come from, and those of virtual bases. */

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

/** The type of a static member. */
export function staticMember(type: StructType, name: string): Type | undefined {
  const { types, index } = type.ref;
  const tag = types.tag(index);
  const member = tag && types.members(tag).find((one) => one.kind === 'static' && one.name === name);
  return member?.kind === 'static' ? typeOf({ ...type.ref, index: member.type }) : undefined;
}

const deepestBases = 16;

/** Where the base of that name lies in the type; undefined if it is no base of it, or a virtual one. */
export function baseOffset(type: StructType, base: string, depth = 0): number | undefined {
  const { types, index } = type.ref;
  const tag = types.tag(index);
  if (!tag || depth > deepestBases || type.incomplete) return undefined;
  for (const member of types.members(tag)) {
    if (member.kind !== 'base') continue;
    const inner = typeOf({ ...type.ref, index: member.type });
    if (inner.kind !== 'struct') continue;
    const offset = inner.name === base ? 0 : baseOffset(inner, base, depth + 1);
    if (offset !== undefined) return member.offset + offset;
  }
  return undefined;
}
