/** `== != < > <= >=`, `&& ||`, `? :`. */

import { bad, type Span } from '../expressionError';
import type { ComparisonOperator, Node } from '../syntax/ast';
import { boolType } from '../types/builtinTypes';
import { pointerTo, voidType, type EnumType, type PointerType } from '../types/type';
import { typeText } from '../types/typeText';
import type { Scalar } from '../values/scalar';
import { commonType, isTrue, promoted } from './arithmetic';
import type { Binder } from './binder';
import { asScalar, computed, constant, derived, placeBound, type Bound, type ScalarBound } from './bound';
import { combined, converted } from './operators';
import { bindTextComparison } from './textComparison';

const outcomes: Readonly<Record<ComparisonOperator, (left: Scalar, right: Scalar) => boolean>> = {
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<': (left, right) => left < right,
  '>': (left, right) => left > right,
  '<=': (left, right) => left <= right,
  '>=': (left, right) => left >= right,
};

/** @throws expression-bad */
export async function bindComparison(binder: Binder, node: Node & { kind: 'comparison' }): Promise<Bound> {
  const { operator, span } = node;
  const [first, second] = await binder.pair(node.left, node.right);
  const text = bindTextComparison(binder, operator, span, first, second);
  if (text) return text;
  const [left, right] = [asScalar(first, binder.pointerSize), asScalar(second, binder.pointerSize)];
  const type = comparedAs(left, right, span);
  const holds = outcomes[operator];
  return combined(boolType, span, converted(left, type), converted(right, type), (a, b) =>
    holds(a, b) ? 1n : 0n,
  );
}

/** Pointers are compared as addresses, with integers too. */
function comparedAs(left: ScalarBound, right: ScalarBound, span: Span): ScalarBound['type'] {
  const pointer = [left, right].find(({ type }) => type.kind === 'pointer');
  if (!pointer) return commonType(promoted(left.type, left.width), promoted(right.type, right.width));
  if (left.type.kind === 'float' || right.type.kind === 'float') {
    throw bad(`${typeText(left.type)} and ${typeText(right.type)} cannot be compared.`, span);
  }
  return pointer.type;
}

/** The right side is not looked at if the left decides. */
export async function bindLogical(binder: Binder, node: Node & { kind: 'logical' }): Promise<Bound> {
  const { operator, span } = node;
  const left = truth(await binder.scalar(node.left));
  const right = truth(await binder.scalar(node.right));
  const decisive = operator === '&&' ? 0n : 1n;
  if (left.constant === decisive) return constant(boolType, span, decisive);
  if (left.constant !== undefined) return { ...right, span };
  return computed(boolType, span, async (access) =>
    (await left.compute(access)) === decisive ? decisive : right.compute(access),
  );
}

const truth = (bound: ScalarBound): ScalarBound =>
  bound.type.kind === 'boolean'
    ? bound
    : derived(boolType, bound.span, bound, (value) => (isTrue(value) ? 1n : 0n));

/** @throws expression-bad */
export async function bindConditional(
  binder: Binder,
  node: Node & { kind: 'conditional' },
  hint?: EnumType,
): Promise<Bound> {
  const { span } = node;
  const condition = truth(await binder.scalar(node.condition));
  const [first, second] = await binder.pair(node.whenTrue, node.whenFalse, hint);
  if (
    first.kind === 'place' &&
    second.kind === 'place' &&
    first.type === second.type &&
    !first.bits &&
    !second.bits
  ) {
    return placeBound(first.type, span, async (access) =>
      isTrue(await condition.compute(access)) ? first.locate(access) : second.locate(access),
    );
  }
  const [left, right] = [asScalar(first, binder.pointerSize), asScalar(second, binder.pointerSize)];
  const type = chosenType(left, right, binder.pointerSize, span);
  const [whenTrue, whenFalse] = [converted(left, type), converted(right, type)];
  if (condition.constant !== undefined)
    return { ...(isTrue(condition.constant) ? whenTrue : whenFalse), span };
  return computed(type, span, async (access) =>
    isTrue(await condition.compute(access)) ? whenTrue.compute(access) : whenFalse.compute(access),
  );
}

function chosenType(
  left: ScalarBound,
  right: ScalarBound,
  pointerSize: number,
  span: Span,
): ScalarBound['type'] {
  const [a, b] = [left.type, right.type];
  if (a.kind !== 'pointer' && b.kind !== 'pointer') {
    if (a.kind === b.kind && typeText(a) === typeText(b)) return a;
    return commonType(promoted(a, left.width), promoted(b, right.width));
  }
  if (a.kind === 'pointer' && b.kind === 'pointer') return chosenPointer(a, b, left, right, pointerSize);
  if (isNull(left)) return b;
  if (isNull(right)) return a;
  throw bad(`The choices are ${typeText(a)} and ${typeText(b)}: cast one of them.`, span);
}

const isNull = ({ constant: value }: ScalarBound): boolean => value === 0n;

function chosenPointer(
  a: PointerType,
  b: PointerType,
  left: ScalarBound,
  right: ScalarBound,
  pointerSize: number,
): PointerType {
  if (isNull(left)) return b;
  if (isNull(right) || typeText(a) === typeText(b)) return a;
  return pointerTo(voidType, pointerSize);
}
