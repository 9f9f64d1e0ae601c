/**
 * What is inside a value: members, elements, what a pointer points at, the records of a list. Each child comes with an
 * expression that evaluates to it again, so that it can be watched, copied, and assigned to.
 *
 * Nothing is read but what is needed to know where the children are; elements are made only as far as they are asked
 * for.
 */

import { VmkdError } from '../core/errors';
import { hex } from '../core/hex';
import type { Access } from './access';
import { completed, placeOfVirtualBase } from './bind/members';
import type { Item } from './compile';
import { inherited, type Format, type ListFormat } from './format/format';
import { isListEntry, walkList } from './format/lists';
import { parse } from './syntax/parser';
import { foundField, layoutOfStruct } from './types/fields';
import { typeOf, type StructType, type Type } from './types/type';
import { typeText } from './types/typeText';
import { inMemory, within, type Place } from './values/place';
import { addressOf, unsignedOf } from './values/scalar';
import type { Value } from './values/value';

export interface ChildCounts {
  /** Members, bases, what is pointed at. */
  readonly named: number;
  /** Elements, records: they come in pages. */
  readonly indexed: number;
}

const none: ChildCounts = { named: 0, indexed: 0 };
/** Records of a list that are looked for; each costs a read. */
const mostRecords = 1000;

/** @throws link and target errors, file-damaged, cancelled; never for memory that is absent */
export async function childCounts(access: Access, item: Item): Promise<ChildCounts> {
  const found = await Family.of(access, item);
  return found ? found.counts() : none;
}

/** Members and the like, all of them. @throws as childCounts */
export async function namedChildren(access: Access, item: Item): Promise<Item[]> {
  return (await Family.of(access, item))?.named() ?? [];
}

/** Elements from `start` on, at most `count`. @throws as childCounts */
export async function indexedChildren(
  access: Access,
  item: Item,
  start: number,
  count: number,
): Promise<Item[]> {
  return (await Family.of(access, item))?.indexed(start, count) ?? [];
}

/** A thing that has children: where it lies, and how it is named. */
class Family {
  private constructor(
    private readonly access: Access,
    private readonly format: Format,
    private readonly type: Type,
    private readonly place: Place,
    /** `x.`, `p->`: what a member's name is put behind. */
    private readonly prefix: string | undefined,
    private readonly expression: string | undefined,
    /** Of the elements of an array, or of so many things from a pointer on. */
    private readonly elements: { readonly type: Type; readonly count: number } | undefined,
    private readonly isPointee: boolean,
  ) {}

