/**
 * Tokens to a tree, by precedence climbing. The grammar is C++'s for expressions, without what a debugger cannot do
 * (calls, new, lambdas) and without the comma operator: a comma begins the format specifiers.
 *
 * C++ cannot be parsed without knowing which names are types: `(a)*b` multiplies or casts. Here such a name is taken for
 * a value, and listed in `maybeTypes`; who finds that it is a type parses again, with the name in `knownTypes`.
 */

import { bad, span, type Span } from '../expressionError';
import { builtinType } from '../types/builtinTypes';
import type {
  ArithmeticOperator,
  ComparisonOperator,
  LogicalOperator,
  NameNode,
  Node,
  TypeNode,
} from './ast';
import { Cursor } from './cursor';
import { readFormat } from './formatParser';
import type { WrittenFormat } from './formatSpecifiers';
import { parseIntrinsic } from './intrinsics';
import { isTypeWord, nameKey, writtenType } from './typeNames';

export interface Parsed {
  readonly root: Node;
  readonly format: WrittenFormat;
  /** Names in brackets before `*`, `&`, `+` or `-` that were taken for values. */
  readonly maybeTypes: readonly NameNode[];
}

/** @param knownTypes Names that are types: see above. @throws expression-bad */
export function parse(text: string, knownTypes: ReadonlySet<string> = new Set()): Parsed {
  const parser = new Parser(new Cursor(text), knownTypes);
  const { cursor } = parser;
  if (cursor.token.kind === 'end') cursor.fail('There is nothing to evaluate.');
  const root = parser.expression();
  const format = readFormat(parser);
  if (cursor.token.kind !== 'end') cursor.fail(unexpected(parser));
  return { root, format, maybeTypes: parser.maybeTypes };
}

function unexpected({ cursor: { token } }: Parser): string {
  return token.kind === 'sign'
    ? `“${token.sign}” does not belong here.`
    : 'An operator is missing before this.';
}

/** How tight operators bind, loosest first. */
const binaryLevels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
const levels = new Map(binaryLevels.flatMap((signs, level) => signs.map((sign) => [sign, level] as const)));
const unarySigns: ReadonlySet<string> = new Set(['+', '-', '!', '~', '*', '&']);

/** What may follow `(name)` if that is a cast, and only then. */
const beginsOnlyOperand: ReadonlySet<string> = new Set(['(', '!', '~', '@@', '#']);
const beginsEither: ReadonlySet<string> = new Set(['*', '&', '+', '-', '++', '--']);

const castNames: ReadonlySet<string> = new Set([
  'static_cast',
  'reinterpret_cast',
  'const_cast',
  'dynamic_cast',
]);

export class Parser {
  readonly maybeTypes: NameNode[] = [];

  constructor(
    readonly cursor: Cursor,
    private readonly knownTypes: ReadonlySet<string>,
  ) {}

  /** Anything up to a comma. @throws expression-bad */
  expression(): Node {
    return this.cursor.nested(() => this.#assignment());
  }

  /** @throws expression-bad if no type comes */
  type(): TypeNode {
    const written = this.cursor.attempt(() => writtenType(this.cursor, this.knownTypes));
    return written?.type ?? this.cursor.fail('A type is missing here.');
  }

  #assignment(): Node {
    const target = this.#conditional();
    const { token } = this.cursor;
    const operator = token.kind === 'sign' ? /^([-+*/%&|^]|<<|>>)?=$/.exec(token.sign) : null;
    if (!operator) return target;
    this.cursor.take();
    const value = this.expression();
    return {
      kind: 'assignment',
      operator: operator[1] as ArithmeticOperator | undefined,
      target,
      value,
      span: span(target.span, value.span),
    };
  }

