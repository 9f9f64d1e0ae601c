/** `=`, `+=` and its like, `++`, `--`: what changes the target. */

import type { Access } from '../access';
import { bad, placed, type Span } from '../expressionError';
import type { Node } from '../syntax/ast';
import { intType } from '../types/builtinTypes';
import { isScalar, type ScalarType } from '../types/type';
import { typeText } from '../types/typeText';
import type { Place } from '../values/place';
import { storeScalar } from '../values/store';
import type { Scalar } from '../values/scalar';
import { castTo } from './casts';
import type { Binder } from './binder';
import {
  asScalar,
  computed,
  constant,
  enumOf,
  placeBound,
  type Bound,
  type PlaceBound,
  type ScalarBound,
} from './bound';
import { arithmetic, converted } from './operators';

const largestCopy = 64 * 1024;

type Target = PlaceBound & { readonly type: ScalarType };

/** @throws expression-bad */
export async function bindAssignment(binder: Binder, node: Node & { kind: 'assignment' }): Promise<Bound> {
  const { span, operator } = node;
  binder.writes = true;
  const target = assignable(await binder.bind(node.target), node.target.span);
  const value = await binder.bind(node.value, enumOf(target));
  if (target.type.kind === 'struct' && operator === undefined) return bindCopy(target, value, span);
  if (!isScalarTarget(target)) throw bad(`${typeText(target.type)} cannot be assigned to.`, node.target.span);
  const by = asScalar(value, binder.pointerSize);
  if (operator === undefined) return stored(target, await assigned(binder, by, target.type), span);
  const current = asScalar(target, binder.pointerSize);
  const sum = await arithmetic(binder, { operator, span }, current, by);
  return stored(target, await assigned(binder, sum, target.type), span);
}

/** @throws expression-bad */
export async function bindStep(binder: Binder, node: Node & { kind: 'step' }): Promise<Bound> {
  const { span, by, postfix } = node;
  binder.writes = true;
  const target = assignable(await binder.bind(node.target), node.target.span);
  if (!isScalarTarget(target))
    throw bad(`${typeText(target.type)} cannot be counted up or down.`, node.target.span);
  const current = asScalar(target, binder.pointerSize);
  const sum = await arithmetic(binder, { operator: '+', span }, current, constant(intType, span, BigInt(by)));
  const next = converted(sum, target.type);
  if (!postfix) return stored(target, next, span);
  return computed(target.type, span, async (access) => {
    const before = await current.compute(access);
    await store(access, target, await target.locate(access), await next.compute(access), span);
    return before;
  });
}

function assignable(bound: Bound, span: Span): PlaceBound {
  if (bound.kind === 'place' && bound.text === undefined) return bound;
  throw bad('This is a value without a place: it cannot be assigned to.', span);
}

const isScalarTarget = (target: PlaceBound): target is Target => isScalar(target.type);

/** Integers become pointers and enums without a cast: this is a debugger. */
async function assigned(binder: Binder, value: ScalarBound, type: ScalarType): Promise<ScalarBound> {
  return asScalar(await castTo(binder, value, type, value.span), binder.pointerSize);
}

/** Its value is the target, once it is written. */
function stored(target: Target, value: ScalarBound, span: Span): Bound {
  const { type, locate, bits } = target;
  return placeBound(
    type,
    span,
    async (access) => {
      const place = await locate(access);
      await store(access, target, place, await value.compute(access), span);
      return place;
    },
    bits,
  );
}

async function store(
  access: Access,
  { type, bits }: Target,
  place: Place,
  value: Scalar,
  span: Span,
): Promise<void> {
  try {
    await storeScalar(access, type, place, value, bits);
  } catch (error) {
    throw placed(error, span);
  }
}

/** One struct into another of its type. */
function bindCopy(target: PlaceBound, value: Bound, span: Span): Bound {
  const { type } = target;
  if (value.kind !== 'place' || typeText(value.type) !== typeText(type) || value.type.size !== type.size) {
    throw bad(`${typeText(value.type)} cannot be assigned to ${typeText(type)}.`, span);
  }
  if (type.size === 0 || type.size > largestCopy) throw bad('A structure of this size is not copied.', span);
  return placeBound(type, span, async (access) => {
    const place = await target.locate(access);
    try {
      await access.store(place, await access.load(await value.locate(access), type.size));
    } catch (error) {
      throw placed(error, span);
    }
    return place;
  });
}
