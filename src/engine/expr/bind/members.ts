/** What things are made of: `x.y`, `p->y`, `a[i]`, `*p`. */

import type { Access } from '../access';
import type { Awaitable, EvaluationContext } from '../context';
import { bad, placed, type Span } from '../expressionError';
import type { Node } from '../syntax/ast';
import { intType } from '../types/builtinTypes';
import { findField, staticMember, type FoundField } from '../types/fields';
import { pointerTo, voidType, type PointerType, type StructType, type Type } from '../types/type';
import { typeText } from '../types/typeText';
import { inMemory, within, type Place } from '../values/place';
import { addressOf, decode } from '../values/scalar';
import type { Binder } from './binder';
import { asScalar, placeBound, type Bound, type PlaceBound } from './bound';

/** The definition, where a module has no more than a declaration of the type. */
export async function completed(context: EvaluationContext, type: StructType): Promise<StructType> {
  if (!type.incomplete) return type;
  const found = await context.type(undefined, type.name);
  return found?.kind === 'type' && found.type.kind === 'struct' ? found.type : type;
}

/** @throws expression-bad */
export async function bindMember(binder: Binder, node: Node & { kind: 'member' }): Promise<Bound> {
  const { arrow, name, nameSpan, span } = node;
  const bound = await binder.bind(node.object);
  const object = arrow ? pointee(binder, bound, node.object.span) : bound;
  if (object.kind === 'scalar' || object.type.kind !== 'struct') {
    throw bad(
      `${typeText(object.type)} has no members.`,
      node.object.span,
      object.type.kind === 'pointer' ? `Write -> instead of “.”.` : undefined,
    );
  }
  const type = await binder.completed(object.type);
  if (type.incomplete) {
    throw bad(
      `Of ${type.name} nothing but its name is known.`,
      node.object.span,
      'Load the symbols of the module that defines it.',
    );
  }
  const fixed = staticMember(type, name);
  if (fixed)
    return binder.bind({
      kind: 'name',
      module: type.ref.module,
      name: `${type.name}::${name}`,
      span: nameSpan,
    });
  return memberOf({ ...object, type }, name, nameSpan, span);
}

/** @throws expression-bad if the type has no such member */
export function memberOf(
  object: PlaceBound & { readonly type: StructType },
  name: string,
  nameSpan: Span,
  span: Span,
): PlaceBound {
  const field = findField(object.type, name);
  if (field === 'ambiguous') {
    throw bad(
      `More than one base of ${object.type.name} has a member “${name}”.`,
      nameSpan,
      `Name the base too: Base::${name}.`,
    );
  }
  if (!field) throw bad(`${object.type.name} has no member “${name}”.`, nameSpan);
  return placeBound(
    field.type,
    span,
    async (access) => {
      const place = await object.locate(access);
      try {
        return await placeOfField(access, place, field);
      } catch (error) {
        throw placed(error, span);
      }
    },
    field.bits,
  );
}

/** Of a field of a virtual base only the object itself knows where it is: it is read. @throws as Access.load */
export function placeOfField(access: Access, object: Place, field: FoundField): Awaitable<Place> {
  if (!field.virtualBase) return within(object, field.offset);
  return placeOfVirtualBase(access, object, field.virtualBase).then((base) => within(base, field.offset));
}

/** The table's entry counts from the pointer to the table. @throws as Access.load */
export async function placeOfVirtualBase(
  access: Access,
  object: Place,
  { pointerOffset, tableIndex }: { readonly pointerOffset: number; readonly tableIndex: number },
): Promise<Place> {
  const { pointerSize } = access.context;
  const pointer = within(object, pointerOffset);
  const table = decode(pointerTo(voidType, pointerSize), await access.load(pointer, pointerSize)) as bigint;
  const entry = within(inMemory(addressOf(table, pointerSize)), tableIndex * 4);
  const offset = Number(decode(intType, await access.load(entry, 4)));
  return within(object, pointerOffset + offset);
}

/** `*p`. @throws expression-bad */
export function pointee(binder: Binder, bound: Bound, span: Span): PlaceBound {
  const pointer = asScalar(bound, binder.pointerSize);
  const { type } = pointer;
  if (type.kind !== 'pointer') {
    throw bad(
      `${typeText(bound.type)} is no pointer.`,
      bound.span,
      bound.type.kind === 'integer' ? 'Cast it to one first, as in *(ULONG *)x.' : undefined,
    );
  }
  if (type.to.kind === 'void') {
    throw bad('A void * points at nothing of a known type.', bound.span, 'Cast it first, as in *(ULONG *)p.');
  }
  return placeBound(type.to, span, async (access) => {
    return inMemory(addressOf((await pointer.compute(access)) as bigint, type.size));
  });
}

/** @throws expression-bad */
export async function bindIndex(binder: Binder, node: Node & { kind: 'index' }): Promise<Bound> {
  const object = await binder.bind(node.object);
  const index = await binder.scalar(node.index);
  if (index.type.kind === 'float' || index.type.kind === 'pointer') {
    throw bad('An index must be an integer.', node.index.span);
  }
  const isArray = object.kind === 'place' && object.type.kind === 'array';
  const element = elementType(object.type, node.object.span);
  const size = await sizeOfTarget(binder, element, node.object.span);
  const start = isArray ? object : pointee(binder, object, node.object.span);
  return placeBound(element, node.span, async (access) => {
    const place = await start.locate(access);
    const at = Number(await index.compute(access)) * size;
    if (place.kind !== 'memory' && (at < 0 || at >= object.type.size)) {
      throw bad('The array is not that long, and not in memory.', node.span);
    }
    return within(place, at);
  });
}

function elementType(type: Type, span: Span): Type {
  if (type.kind === 'array') return type.element;
  if (type.kind === 'pointer') return type.to;
  throw bad(`${typeText(type)} has no elements.`, span);
}

/** Of one element: what pointers are counted in. @throws expression-bad if it is not known */
export async function sizeOfTarget(binder: Binder, type: Type, span: Span): Promise<number> {
  const whole = type.kind === 'struct' ? await binder.completed(type) : type;
  if (whole.kind === 'void') return 1;
  if (whole.size > 0) return whole.size;
  throw bad(`The size of ${typeText(type)} is not known.`, span);
}

export const isPointer = (bound: Bound): bound is Bound & { readonly type: PointerType } =>
  bound.type.kind === 'pointer';
