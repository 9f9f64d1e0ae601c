/**
 * The model of CodeView types: what a record of the TPI or IPI stream says, as a discriminated union. Decoders are in
 * decodeType.ts, decodeMember.ts and decodeId.ts.
 *
 * A type is known by its index. Below 0x1000 it is a simple type (simpleTypes.ts) and has no record; above, it is the
 * place of its record in the stream. 0 is “none”.
 */

export type TypeIndex = number;

/** What stands in the `property` word of a class, struct, union or enum. */
export interface TagProperties {
  readonly packed: boolean;
  /** Declared only: its members are in another record of the same name. */
  readonly forward: boolean;
  /** Local to a function. */
  readonly scoped: boolean;
  readonly nested: boolean;
  /** A vector of the compiler's own, like __m128. */
  readonly intrinsic: boolean;
  /** The word itself, for what is not named here. */
  readonly raw: number;
}

interface Tag {
  readonly name: string;
  /** The decorated name, by which duplicates are told apart; '' if there is none. */
  readonly uniqueName: string;
  /** How many members it claims. Not to be relied upon. */
  readonly memberCount: number;
  /** LF_FIELDLIST, or 0. */
  readonly fieldList: TypeIndex;
  readonly properties: TagProperties;
}

export interface ClassType extends Tag {
  readonly kind: 'class' | 'struct' | 'interface';
  /** Bytes. */
  readonly size: number;
  readonly derivedFrom: TypeIndex;
  readonly vtableShape: TypeIndex;
}

export interface UnionType extends Tag {
  readonly kind: 'union';
  /** Bytes. */
  readonly size: number;
}

export interface EnumType extends Tag {
  readonly kind: 'enum';
  readonly underlying: TypeIndex;
}

export type TagType = ClassType | UnionType | EnumType;

/** In the order of their numbers. */
export const pointerModes = [
  'pointer',
  'lvalueReference',
  'dataMember',
  'functionMember',
  'rvalueReference',
] as const;
export type PointerMode = (typeof pointerModes)[number];

export interface PointerType {
  readonly kind: 'pointer';
  readonly to: TypeIndex;
  readonly mode: PointerMode;
  /** Bytes. */
  readonly size: number;
  readonly isConst: boolean;
  readonly isVolatile: boolean;
  readonly unaligned: boolean;
  readonly restrict: boolean;
  /** 0x0a: 32 bits, 0x0c: 64 bits; others are of 16-bit times. */
  readonly pointerKind: number;
  /** The class of a pointer to member. */
  readonly memberOf: TypeIndex;
}

export interface ProcedureType {
  readonly kind: 'procedure';
  readonly result: TypeIndex;
  readonly callingConvention: number;
  /** 1: returns a C++ object by hidden pointer, 2: constructor, 4: constructor with virtual bases. */
  readonly options: number;
  readonly parameterCount: number;
  readonly parameters: TypeIndex;
}

export interface MemberFunctionType extends Omit<ProcedureType, 'kind'> {
  readonly kind: 'memberFunction';
  readonly classType: TypeIndex;
  /** 0 in static functions. */
  readonly thisType: TypeIndex;
  readonly thisAdjust: number;
}

export interface ArrayType {
  readonly kind: 'array';
  readonly element: TypeIndex;
  readonly indexType: TypeIndex;
  /** Bytes of the whole. */
  readonly size: number;
  readonly name: string;
}

export interface BitfieldType {
  readonly kind: 'bitfield';
  readonly type: TypeIndex;
  /** Bits. */
  readonly length: number;
  /** From bit 0 of the storage unit. */
  readonly position: number;
}

export interface ModifierType {
  readonly kind: 'modifier';
  readonly type: TypeIndex;
  readonly isConst: boolean;
  readonly isVolatile: boolean;
  readonly unaligned: boolean;
}

/** The low word of a member's attributes: 3 bits access, 3 bits method kind, then flags. */
export interface MemberAttributes {
  readonly access: 'none' | 'private' | 'protected' | 'public';
  readonly method: MethodKind;
  readonly raw: number;
}

