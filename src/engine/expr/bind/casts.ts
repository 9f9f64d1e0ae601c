/** `(type)x`, as C casts: numbers and pointers into one another, pointers between a class and its bases. */

import { bad, type Span } from '../expressionError';
import type { Node } from '../syntax/ast';
import { baseOffset } from '../types/fields';
import { isScalar, type PointerType, type Type } from '../types/type';
import { typeText } from '../types/typeText';
import { within } from '../values/place';
import { fit, type Scalar } from '../values/scalar';
import type { Binder } from './binder';
import { asScalar, computed, placeBound, type Bound, type ScalarBound } from './bound';
import { converted } from './operators';

/** @throws expression-bad */
export async function bindCast(binder: Binder, node: Node & { kind: 'cast' }): Promise<Bound> {
  const type = await binder.type(node.type);
  const operand = await binder.bind(node.operand, type.kind === 'enum' ? type : undefined);
  return castTo(binder, operand, type, node.span);
}

/** @throws expression-bad */
export async function castTo(binder: Binder, operand: Bound, type: Type, span: Span): Promise<Bound> {
  if (type.kind === 'pointer' && type.reference) return reinterpreted(operand, type.to, span);
  if (!isScalar(type)) {
    if (operand.kind === 'place' && typeText(operand.type) === typeText(type)) return { ...operand, span };
    throw bad(
      `Nothing can be cast to ${typeText(type)}.`,
      span,
      'Cast its address to a pointer, as in *(T *)&x.',
    );
  }
  const value = asScalar(operand, binder.pointerSize);
  const isPointer = type.kind === 'pointer';
  if (
    (isPointer && value.type.kind === 'float') ||
    (type.kind === 'float' && value.type.kind === 'pointer')
  ) {
    throw bad(`${typeText(value.type)} cannot be cast to ${typeText(type)}.`, span);
  }
  if (isPointer && value.type.kind === 'pointer') return castPointer(value, value.type, type, span);
  return { ...converted(value, type), span };
}

/** `(T&)x`: the same place seen as another type. */
function reinterpreted(operand: Bound, type: Type, span: Span): Bound {
  if (operand.kind === 'scalar' || operand.bits)
    throw bad('What has no address cannot be seen as another type.', span);
  const { locate } = operand;
  const offset = steps(operand.type, type);
  return placeBound(
    type,
    span,
    offset === 0 ? locate : async (access) => within(await locate(access), offset),
  );
}

function castPointer(value: ScalarBound, from: PointerType, type: PointerType, span: Span): Bound {
  const offset = BigInt(steps(from.to, type.to));
  const whole = converted(value, type);
  if (offset === 0n) return { ...whole, span };
  const moved = (pointer: Scalar): bigint =>
    pointer === 0n ? 0n : fit((pointer as bigint) + offset, type.size, false);
  return computed(type, span, async (access) => moved(await whole.compute(access)));
}

/** From a class to its base, or back; 0 between strangers. A virtual base is a stranger here. */
function steps(from: Type, to: Type): number {
  if (from.kind !== 'struct' || to.kind !== 'struct' || from.name === to.name) return 0;
  return baseOffset(from, to.name) ?? -(baseOffset(to, from.name) ?? 0);
}
