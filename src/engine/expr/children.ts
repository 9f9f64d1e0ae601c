/**
 * What is inside a value: members, elements, what a pointer points at, the records of a list. Each child comes with an
 * expression that evaluates to it again, so that it can be watched, copied, and assigned to.
 *
 * Nothing is read but what is needed to know where the children are; elements are made only as far as they are asked
 * for.
 */

import { plus } from '../core/addresses';
import { VmkdError, type ErrorCode } from '../core/errors';
import { hex } from '../core/hex';
import type { Member } from '../symbols/types/records';
import type { LayoutField } from '../symbols/types/structLayout';
import type { Access } from './access';
import { completed, placeOfVirtualBase } from './bind/members';
import type { Item } from './compile';
import { inherited, type Format } from './format/format';
import { isListEntry, walkList } from './format/lists';
import { elementOf, memberOf, pointedAt, pointeeOf, seenAs, type Expression } from './syntax/derived';
import { foundField, layoutOfStruct, membersOf } from './types/fields';
import { typeOf, type PointerType, type StructType, type Type } from './types/type';
import { typeText } from './types/typeText';
import { inMemory, within, type Place } from './values/place';
import { addressOf, unsignedOf } from './values/scalar';
import { followed } from './values/reference';
import type { Value } from './values/value';

export interface ChildCounts {
  /** Members, bases, what is pointed at. */
  readonly named: number;
  /** Elements, records: they come in pages. */
  readonly indexed: number;
}

/** Records of a list that are looked for; each costs a read. */
const mostRecords = 1000;

/** @throws link and target errors, file-damaged, cancelled; never for memory that is absent */
export async function childCounts(access: Access, item: Item): Promise<ChildCounts> {
  const parent = await parentOf(access, item);
  if (!parent) return { named: 0, indexed: 0 };
  if (parent.elements) return { named: 0, indexed: parent.elements.count };
  return { named: namedCount(parent), indexed: (await recordsOf(access, parent, mostRecords)).length };
}

/** Members and the like, all of them. @throws as childCounts */
export async function namedChildren(access: Access, item: Item): Promise<Item[]> {
  const parent = await parentOf(access, item);
  return parent ? namedIn(access, parent) : [];
}

/** Elements from `start` on, at most `count`. @throws as childCounts */
export async function indexedChildren(
  access: Access,
  item: Item,
  start: number,
  count: number,
): Promise<Item[]> {
  const parent = await parentOf(access, item);
  if (!parent) return [];
  if (parent.elements) return elementsOf(parent, parent.elements, start, count);
  const records = await recordsOf(access, parent, Math.min(start + count, mostRecords));
  return records.slice(start, start + count);
}

/** What has children: a structure, an array, or what a pointer points at. */
interface Parent {
  readonly type: Type;
  readonly place: Place;
  readonly format: Format;
  /** Of the item; it names a pointer if `isPointee`. */
  readonly expression: Expression;
  readonly isPointee: boolean;
  /** Of an array, or of so many things from a pointer on. */
  readonly elements: { readonly type: Type; readonly count: number } | undefined;
}

async function parentOf(access: Access, { value, format, expression }: Item): Promise<Parent | undefined> {
  const target = await orAbsent(() => followed(access, value));
  if (!target) return undefined;
  const { type, place } = target;
  const common = { place, format, expression, isPointee: false };
  switch (type.kind) {
    case 'struct':
      return { ...common, type: await completed(access.context, type), elements: undefined };
    case 'array':
      return { ...common, type, elements: { type: type.element, count: format.count ?? type.count } };
    case 'pointer':
      return pointedParent(access, type, target, format, expression);
    case 'integer':
    case 'boolean':
    case 'float':
    case 'enum':
    case 'void':
    case 'function':
    case 'opaque':
      return undefined;
  }
}

