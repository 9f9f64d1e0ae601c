/**
 * Where the data of a class, struct or union lies: fields with offsets, sizes and bit positions, those of its bases
 * among them, as WinDbg's dt lists them.
 *
 * Compilers dissolve anonymous structs and unions into their parent: their members appear in it with offsets that
 * overlap. `overlaps` marks a field that begins before the end of one listed earlier.
 *
 * Invariant: bases nest at most `deepestBases` levels and a layout has at most `mostFields` fields.
 */

import { fileDamaged } from '../../core/byteSource';
import type { Member, MemberAttributes, TypeIndex } from './records';
import { firstRecordIndex } from './simpleTypes';
import type { TypeTable } from './typeTable';

export interface LayoutField {
  readonly name: string;
  readonly kind: 'field' | 'vtablePointer';
  /** Of a bit field, its storage unit's. */
  readonly type: TypeIndex;
  /** Bytes from the start of the whole. */
  readonly offset: number;
  /** Bytes; of a bit field, those of its storage unit. 0 for a flexible array or what is only declared. */
  readonly size: number;
  /** Bits, counted from the lowest of the storage unit. */
  readonly bits?: { readonly position: number; readonly length: number };
  readonly access: MemberAttributes['access'];
  /** The base it comes from, outermost first; empty if it is the type's own. */
  readonly bases: readonly string[];
  /** It shares bytes (of bit fields: bits) with a field before it: both are in a union. */
  readonly overlaps: boolean;
}

/** A base whose place only the object itself knows. */
export interface VirtualBase {
  readonly type: TypeIndex;
  readonly name: string;
  /** Where the pointer to the virtual base table lies, from the start of the class that has it. */
  readonly pointerOffset: number;
  /** The entry of that table that holds the offset, counted from the pointer. */
  readonly tableIndex: number;
}

export interface StructLayout {
  readonly type: TypeIndex;
  readonly tag: 'class' | 'struct' | 'interface' | 'union';
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly fields: readonly LayoutField[];
  readonly virtualBases: readonly VirtualBase[];
}

const deepestBases = 64;
const mostFields = 65_536;

/** Undefined if `type` is no class, struct or union, or is declared only. @throws file-damaged */
export function layoutOf(types: TypeTable, type: TypeIndex): StructLayout | undefined {
  const index = types.bare(type);
  const known = layouts.get(types) ?? { fields: 0, byType: new Map<TypeIndex, StructLayout>() };
  layouts.set(types, known);
  let layout = known.byType.get(index);
  if (!layout) {
    layout = makeLayout(types, index);
    if (layout) keep(known, layout);
  }
  return layout;
}

/** Layouts that were asked for: views ask again at every stop. */
interface Known {
  fields: number;
  readonly byType: Map<TypeIndex, StructLayout>;
}
const layouts = new WeakMap<TypeTable, Known>();
const mostKeptFields = 100_000;

function keep(known: Known, layout: StructLayout): void {
  // An empty one counts too.
  const weight = layout.fields.length + 10;
  if (known.fields + weight > mostKeptFields) {
    known.byType.clear();
    known.fields = 0;
  }
  known.fields += weight;
  known.byType.set(layout.type, layout);
}

function makeLayout(types: TypeTable, index: TypeIndex): StructLayout | undefined {
  const tag = types.tag(index);
  if (!tag || tag.kind === 'enum' || tag.properties.forward) return undefined;
  const builder = new Builder(types);
  builder.add(index, 0, []);
  const { fields, virtualBases } = builder;
  return { type: index, tag: tag.kind, name: tag.name, size: tag.size, fields, virtualBases };
}

class Builder {
  readonly fields: LayoutField[] = [];
  readonly virtualBases: VirtualBase[] = [];
  /** Bits from the start that are taken, up to here. */
  #end = 0;

  constructor(private readonly types: TypeTable) {}

  add(index: TypeIndex, offset: number, bases: readonly string[]): void {
    const tag = this.types.tag(index);
    if (!tag) return;
    if (bases.length > deepestBases)
      throw fileDamaged(this.types.types.name, `${tag.name} has itself as a base`);
    for (const member of this.types.members(tag)) this.#addMember(member, offset, bases);
  }

  #addMember(member: Member, offset: number, bases: readonly string[]): void {
    switch (member.kind) {
      case 'field':
        this.#push(
          member.name,
          'field',
          member.type,
          offset + member.offset,
          member.attributes.access,
          bases,
        );
        return;
      case 'vtablePointer':
        this.#push('__VFN_table', 'vtablePointer', member.type, offset + member.offset, 'none', bases);
        return;
      case 'base': {
        const base = this.types.bare(member.type);
        this.add(base, offset + member.offset, [...bases, this.types.tag(base)?.name ?? '']);
        return;
      }
      case 'virtualBase': {
        const type = this.types.bare(member.type);
        const name = this.types.tag(type)?.name ?? '';
        const { tableIndex } = member;
        this.virtualBases.push({ type, name, pointerOffset: offset + member.pointerOffset, tableIndex });
        return;
      }
      case 'static':
      case 'nested':
      case 'enumerator':
      case 'method':
      case 'overloads':
      case 'friend':
      case 'continued':
        return;
    }
  }

  #push(
    name: string,
    kind: LayoutField['kind'],
    type: TypeIndex,
    offset: number,
    access: LayoutField['access'],
    bases: readonly string[],
  ): void {
    if (this.fields.length >= mostFields) {
      throw fileDamaged(this.types.types.name, `a layout of more than ${mostFields} fields`);
    }
    const size = this.types.sizeOf(type);
    const record = type >= firstRecordIndex ? this.types.record(type) : undefined;
    const bits =
      record?.kind === 'bitfield' ? { position: record.position, length: record.length } : undefined;
    const start = offset * 8 + (bits?.position ?? 0);
    const overlaps = start < this.#end;
    this.#end = Math.max(this.#end, start + (bits?.length ?? size * 8));
    const field = { name, kind, offset, size, access, bases, overlaps };
    this.fields.push(
      record?.kind === 'bitfield' && bits ? { ...field, type: record.type, bits } : { ...field, type },
    );
  }
}
