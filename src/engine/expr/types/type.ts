/**
 * Types as expressions see them: those of modules (each module has a table of its own), and what needs no table: built-in
 * scalars, pointers to anything, arrays of anything. `const`, `volatile` and typedefs are gone by then.
 *
 * Invariants: a type of a table is made once, so that equal types of one module are one object; what it is made of
 * (pointee, element, enumerators) is looked at only when asked for, so that no cycle of a damaged table is followed.
 */

import { enumeratorsOf, type Enumerator } from '../../symbols/types/enums';
import type {
  ArrayType as ArrayRecord,
  EnumType as EnumRecord,
  TypeIndex,
} from '../../symbols/types/records';
import {
  firstRecordIndex,
  nullptrType,
  simplePointerSize,
  simpleType,
  type SimpleType,
} from '../../symbols/types/simpleTypes';
import type { TypeTable } from '../../symbols/types/typeTable';
import { declarationOf } from '../../symbols/types/typeText';

/** A type of a module's own table. */
export interface TypeRef {
  readonly types: TypeTable;
  readonly index: TypeIndex;
  /** As in `nt!_EPROCESS`; without it, texts that name the type leave the module out. */
  readonly module?: string;
}

export interface VoidType {
  readonly kind: 'void';
  readonly size: 0;
}

export interface IntegerType {
  readonly kind: 'integer';
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly signed: boolean;
  /** C++'s conversion rank: of two types of one size, `long` is greater than `int`. */
  readonly rank: number;
  /** What it may be a character of; `byte` is unsigned char, which is more often a number. */
  readonly character?: CharacterKind;
}

export type CharacterKind = 'ansi' | 'byte' | 'utf8' | 'utf16' | 'utf32';

export interface BooleanType {
  readonly kind: 'boolean';
  readonly name: string;
  readonly size: number;
}

export interface FloatType {
  readonly kind: 'float';
  readonly name: string;
  /** 4, 8, or 10. */
  readonly size: number;
}

export interface EnumType {
  readonly kind: 'enum';
  readonly name: string;
  readonly size: number;
  readonly signed: boolean;
  readonly ref: TypeRef;
  readonly enumerators: readonly Enumerator[];
}

export interface PointerType {
  readonly kind: 'pointer';
  readonly size: number;
  /** `T&` or `T&&`: stands for what it refers to. */
  readonly reference: boolean;
  readonly to: Type;
}

export interface ArrayType {
  readonly kind: 'array';
  /** Bytes of the whole. */
  readonly size: number;
  readonly count: number;
  readonly element: Type;
}

export interface StructType {
  readonly kind: 'struct';
  readonly tag: 'class' | 'struct' | 'interface' | 'union';
  readonly name: string;
  readonly size: number;
  /** Declared only: its members are another module's, or nobody's. */
  readonly incomplete: boolean;
  readonly ref: TypeRef;
}

export interface FunctionType {
  readonly kind: 'function';
  readonly size: 0;
  /** Absent where only a name is known, or an expression's text says no more than that it is one. */
  readonly ref?: TypeRef;
}

/** Something of a size, perhaps, and no more: a public symbol, a pointer to member, a complex number. */
export interface OpaqueType {
  readonly kind: 'opaque';
  readonly name: string;
  readonly size: number;
}

export type ScalarType = IntegerType | BooleanType | FloatType | EnumType | PointerType;
export type Type = ScalarType | VoidType | ArrayType | StructType | FunctionType | OpaqueType;

export const isScalar = (type: Type): type is ScalarType =>
  type.kind === 'integer' ||
  type.kind === 'boolean' ||
  type.kind === 'float' ||
  type.kind === 'enum' ||
  type.kind === 'pointer';

export const voidType: VoidType = { kind: 'void', size: 0 };
export const functionType: FunctionType = { kind: 'function', size: 0 };

export const pointerTo = (to: Type, size: number): PointerType => ({
  kind: 'pointer',
  size,
  reference: false,
  to,
});

/** @throws value-out-of-range if nothing so large can be */
export function arrayOf(element: Type, count: number): ArrayType {
  return { kind: 'array', size: element.size * count, count, element };
}

const mostKept = 8192;
const known = new WeakMap<TypeTable, Map<TypeIndex, Type>>();

/** @throws file-damaged */
export function typeOf(ref: TypeRef): Type {
  const { types, module } = ref;
  const index = types.bare(ref.index);
  const ours = known.get(types) ?? new Map<TypeIndex, Type>();
  known.set(types, ours);
  let type = ours.get(index);
  if (type === undefined) {
    type = makeType(module === undefined ? { types, index } : { types, index, module });
    if (ours.size >= mostKept) ours.clear();
    ours.set(index, type);
  }
  return type;
}

