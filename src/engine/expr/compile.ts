/**
 * Expressions ready to be evaluated again and again: breakpoint conditions run thousands of times a second, watches at
 * every stop. A text is parsed once; names and types are looked up once for each scope (context.ts); what is left is to
 * read memory and compute.
 */

import { Access, type AccessOptions } from './access';
import { Binder } from './bind/binder';
import { asScalar, valueOf, type Bound, type ScalarBound } from './bind/bound';
import { fieldAt } from './bind/intrinsics';
import { isTrue } from './bind/arithmetic';
import { bindName, isUnknownName } from './bind/names';
import { namedType } from './bind/typeNodes';
import type { EvaluationContext } from './context';
import { bad, ExpressionError, placed } from './expressionError';
import type { Format, ListFormat } from './format/format';
import type { NameNode } from './syntax/ast';
import { parse, type Parsed } from './syntax/parser';
import { nameKey } from './syntax/typeNames';
import type { Value } from './values/value';

/** A value with what is needed to show it, to look into it, and to evaluate it again. */
export interface Item {
  readonly name: string;
  /** Evaluates to the same value, without its format; undefined if no expression can name it. */
  readonly expression: string | undefined;
  readonly value: Value;
  readonly format: Format;
}

interface Settled {
  readonly scope: unknown;
  readonly bound: Bound;
  readonly count: ScalarBound | undefined;
  readonly list: ListFormat | undefined;
  readonly writes: boolean;
}

const mostElements = 0x7fff_ffffn;

export class CompiledExpression {
  #settled: Settled | undefined;
  readonly #parsed: Parsed;

  /** @throws expression-bad */
  constructor(readonly text: string) {
    this.#parsed = parse(text);
  }

  /** @throws ExpressionError */
  async evaluate(context: EvaluationContext, options: AccessOptions = {}): Promise<Item> {
    const settled = await this.#settle(context);
    const access = new Access(context, options);
    refuseWrites(settled, access);
    const value = await valueOf(settled.bound, access);
    return {
      name: this.text,
      expression: this.#expression(),
      value,
      format: await this.#format(settled, access),
    };
  }

  /** Whether it is true: for conditions. @throws ExpressionError */
  async test(context: EvaluationContext, options: AccessOptions = {}): Promise<boolean> {
    const settled =
      this.#settled !== undefined && this.#settled.scope === context.scope
        ? this.#settled
        : await this.#settle(context);
    const access = new Access(context, options);
    refuseWrites(settled, access);
    const { bound } = settled;
    try {
      return isTrue(await asScalar(bound, context.pointerSize).compute(access));
    } catch (error) {
      throw placed(error, bound.span);
    }
  }

  #expression(): string {
    const { offset, length } = this.#parsed.root.span;
    return this.text.slice(offset, offset + length);
  }

  async #settle(context: EvaluationContext): Promise<Settled> {
    if (this.#settled !== undefined && this.#settled.scope === context.scope) return this.#settled;
    const { root } = this.#parsed;
    try {
      this.#settled = await settle(this.text, this.#parsed, context);
    } catch (error) {
      throw placed(error, root.span);
    }
    return this.#settled;
  }

  async #format({ count, list }: Settled, access: Access): Promise<Format> {
    const { count: _count, list: _list, ...words } = this.#parsed.format;
    const format: Format = list ? { ...words, list } : words;
    if (!count) return format;
    const wanted = await count.compute(access);
    if (typeof wanted !== 'bigint' || wanted < 0n || wanted > mostElements) {
      throw bad('So many elements cannot be shown.', count.span);
    }
    return { ...format, count: Number(wanted) };
  }
}

function refuseWrites({ writes, bound }: Settled, access: Access): void {
  if (!writes || access.allowWrites) return;
  throw new ExpressionError('expression-refused', 'This would change the target.', bound.span);
}

/** @throws expression-bad */
export const compile = (text: string): CompiledExpression => new CompiledExpression(text);

/** Parses and evaluates at once. @throws ExpressionError */
export async function evaluate(
  text: string,
  context: EvaluationContext,
  options: AccessOptions = {},
): Promise<Item> {
  return compile(text).evaluate(context, options);
}

async function settle(text: string, first: Parsed, context: EvaluationContext): Promise<Settled> {
  const { root, format } = await parsedWithTypes(text, first, context);
  const binder = new Binder(context);
  const bound = await binder.bind(root);
  const count = format.count && (await binder.scalar(format.count));
  const list = format.list && (await listFormat(binder, format.list));
  return { scope: context.scope, bound, count, list, writes: binder.writes };
}

const mostPasses = 4;

/** Parses again, as long as names turn out to be types that were taken for values. */
async function parsedWithTypes(text: string, first: Parsed, context: EvaluationContext): Promise<Parsed> {
  let parsed = first;
  const types = new Set<string>();
  for (let pass = 0; pass < mostPasses; pass++) {
    const before = types.size;
    for (const name of parsed.maybeTypes) if (await isType(context, name)) types.add(nameKey(name));
    if (types.size === before) break;
    parsed = parse(text, types);
  }
  return parsed;
}

async function isType(context: EvaluationContext, name: NameNode): Promise<boolean> {
  try {
    await bindName(new Binder(context), name);
    return false;
  } catch (error) {
    if (!isUnknownName(error)) throw error;
    return (await namedType(context, name)) !== undefined;
  }
}

async function listFormat(
  binder: Binder,
  { type: node, field }: NonNullable<Parsed['format']['list']>,
): Promise<ListFormat> {
  const type = await binder.type(node);
  if (type.kind !== 'struct') throw bad('The records of a list are structures.', node.span);
  const record = await binder.completed(type);
  const { offset, type: entry } = await fieldAt(binder, record, field, node.span);
  return { record, offset, entrySize: entry.size };
}
