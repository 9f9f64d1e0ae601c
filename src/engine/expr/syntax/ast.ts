/**
 * What an expression says, before anybody knows what its names mean. Every node has the place in the text that it came
 * from; errors point there.
 */

import type { Span } from '../expressionError';
import type { Type } from '../types/type';

/** `nt!KiTimer`, `ns::Class<int>::member`. */
export interface NameNode {
  readonly kind: 'name';
  readonly module: string | undefined;
  /** Templates spelt as PDBs spell them: `A<B<int>,2>`. */
  readonly name: string;
  readonly span: Span;
}

export type UnaryOperator = '+' | '-' | '!' | '~' | '*' | '&';
export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '<<' | '>>' | '&' | '|' | '^';
export type ComparisonOperator = '==' | '!=' | '<' | '>' | '<=' | '>=';
export type LogicalOperator = '&&' | '||';

export type Node =
  | NameNode
  | { readonly kind: 'number'; readonly value: bigint | number; readonly type: Type; readonly span: Span }
  | { readonly kind: 'text'; readonly text: string; readonly type: Type; readonly span: Span }
  | { readonly kind: 'register'; readonly name: string; readonly span: Span }
  /** `@$proc`, `$thread`: the name without its `$`. */
  | { readonly kind: 'pseudo'; readonly name: string; readonly span: Span }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Node; readonly span: Span }
  | {
      readonly kind: 'arithmetic';
      readonly operator: ArithmeticOperator;
      readonly left: Node;
      readonly right: Node;
      readonly span: Span;
    }
  | {
      readonly kind: 'comparison';
      readonly operator: ComparisonOperator;
      readonly left: Node;
      readonly right: Node;
      readonly span: Span;
    }
  | {
      readonly kind: 'logical';
      readonly operator: LogicalOperator;
      readonly left: Node;
      readonly right: Node;
      readonly span: Span;
    }
  | {
      readonly kind: 'conditional';
      readonly condition: Node;
      readonly whenTrue: Node;
      readonly whenFalse: Node;
      readonly span: Span;
    }
  /** `=`, or with an operator `+=` and its like. */
  | {
      readonly kind: 'assignment';
      readonly operator: ArithmeticOperator | undefined;
      readonly target: Node;
      readonly value: Node;
      readonly span: Span;
    }
  /** `++x`; postfix: the value is the one before. */
  | {
      readonly kind: 'step';
      readonly by: 1 | -1;
      readonly postfix: boolean;
      readonly target: Node;
      readonly span: Span;
    }
  /** `object.name`, `object->name`; the name may be qualified by a base: `x.Base::y`. */
  | {
      readonly kind: 'member';
      readonly object: Node;
      readonly arrow: boolean;
      readonly name: string;
      readonly nameSpan: Span;
      readonly span: Span;
    }
  | { readonly kind: 'index'; readonly object: Node; readonly index: Node; readonly span: Span }
  | { readonly kind: 'cast'; readonly type: TypeNode; readonly operand: Node; readonly span: Span }
  /** Of a type, or of an expression; a lone name in brackets may be either, and is an expression here. */
  | {
      readonly kind: 'sizeof';
      readonly operand:
        { readonly kind: 'type'; readonly type: TypeNode } | { readonly kind: 'value'; readonly value: Node };
      readonly span: Span;
    }
  /** `poi(x)`: built-in functions of values. */
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly argument: Node;
      readonly span: Span;
    }
  | {
      readonly kind: 'containingRecord';
      readonly address: Node;
      readonly type: TypeNode;
      readonly field: FieldPath;
      readonly span: Span;
    }
  | {
      readonly kind: 'fieldOf';
      readonly what: FieldFact;
      readonly type: TypeNode;
      readonly field: FieldPath;
      readonly span: Span;
    };

/** FIELD_OFFSET, RTL_FIELD_SIZE, RTL_SIZEOF_THROUGH_FIELD. */
export type FieldFact = 'offset' | 'size' | 'end';

/** `Tail.Overlay.ListEntry`, `Ids[2].Value`. */
export interface FieldPath {
  readonly steps: readonly (
    | { readonly kind: 'name'; readonly name: string; readonly span: Span }
    | { readonly kind: 'index'; readonly index: number; readonly span: Span }
  )[];
  readonly span: Span;
}

/** A type as written. */
export type TypeNode =
  | { readonly kind: 'known'; readonly type: Type; readonly span: Span }
  | { readonly kind: 'named'; readonly name: NameNode; readonly span: Span }
  | { readonly kind: 'pointer'; readonly reference: boolean; readonly to: TypeNode; readonly span: Span }
  | { readonly kind: 'array'; readonly element: TypeNode; readonly count: number; readonly span: Span }
  | { readonly kind: 'function'; readonly span: Span };