/** In the order of their numbers. */
export const methodKinds = [
  'vanilla',
  'virtual',
  'static',
  'friend',
  'introducing',
  'pureVirtual',
  'pureIntroducing',
] as const;
export type MethodKind = (typeof methodKinds)[number];

export type Member =
  | {
      readonly kind: 'field';
      readonly name: string;
      readonly type: TypeIndex;
      /** Bytes from the start of the class. */
      readonly offset: number;
      readonly attributes: MemberAttributes;
    }
  | {
      readonly kind: 'base';
      readonly type: TypeIndex;
      readonly offset: number;
      readonly attributes: MemberAttributes;
    }
  | {
      readonly kind: 'virtualBase';
      /** Inherited through another base. */
      readonly indirect: boolean;
      readonly type: TypeIndex;
      readonly pointerType: TypeIndex;
      /** Where the pointer to the virtual base table lies. */
      readonly pointerOffset: number;
      /** The entry of that table. */
      readonly tableIndex: number;
      readonly attributes: MemberAttributes;
    }
  | { readonly kind: 'vtablePointer'; readonly type: TypeIndex; readonly offset: number }
  | {
      readonly kind: 'static';
      readonly name: string;
      readonly type: TypeIndex;
      readonly attributes: MemberAttributes;
    }
  | { readonly kind: 'nested'; readonly name: string; readonly type: TypeIndex }
  | {
      readonly kind: 'enumerator';
      readonly name: string;
      readonly value: bigint;
      readonly attributes: MemberAttributes;
    }
  | {
      readonly kind: 'method';
      readonly name: string;
      readonly type: TypeIndex;
      readonly attributes: MemberAttributes;
      /** -1 unless the method introduces a virtual. */
      readonly vtableOffset: number;
    }
  | {
      readonly kind: 'overloads';
      readonly name: string;
      readonly count: number;
      /** LF_METHODLIST. */
      readonly list: TypeIndex;
    }
  | { readonly kind: 'friend'; readonly name: string; readonly type: TypeIndex }
  /** The list goes on in another record: LF_INDEX. */
  | { readonly kind: 'continued'; readonly list: TypeIndex };

export interface Method {
  readonly type: TypeIndex;
  readonly attributes: MemberAttributes;
  readonly vtableOffset: number;
}

export type TypeRecord =
  | ClassType
  | UnionType
  | EnumType
  | PointerType
  | ProcedureType
  | MemberFunctionType
  | ArrayType
  | BitfieldType
  | ModifierType
  | { readonly kind: 'arguments'; readonly types: readonly TypeIndex[] }
  | { readonly kind: 'fieldList'; readonly members: readonly Member[] }
  | { readonly kind: 'methodList'; readonly methods: readonly Method[] }
  | { readonly kind: 'derived'; readonly types: readonly TypeIndex[] }
  | { readonly kind: 'vtableShape'; readonly entries: readonly number[] }
  | {
      readonly kind: 'vtable';
      readonly type: TypeIndex;
      readonly base: TypeIndex;
      readonly offset: number;
      readonly names: readonly string[];
    }
  | { readonly kind: 'label'; readonly mode: number }
  | { readonly kind: 'unknown'; readonly leaf: number };

export type IdRecord =
  /** A function outside classes; `scope` is a stringId or 0. */
  | {
      readonly kind: 'functionId';
      readonly scope: TypeIndex;
      readonly type: TypeIndex;
      readonly name: string;
    }
  | {
      readonly kind: 'memberFunctionId';
      readonly classType: TypeIndex;
      readonly type: TypeIndex;
      readonly name: string;
    }
  /** `substrings` is a substringList whose texts come first, or 0. */
  | { readonly kind: 'stringId'; readonly substrings: TypeIndex; readonly text: string }
  | { readonly kind: 'substringList'; readonly strings: readonly TypeIndex[] }
  | { readonly kind: 'buildInfo'; readonly strings: readonly TypeIndex[] }
  /** Where a type was defined. `file` is a stringId, or in the linker's form an offset into /names. */
  | {
      readonly kind: 'typeSource';
      readonly type: TypeIndex;
      readonly file: number;
      readonly line: number;
      /** In the linker's form: the module. */
      readonly module: number | undefined;
    }
  | { readonly kind: 'unknown'; readonly leaf: number };