  static async of(access: Access, { value, format, expression }: Item): Promise<Family | undefined> {
    const { type, place } = value;
    switch (type.kind) {
      case 'struct': {
        const whole = await completed(access.context, type);
        const prefix = expression === undefined ? undefined : `${postfixed(expression)}.`;
        return new Family(access, format, whole, place, prefix, expression, undefined, false);
      }
      case 'array': {
        const elements = { type: type.element, count: format.count ?? type.count };
        return new Family(access, format, type, place, undefined, expression, elements, false);
      }
      case 'pointer':
        return Family.#ofPointer(access, value, format, expression);
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

  static async #ofPointer(
    access: Access,
    { type, place }: Value,
    format: Format,
    expression: string | undefined,
  ): Promise<Family | undefined> {
    if (type.kind !== 'pointer' || type.to.kind === 'void' || type.to.kind === 'function') return undefined;
    const to = type.to.kind === 'struct' ? await completed(access.context, type.to) : type.to;
    if (to.size === 0 && to.kind !== 'struct') return undefined;
    const pointer = await readOr(access, place, type.size);
    if (pointer === undefined || pointer === 0n) return undefined;
    const there = inMemory(addressOf(pointer, type.size));
    const elements = format.count === undefined ? undefined : { type: to, count: format.count };
    const prefix = expression === undefined ? undefined : `${postfixed(expression)}->`;
    return new Family(access, format, to, there, prefix, expression, elements, true);
  }

  async counts(): Promise<ChildCounts> {
    if (this.elements) return { named: 0, indexed: this.elements.count };
    const named = (await this.named()).length;
    return {
      named,
      indexed: this.format.list ? (await this.#records(this.format.list, mostRecords)).length : 0,
    };
  }

  async named(): Promise<Item[]> {
    if (this.elements) return [];
    if (this.type.kind === 'struct') return [...(await this.#bases(this.type)), ...this.#members(this.type)];
    if (!this.isPointee) return [];
    const expression = this.expression === undefined ? undefined : `*${prefixed(this.expression)}`;
    return [this.#child('*', expression, { type: this.type, place: this.place })];
  }

  async indexed(start: number, count: number): Promise<Item[]> {
    if (this.elements) return this.#elements(this.elements, start, count);
    if (!this.format.list) return [];
    const records = await this.#records(this.format.list, Math.min(start + count, mostRecords));
    return records.slice(start, start + count);
  }

  #child(name: string, expression: string | undefined, value: Value): Item {
    return { name, expression, value, format: inherited(this.format) };
  }

  #members(type: StructType): Item[] {
    const fields = layoutOfStruct(type)?.fields.filter(({ bases }) => bases.length === 0) ?? [];
    return fields.map((field) => {
      const { type: fieldType, offset, bits } = foundField(type, field);
      const value: Value = { type: fieldType, place: within(this.place, offset) };
      const expression =
        this.prefix === undefined || !isName(field.name) ? undefined : this.prefix + field.name;
      return this.#child(field.name, expression, bits ? { ...value, bits } : value);
    });
  }

  /** Virtual bases too; of those only the object knows where they are. */
  async #bases(type: StructType): Promise<Item[]> {
    const { types, index } = type.ref;
    const tag = types.tag(index);
    if (!tag || type.incomplete) return [];
    const bases: Item[] = [];
    for (const member of types.members(tag)) {
      if (member.kind !== 'base' && member.kind !== 'virtualBase') continue;
      const base = typeOf({ ...type.ref, index: member.type });
      const place =
        member.kind === 'base' ? within(this.place, member.offset) : await this.#virtualBase(member);
      const name = typeText(base);
      bases.push(this.#child(name, this.#asBase(base), { type: base, place }));
    }
    return bases;
  }

  #asBase(base: Type): string | undefined {
    if (this.expression === undefined) return undefined;
    const object = this.isPointee ? `*${prefixed(this.expression)}` : prefixed(this.expression);
    return `(${typeText(base, true)} &)${object}`;
  }

  async #virtualBase(member: { pointerOffset: number; tableIndex: number }): Promise<Place> {
    try {
      return await placeOfVirtualBase(this.access, this.place, member);
    } catch (error) {
      if (!isAbsence(error)) throw error;
      return { kind: 'unavailable', reason: 'the table of virtual bases is not in memory' };
    }
  }

  #elements({ type, count }: { type: Type; count: number }, start: number, most: number): Item[] {
    const found: Item[] = [];
    if (type.size === 0) return found;
    for (let i = start; i < Math.min(count, start + most); i++) {
      const expression = this.expression === undefined ? undefined : `${postfixed(this.expression)}[${i}]`;
      found.push(this.#child(`[${i}]`, expression, { type, place: within(this.place, i * type.size) }));
    }
    return found;
  }

  /** Of the list whose head this is. */
  async #records({ record, offset, entrySize }: ListFormat, most: number): Promise<Item[]> {
    if (this.place.kind !== 'memory' || this.type.kind !== 'struct' || !isListEntry(this.type)) return [];
    const { entries } = await walkList(this.access, this.place.address, most, entrySize);
    return entries.map((entry, i) => {
      const place = within(inMemory(entry), -offset);
      const address = place.kind === 'memory' ? hex(place.address) : '';
      const expression = `*(${typeText(record, true)} *)${address}`;
      return this.#child(`[${i}]`, expression, { type: record, place });
    });
  }
}

const isName = (text: string): boolean => /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(text);

const isAbsence = (error: unknown): boolean =>
  error instanceof VmkdError && (error.code === 'memory-unreadable' || error.code === 'value-unavailable');

/** A pointer's bits; undefined if they are not to be had. */
async function readOr(access: Access, place: Place, size: number): Promise<bigint | undefined> {
  try {
    return unsignedOf(await access.load(place, size), size);
  } catch (error) {
    if (!isAbsence(error)) throw error;
    return undefined;
  }
}

const postfixKinds = new Set(['name', 'register', 'pseudo', 'member', 'index', 'call', 'containingRecord']);
const looseKinds = new Set(['arithmetic', 'comparison', 'logical', 'conditional', 'assignment']);

/** In brackets, unless `.x` behind it means the whole of it anyway. */
function postfixed(expression: string): string {
  return isBracketed(expression) || postfixKinds.has(kindOf(expression)) ? expression : `(${expression})`;
}

/** In brackets, unless `*` before it means the whole of it anyway. */
function prefixed(expression: string): string {
  return isBracketed(expression) || !looseKinds.has(kindOf(expression)) ? expression : `(${expression})`;
}

const kindOf = (expression: string): string => parse(expression).root.kind;

/** One pair of brackets around all of it. */
function isBracketed(expression: string): boolean {
  if (!expression.startsWith('(') || !expression.endsWith(')')) return false;
  const { root } = parse(expression);
  return (
    root.span.offset === 0 && root.span.length === expression.length && !['cast', 'call'].includes(root.kind)
  );
}