/** Another type of the same table. */
const beside = (ref: TypeRef, index: TypeIndex): Type => typeOf({ ...ref, index });

function makeType(ref: TypeRef): Type {
  const { types, index } = ref;
  if (index < firstRecordIndex) return simple(ref);
  const record = types.record(index);
  switch (record.kind) {
    case 'class':
    case 'struct':
    case 'interface':
    case 'union':
      return {
        kind: 'struct',
        tag: record.kind,
        name: record.name,
        size: record.size,
        incomplete: record.properties.forward,
        ref,
      };
    case 'enum':
      return enumOf(ref, record);
    case 'pointer':
      if (record.mode === 'dataMember' || record.mode === 'functionMember') return opaque(ref);
      return lazyPointer(record.size, record.mode !== 'pointer', () => beside(ref, record.to));
    case 'array':
      return arrayOfTable(ref, record);
    case 'bitfield':
      return beside(ref, record.type);
    case 'procedure':
    case 'memberFunction':
      return { kind: 'function', size: 0, ref };
    case 'modifier':
    case 'arguments':
    case 'fieldList':
    case 'methodList':
    case 'derived':
    case 'vtableShape':
    case 'vtable':
    case 'label':
    case 'unknown':
      return opaque(ref);
  }
}

const opaque = (ref: TypeRef): OpaqueType => ({
  kind: 'opaque',
  name: declarationOf(ref.types, ref.index),
  size: ref.types.sizeOf(ref.index),
});

function lazyPointer(size: number, reference: boolean, make: () => Type): PointerType {
  let to: Type | undefined;
  return {
    kind: 'pointer',
    size,
    reference,
    get to() {
      return (to ??= make());
    },
  };
}

function arrayOfTable(ref: TypeRef, record: ArrayRecord): ArrayType {
  const each = ref.types.sizeOf(record.element);
  let element: Type | undefined;
  return {
    kind: 'array',
    size: record.size,
    count: each === 0 ? 0 : Math.floor(record.size / each),
    get element() {
      return (element ??= beside(ref, record.element));
    },
  };
}

function enumOf(ref: TypeRef, record: EnumRecord): EnumType {
  const underlying = simpleType(ref.types.bare(record.underlying));
  let enumerators: readonly Enumerator[] | undefined;
  return {
    kind: 'enum',
    name: record.name,
    size: ref.types.sizeOf(ref.index) || 4,
    signed: underlying?.kind === 'signed' || /^(signed )?char$/.test(underlying?.name ?? ''),
    ref,
    get enumerators() {
      return (enumerators ??= enumeratorsOf(ref.types, ref.index) ?? []);
    },
  };
}

function simple(ref: TypeRef): Type {
  if (ref.index === nullptrType) return pointerTo(voidType, 8);
  const found = simpleType(ref.index);
  const pointerSize = simplePointerSize(ref.index);
  if (pointerSize > 0) return lazyPointer(pointerSize, false, () => beside(ref, ref.index & 0xff));
  if (found === undefined || ref.index === 0) return { kind: 'opaque', name: '<no type>', size: 0 };
  return scalarOf(found);
}

const ranks: Readonly<Record<string, number>> = { int: 3, long: 4, __int64: 5, __int128: 6 };
const ranksBySize: Readonly<Record<number, number>> = { 1: 1, 2: 2, 4: 4, 8: 5, 16: 6 };
const characters: Readonly<Record<string, CharacterKind>> = {
  char: 'ansi',
  'signed char': 'ansi',
  'unsigned char': 'byte',
  char8_t: 'utf8',
  wchar_t: 'utf16',
  char16_t: 'utf16',
  char32_t: 'utf32',
};

function scalarOf({ name, kind, size }: SimpleType): Type {
  switch (kind) {
    case 'void':
      return voidType;
    case 'signed':
    case 'unsigned':
    case 'character':
      return integer(name, size, kind === 'signed' || name === 'char' || name === 'signed char');
    case 'boolean':
      return { kind: 'boolean', name, size };
    case 'float':
      return size === 4 || size === 8 || size === 10
        ? { kind: 'float', name, size }
        : { kind: 'opaque', name, size };
    case 'other':
      return { kind: 'opaque', name, size };
  }
}

/** @param name By its simplest words: `unsigned long`. It decides on rank and whether it is a character. */
export function integer(name: string, size: number, signed: boolean): IntegerType {
  const rank = ranks[name.replace('unsigned ', '')] ?? ranksBySize[size] ?? 6;
  const character = characters[name];
  const type = { kind: 'integer', name, size, signed, rank } as const;
  return character === undefined ? type : { ...type, character };
}
