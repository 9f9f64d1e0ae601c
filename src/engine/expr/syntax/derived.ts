/**
 * Expressions for the parts of what another expression means: `p->x`, `a[3]`, `*p`, `(Base &)x`, with brackets only where
 * they are needed. Undefined is an expression that nobody can write, and so are those of its parts.
 */

import { parse } from './parser';

export type Expression = string | undefined;

/** `x.name`, or `p->name`. */
export const memberOf = (object: Expression, arrow: boolean, name: string): Expression =>
  object !== undefined && isName(name) ? `${postfixed(object)}${arrow ? '->' : '.'}${name}` : undefined;

export const elementOf = (array: Expression, index: number): Expression =>
  array === undefined ? undefined : `${postfixed(array)}[${index}]`;

export const pointeeOf = (pointer: Expression): Expression =>
  pointer === undefined ? undefined : `*${prefixed(pointer)}`;

/** @param type A type's text; some cannot be written, as `<unnamed-tag>`. */
export const seenAs = (type: string, object: Expression): Expression =>
  object === undefined ? undefined : readable(`(${type} &)${prefixed(object)}`);

export const pointedAt = (type: string, address: string): Expression => readable(`*(${type} *)${address}`);

const isName = (text: string): boolean => /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(text);

function readable(expression: string): Expression {
  try {
    parse(expression);
    return expression;
  } catch {
    return undefined;
  }
}

const postfixKinds = new Set(['name', 'register', 'pseudo', 'member', 'index', 'call', 'containingRecord']);
const looseKinds = new Set(['arithmetic', 'comparison', 'logical', 'conditional', 'assignment']);

/** In brackets, unless `.x` behind it means the whole of it anyway. */
function postfixed(expression: string): string {
  const { kind, bracketed } = shapeOf(expression);
  return bracketed || postfixKinds.has(kind) ? expression : `(${expression})`;
}

/** In brackets, unless `*` before it means the whole of it anyway. */
function prefixed(expression: string): string {
  const { kind, bracketed } = shapeOf(expression);
  return bracketed || !looseKinds.has(kind) ? expression : `(${expression})`;
}

/** Bracketed: one pair of brackets is around all of it. */
function shapeOf(expression: string): { readonly kind: string; readonly bracketed: boolean } {
  const { kind, span } = parse(expression).root;
  const whole = expression.startsWith('(') && expression.endsWith(')') && span.length === expression.length;
  // `(T)(x)` begins and ends with brackets that are no pair.
  return { kind, bracketed: whole && kind !== 'cast' };
}