  #conditional(): Node {
    const condition = this.#binary(0);
    if (!this.cursor.skip('?')) return condition;
    const whenTrue = this.expression();
    this.cursor.expect(':', 'after the first choice of “?”');
    const whenFalse = this.expression();
    return {
      kind: 'conditional',
      condition,
      whenTrue,
      whenFalse,
      span: span(condition.span, whenFalse.span),
    };
  }

  #binary(lowest: number): Node {
    let left = this.#unary();
    for (;;) {
      const { token } = this.cursor;
      const level = token.kind === 'sign' ? levels.get(token.sign) : undefined;
      if (token.kind !== 'sign' || level === undefined || level < lowest) return left;
      this.cursor.take();
      this.cursor.count();
      const right = this.cursor.nested(() => this.#binary(level + 1));
      left = binaryNode(token.sign, left, right);
    }
  }

  #unary(): Node {
    return this.cursor.nested(() => this.#prefix());
  }

  #prefix(): Node {
    const { cursor } = this;
    const { token } = cursor;
    if (token.kind === 'sign') {
      if (unarySigns.has(token.sign)) {
        cursor.take();
        const operand = this.#unary();
        const operator = token.sign as '+' | '-' | '!' | '~' | '*' | '&';
        return { kind: 'unary', operator, operand, span: span(token.span, operand.span) };
      }
      if (token.sign === '++' || token.sign === '--') {
        cursor.take();
        const target = this.#unary();
        const by = token.sign === '++' ? 1 : -1;
        return { kind: 'step', by, postfix: false, target, span: span(token.span, target.span) };
      }
      if (token.sign === '(') {
        const cast = this.#cast();
        if (cast) return cast;
      }
    }
    if (token.kind === 'name' && token.name === 'sizeof') return this.#sizeof(token.span);
    return this.#postfix(this.#primary());
  }

  /** `(type) operand`, or undefined if the bracket opens something else. */
  #cast(): Node | undefined {
    const start = this.cursor.token.span;
    const type = this.cursor.attempt(() => {
      const inBrackets = this.#typeInBrackets();
      return inBrackets && this.#isCast(inBrackets) ? inBrackets.type : undefined;
    });
    if (!type) return undefined;
    const operand = this.#unary();
    return { kind: 'cast', type, operand, span: span(start, operand.span) };
  }

  #typeInBrackets(): { type: TypeNode; certain: boolean; end: Span } | undefined {
    if (!this.cursor.skip('(')) return undefined;
    const written = writtenType(this.cursor, this.knownTypes);
    const end = written && this.cursor.skip(')');
    return written && end && { ...written, end };
  }

  /** Behind `(something that may be a type)`. */
  #isCast({ type, certain }: { type: TypeNode; certain: boolean }): boolean {
    const { token } = this.cursor;
    const either = token.kind === 'sign' && beginsEither.has(token.sign);
    const operand = token.kind === 'sign' ? beginsOnlyOperand.has(token.sign) : token.kind !== 'end';
    if (certain) {
      if (either || operand) return true;
      throw bad('What is to be cast is missing behind this.', type.span);
    }
    if (either && type.kind === 'named') this.maybeTypes.push(type.name);
    return operand;
  }

  #sizeof(start: Span): Node {
    const { cursor } = this;
    cursor.take();
    const type = cursor.attempt(() => {
      const inBrackets = this.#typeInBrackets();
      return inBrackets?.certain === true ? inBrackets : undefined;
    });
    if (type)
      return { kind: 'sizeof', operand: { kind: 'type', type: type.type }, span: span(start, type.end) };
    const value = this.#unary();
    return { kind: 'sizeof', operand: { kind: 'value', value }, span: span(start, value.span) };
  }

  #primary(): Node {
    const { cursor } = this;
    const { token } = cursor;
    switch (token.kind) {
      case 'number':
      case 'text':
      case 'register':
      case 'pseudo':
        cursor.take();
        return token;
      case 'name':
        cursor.take();
        return this.#name(token);
      case 'sign': {
        if (token.sign === '@@' || token.sign === '(') return this.#brackets();
        if (token.sign === '#' && cursor.next.kind === 'name') {
          cursor.take();
          const name = cursor.take() as NameNode;
          return parseIntrinsic(this, name, token.span) ?? cursor.fail('No such macro is known.');
        }
        return cursor.fail(`A value is missing before “${token.sign}”.`);
      }
      case 'end':
        return cursor.fail('The expression is not complete.');
    }
  }

  #brackets(): Node {
    const start = this.cursor.skip('@@') ?? this.cursor.token.span;
    this.cursor.expect('(', 'after “@@”');
    const inner = this.expression();
    const end = this.cursor.expect(')', 'at the end of what “(” opened');
    return { ...inner, span: span(start, end) };
  }

  #name(name: NameNode): Node {
    const intrinsic = parseIntrinsic(this, name, name.span);
    if (intrinsic) return intrinsic;
    if (castNames.has(name.name)) return this.#namedCast(name);
    if (!this.cursor.isSign('(')) {
      if (!isTypeWord(name.name)) return name;
      throw bad('A type is no value.', name.span, 'To cast, put it in brackets: (type) value.');
    }
    return this.#call(name);
  }

  /** `static_cast<type>(value)`: the same as `(type)value`. */
  #namedCast(name: NameNode): Node {
    this.cursor.expect('<', `after ${name.name}`);
    const type = this.type();
    this.cursor.expect('>', 'after the type');
    const operand = this.#brackets();
    return { kind: 'cast', type, operand, span: span(name.span, operand.span) };
  }

  /** `ULONG(x)` casts; nothing else can be called. */
  #call(name: NameNode): Node {
    const isType =
      isTypeWord(name.name) ||
      this.knownTypes.has(nameKey(name)) ||
      (name.module === undefined && builtinType(name.name, 8) !== undefined);
    if (!isType) {
      throw bad(
        'Functions of the target cannot be called.',
        name.span,
        'Evaluate what the function would read.',
      );
    }
    const type = writtenTypeOf(name);
    const operand = this.#brackets();
    return { kind: 'cast', type, operand, span: span(name.span, operand.span) };
  }

  #postfix(first: Node): Node {
    let object = first;
    for (;;) {
      const { token } = this.cursor;
      if (token.kind !== 'sign') return object;
      switch (token.sign) {
        case '.':
        case '->':
          this.cursor.take();
          object = this.#member(object, token.sign === '->');
          break;
        case '[': {
          this.cursor.take();
          const index = this.expression();
          const end = this.cursor.expect(']', 'after the index');
          object = { kind: 'index', object, index, span: span(object.span, end) };
          break;
        }
        case '++':
        case '--': {
          this.cursor.take();
          const by = token.sign === '++' ? 1 : -1;
          object = { kind: 'step', by, postfix: true, target: object, span: span(object.span, token.span) };
          break;
        }
        case '(':
          throw bad('Functions of the target cannot be called.', object.span);
        default:
          return object;
      }
      this.cursor.count();
    }
  }

  #member(object: Node, arrow: boolean): Node {
    const { token } = this.cursor;
    if (token.kind !== 'name' || token.module !== undefined) {
      return this.cursor.fail(`A member’s name is missing after “${arrow ? '->' : '.'}”.`);
    }
    this.cursor.take();
    return {
      kind: 'member',
      object,
      arrow,
      name: token.name,
      nameSpan: token.span,
      span: span(object.span, token.span),
    };
  }
}

function writtenTypeOf(name: NameNode): TypeNode {
  const written = writtenType(new Cursor(name.name), new Set());
  return written?.type.kind === 'known'
    ? { ...written.type, span: name.span }
    : { kind: 'named', name, span: name.span };
}

function binaryNode(sign: string, left: Node, right: Node): Node {
  const whole = span(left.span, right.span);
  switch (sign) {
    case '&&':
    case '||':
      return { kind: 'logical', operator: sign satisfies LogicalOperator, left, right, span: whole };
    case '==':
    case '!=':
    case '<':
    case '>':
    case '<=':
    case '>=':
      return { kind: 'comparison', operator: sign satisfies ComparisonOperator, left, right, span: whole };
    default:
      return { kind: 'arithmetic', operator: sign as ArithmeticOperator, left, right, span: whole };
  }
}
