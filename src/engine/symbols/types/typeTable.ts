/**
 * The types of one PDB: records by index, definitions by name, and what follows from both: a declaration's definition,
 * a type without its modifiers, its size. Layouts, enumerators and texts are built on this (structLayout.ts, enums.ts,
 * typeText.ts).
 *
 * Invariants: nothing is read that nobody asked for; of each stream decoded records are kept, at most `mostKept` of them
 * and `mostKeptBytes`; a chain of types (modifier of a typedef of …) is followed `longestChain` steps, so that a cycle
 * ends as `file-damaged`.
 */

import { fileDamaged } from '../../core/byteSource';
import type { Msf } from '../pdb/msf';
import { decodeId } from './decodeId';
import { decodeType, isForward, tagNameAt } from './decodeType';
import { openNameIndex, type NameIndex } from './nameIndex';
import type { IdRecord, Member, TagType, TypeIndex, TypeRecord } from './records';
import { firstRecordIndex, simplePointerSize, simpleType } from './simpleTypes';
import { TypeStream } from './typeStream';

const tpiStream = 2;
const ipiStream = 4;
const mostKept = 8192;
/** In the file; a decoded record takes some twenty times as much. */
const mostKeptBytes = 2 << 20;
const longestChain = 64;
/** A field list of 64 KiB holds at most some thousand members; NT's largest structures need two or three lists. */
const mostFieldLists = 256;

export class TypeTable {
  readonly types: TypeStream;
  readonly #ids: TypeStream | undefined;
  readonly #kept = new Kept<TypeRecord>();
  readonly #keptIds = new Kept<IdRecord>();
  /** Names asked for, and declarations with their definitions. */
  readonly #found = new Map<string, readonly TypeIndex[]>();
  readonly #defined = new Map<TypeIndex, TypeIndex>();
  #names: NameIndex | undefined;

  /** @param hasIpi As the info stream says. @throws file-damaged, file-unsupported */
  constructor(msf: Msf, hasIpi: boolean) {
    this.types = new TypeStream(msf, msf.needStream(tpiStream, 'the type stream'));
    const ids = hasIpi ? msf.stream(ipiStream) : undefined;
    this.#ids = ids && ids.size > 0 ? new TypeStream(msf, ids) : undefined;
  }

  /** Of an index from 0x1000 on. @throws file-damaged if there is none, or it cannot be read */
  record(index: TypeIndex): TypeRecord {
    let record = this.#kept.get(index);
    if (!record) {
      const bytes = this.types.record(index);
      record = decodeType(bytes);
      this.#kept.add(index, record, bytes.length);
    }
    return record;
  }

