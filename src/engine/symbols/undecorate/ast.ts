/**
 * What a decorated name says, as a tree: the parser (names.ts, types.ts, symbols.ts) makes it, printer.ts writes it.
 *
 * Invariant: nodes are shared (a back reference is the node it refers to) but never cyclic, since a node is complete
 * before it can be referred to.
 */

/** One piece of `a::b<int>::c`. */
export interface Identifier {
  readonly text: IdentifierText;
  readonly templateArguments?: readonly TemplateArgument[];
}

export type IdentifierText =
  | { readonly kind: 'plain'; readonly text: string }
  /** Named by the class it stands in, which is known only when the whole name has been read. */
  | { readonly kind: 'structor'; readonly destructor: boolean; owner?: Identifier }
  /** Named by the function's result type, which comes last. */
  | { readonly kind: 'conversion'; target?: TypeNode };

/** Outermost scope first; at least one. */
export type QualifiedName = readonly Identifier[];

export interface Qualifiers {
  readonly isConst: boolean;
  readonly isVolatile: boolean;
  readonly restrict: boolean;
  readonly unaligned: boolean;
}

export const noQualifiers: Qualifiers = {
  isConst: false,
  isVolatile: false,
  restrict: false,
  unaligned: false,
};

export const bothQualifiers = (a: Qualifiers, b: Qualifiers): Qualifiers => ({
  isConst: a.isConst || b.isConst,
  isVolatile: a.isVolatile || b.isVolatile,
  restrict: a.restrict || b.restrict,
  unaligned: a.unaligned || b.unaligned,
});

export interface FunctionNode {
  readonly kind: 'function';
  readonly qualifiers: Qualifiers;
  readonly callingConvention: string;
  /** Absent in constructors and destructors. */
  readonly result: TypeNode | undefined;
  readonly parameters: readonly TypeNode[];
  readonly variadic: boolean;
  readonly reference: '' | '&' | '&&';
  readonly noexcept: boolean;
}

export interface PointerNode {
  readonly kind: 'pointer';
  readonly qualifiers: Qualifiers;
  readonly sign: '*' | '&' | '&&';
  /** The class of a pointer to member. */
  readonly memberOf?: QualifiedName;
  readonly pointee: TypeNode;
}

export interface ArrayNode {
  readonly kind: 'array';
  readonly qualifiers: Qualifiers;
  readonly dimensions: readonly bigint[];
  readonly element: TypeNode;
}

export type TypeNode =
  | { readonly kind: 'simple'; readonly qualifiers: Qualifiers; readonly text: string }
  | {
      readonly kind: 'tag';
      readonly qualifiers: Qualifiers;
      readonly tag: 'class' | 'struct' | 'union' | 'enum';
      readonly name: QualifiedName;
    }
  | PointerNode
  | ArrayNode
  | FunctionNode;

export type TemplateArgument =
  | { readonly kind: 'type'; readonly type: TypeNode }
  | { readonly kind: 'name'; readonly name: QualifiedName }
  | { readonly kind: 'integer'; readonly value: bigint }
  /** The address of a symbol, or a pointer to member with the offsets of its class's layout. */
  | {
      readonly kind: 'symbol';
      readonly symbol: SymbolNode | undefined;
      readonly address: boolean;
      readonly offsets: readonly bigint[];
    };

export interface FunctionClass {
  /** `public: `, or empty outside classes. */
  readonly access: string;
  readonly isStatic: boolean;
  readonly isVirtual: boolean;
  readonly externC: boolean;
}

export type Thunk =
  | { readonly kind: 'adjustor'; readonly offset: bigint }
  | { readonly kind: 'vtordisp'; readonly offsets: readonly bigint[] }
  | { readonly kind: 'vtordispex'; readonly offsets: readonly bigint[] };

export type SymbolNode =
  | {
      readonly kind: 'function';
      readonly name: QualifiedName;
      readonly functionClass: FunctionClass;
      readonly thunk?: Thunk;
      /** Absent in a C function that serves as a scope. */
      readonly signature?: FunctionNode;
    }
  | {
      readonly kind: 'variable';
      readonly name: QualifiedName;
      readonly access: string;
      readonly type?: TypeNode;
    }
  /** A table that the compiler made: `A::`vftable'{for `B'}`. */
  | {
      readonly kind: 'table';
      readonly name: QualifiedName;
      readonly qualifiers: Qualifiers;
      readonly targets: readonly QualifiedName[];
    }
  | {
      readonly kind: 'vcall';
      readonly name: QualifiedName;
      readonly offset: bigint;
      readonly callingConvention: string;
    }
  | { readonly kind: 'text'; readonly text: string };