async function pointedParent(
  access: Access,
  type: PointerType,
  { place }: Value,
  format: Format,
  expression: Expression,
): Promise<Parent | undefined> {
  if (type.reference) return undefined;
  const to = type.to.kind === 'struct' ? await completed(access.context, type.to) : type.to;
  if (to.size === 0 && to.kind !== 'struct') return undefined;
  const bytes = await orAbsent(() => access.load(place, type.size));
  const pointer = bytes && unsignedOf(bytes, type.size);
  if (pointer === undefined || pointer === 0n) return undefined;
  return {
    type: to,
    place: inMemory(addressOf(pointer, type.size)),
    format,
    expression,
    isPointee: true,
    elements: format.count === undefined ? undefined : { type: to, count: format.count },
  };
}

async function namedIn(access: Access, parent: Parent): Promise<Item[]> {
  const { type, place, isPointee, expression } = parent;
  if (parent.elements) return [];
  if (type.kind === 'struct') return [...(await basesOf(access, parent, type)), ...membersIn(parent, type)];
  return isPointee ? [child(parent, '*', pointeeOf(expression), { type, place })] : [];
}

/** How many `namedIn` would make. */
function namedCount({ type, isPointee }: Parent): number {
  if (type.kind !== 'struct') return Number(isPointee);
  return membersOf(type).filter(isBase).length + ownFields(type).length;
}

const child = ({ format }: Parent, name: string, expression: Expression, value: Value): Item => ({
  name,
  expression,
  value,
  format: inherited(format),
});

function membersIn(parent: Parent, type: StructType): Item[] {
  return ownFields(type).map((field) => {
    const { type: fieldType, offset, bits } = foundField(type, field);
    const value: Value = { type: fieldType, place: within(parent.place, offset) };
    const expression = memberOf(parent.expression, parent.isPointee, field.name);
    return child(parent, field.name, expression, bits ? { ...value, bits } : value);
  });
}

const ownFields = (type: StructType): readonly LayoutField[] =>
  layoutOfStruct(type)?.fields.filter(({ bases }) => bases.length === 0) ?? [];

const isBase = (member: Member): member is Member & { readonly kind: 'base' | 'virtualBase' } =>
  member.kind === 'base' || member.kind === 'virtualBase';

/** Virtual bases too; of those only the object knows where they are. */
async function basesOf(access: Access, parent: Parent, type: StructType): Promise<Item[]> {
  const { place, expression, isPointee } = parent;
  const object = isPointee ? pointeeOf(expression) : expression;
  const bases: Item[] = [];
  for (const member of membersOf(type)) {
    if (!isBase(member)) continue;
    const base = typeOf({ ...type.ref, index: member.type });
    const start =
      member.kind === 'base'
        ? within(place, member.offset)
        : ((await orAbsent(() => placeOfVirtualBase(access, place, member))) ?? lostBase);
    bases.push(
      child(parent, typeText(base), seenAs(typeText(base, true), object), { type: base, place: start }),
    );
  }
  return bases;
}

const lostBase: Place = { kind: 'unavailable', reason: 'the table of virtual bases is not in memory' };

function elementsOf(
  parent: Parent,
  { type, count }: { readonly type: Type; readonly count: number },
  start: number,
  most: number,
): Item[] {
  const found: Item[] = [];
  if (type.size === 0) return found;
  for (let i = start; i < Math.min(count, start + most); i++) {
    const value: Value = { type, place: within(parent.place, i * type.size) };
    found.push(child(parent, `[${i}]`, elementOf(parent.expression, i), value));
  }
  return found;
}

/** Of the list whose head this is, if the format says what they are. */
async function recordsOf(access: Access, parent: Parent, most: number): Promise<Item[]> {
  const { type, place } = parent;
  const { list } = parent.format;
  if (!list || place.kind !== 'memory' || type.kind !== 'struct' || !isListEntry(type)) return [];
  const { entries } = await walkList(access, place.address, most, list.entrySize);
  return entries.map((entry, i) => {
    const address = plus(entry, -list.offset);
    const expression = pointedAt(typeText(list.record, true), hex(address));
    return child(parent, `[${i}]`, expression, { type: list.record, place: inMemory(address) });
  });
}

/** Undefined if what it reads is not to be had. */
async function orAbsent<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof VmkdError && absences.has(error.code)) return undefined;
    throw error;
  }
}

const absences: ReadonlySet<ErrorCode> = new Set(['memory-unreadable', 'value-unavailable']);