  /** A record of the id stream. Undefined if this PDB has no such id. */
  id(index: TypeIndex): IdRecord | undefined {
    if (!this.#ids?.has(index)) return undefined;
    let record = this.#keptIds.get(index);
    if (!record) {
      const bytes = this.#ids.record(index);
      record = decodeId(bytes);
      this.#keptIds.add(index, record, bytes.length);
    }
    return record;
  }

  /** Definitions of a class, struct, union or enum: several where object files disagreed. */
  find(name: string): readonly TypeIndex[] {
    let found = this.#found.get(name);
    if (!found) {
      this.#names ??= openNameIndex(this.types);
      found = this.#names.find(name);
      keep(this.#found, name, found);
    }
    return found;
  }

  /** Every defined class, struct, union and enum, without decoding any. */
  forEachTag(visit: (index: TypeIndex, name: string) => void): void {
    this.types.forEach((index, record) => {
      const tag = tagNameAt(record);
      if (tag && !isForward(tag.properties)) visit(index, tag.name);
    });
  }

  /** The definition, where `index` is a mere declaration that has one; else `index`. */
  definition(index: TypeIndex): TypeIndex {
    const declared = this.tag(index);
    if (!declared?.properties.forward) return index;
    let defined = this.#defined.get(index);
    if (defined === undefined) {
      defined = this.#definitionOf(declared) ?? index;
      keep(this.#defined, index, defined);
    }
    return defined;
  }

  #definitionOf(declared: TagType): TypeIndex | undefined {
    const { name, uniqueName, properties } = declared;
    // Local types are hashed by their unique names; all others can be told apart by them.
    const same = this.find(properties.scoped && uniqueName !== '' ? uniqueName : name).filter((candidate) => {
      const found = this.tag(candidate);
      return found !== undefined && sameSort(found, declared);
    });
    if (uniqueName === '') return same[0];
    return same.find((candidate) => this.tag(candidate)?.uniqueName === uniqueName);
  }

  /** Without const, volatile and the like, and defined if it can be. */
  bare(index: TypeIndex): TypeIndex {
    let type = index;
    for (let steps = 0; type >= firstRecordIndex; steps++) {
      if (steps > longestChain) throw this.#endless(index);
      const record = this.record(type);
      if (record.kind !== 'modifier') return this.definition(type);
      type = record.type;
    }
    return type;
  }

  /** Bytes; 0 for functions, void, and what is only declared. @throws file-damaged */
  sizeOf(index: TypeIndex): number {
    let type = this.bare(index);
    for (let steps = 0; type >= firstRecordIndex; steps++) {
      if (steps > longestChain) throw this.#endless(index);
      const record = this.record(type);
      switch (record.kind) {
        case 'class':
        case 'struct':
        case 'interface':
        case 'union':
        case 'array':
        case 'pointer':
          return record.size;
        case 'enum':
          type = this.bare(record.underlying);
          break;
        case 'bitfield':
          type = this.bare(record.type);
          break;
        case 'procedure':
        case 'memberFunction':
        case 'modifier':
        case 'arguments':
        case 'fieldList':
        case 'methodList':
        case 'derived':
        case 'vtableShape':
        case 'vtable':
        case 'label':
        case 'unknown':
          return 0;
      }
    }
    return simplePointerSize(type) || (simpleType(type)?.size ?? 0);
  }

  /** The members of a tag, through all the lists that it goes on in. */
  members(tag: TagType): readonly Member[] {
    const members: Member[] = [];
    const seen = new Set<TypeIndex>();
    let list = tag.fieldList;
    while (list !== 0) {
      if (seen.has(list) || seen.size >= mostFieldLists) throw this.#endless(list);
      seen.add(list);
      const record = this.record(list);
      if (record.kind !== 'fieldList') throw fileDamaged(this.types.name, `${tag.name} has no field list`);
      list = 0;
      for (const member of record.members) {
        if (member.kind === 'continued') list = member.list;
        else members.push(member);
      }
    }
    return members;
  }

  /** A tag's record. Undefined if `index` is of another kind. */
  tag(index: TypeIndex): TagType | undefined {
    if (index < firstRecordIndex) return undefined;
    const record = this.record(index);
    return isTag(record) ? record : undefined;
  }

  #endless(index: TypeIndex): Error {
    return fileDamaged(this.types.name, `type 0x${index.toString(16)} leads round in a circle`);
  }
}

/** Decoded records of one stream. */
class Kept<R> {
  readonly #records = new Map<TypeIndex, R>();
  #bytes = 0;

  get(index: TypeIndex): R | undefined {
    return this.#records.get(index);
  }

  /** @param bytes Of the record in the file. */
  add(index: TypeIndex, record: R, bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > mostKeptBytes || this.#records.size >= mostKept) {
      this.#records.clear();
      this.#bytes = bytes;
    }
    this.#records.set(index, record);
  }
}

const tagKinds: ReadonlySet<string> = new Set<TagType['kind']>([
  'class',
  'struct',
  'interface',
  'union',
  'enum',
]);

export const isTag = (record: TypeRecord): record is TagType => tagKinds.has(record.kind);

/** `class X;` may be a declaration of `struct X`. */
function sameSort(a: TagType, b: TagType): boolean {
  const sort = ({ kind }: TagType): string => (kind === 'struct' || kind === 'interface' ? 'class' : kind);
  return sort(a) === sort(b);
}

function keep<K, V>(kept: Map<K, V>, key: K, value: V): void {
  if (kept.size >= mostKept) kept.clear();
  kept.set(key, value);
}
