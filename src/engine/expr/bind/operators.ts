/** `+ - * / % << >> & | ^`, and `+ - ~ ! * &` before their operand. */

import { bad, placed } from '../expressionError';
import type { Node } from '../syntax/ast';
import { boolType, int64Type, longType } from '../types/builtinTypes';
import { pointerTo, type EnumType, type PointerType } from '../types/type';
import { typeText } from '../types/typeText';
import { fit, type Scalar } from '../values/scalar';
import { commonType, conversion, isTrue, operation, promoted, type ArithmeticType } from './arithmetic';
import type { Binder } from './binder';
import { addressBound, asScalar, computed, constant, derived, type Bound, type ScalarBound } from './bound';
import { pointee, sizeOfTarget } from './members';

type ArithmeticNode = Node & { kind: 'arithmetic' };

/** @throws expression-bad */
export async function bindArithmetic(binder: Binder, node: ArithmeticNode, hint?: EnumType): Promise<Bound> {
  const [first, second] = await binder.pair(node.left, node.right, hint);
  return arithmetic(binder, node, asScalar(first, binder.pointerSize), asScalar(second, binder.pointerSize));
}

/** Of operands that are bound already. @throws expression-bad */
export async function arithmetic(
  binder: Binder,
  node: Pick<ArithmeticNode, 'operator' | 'span'>,
  left: ScalarBound,
  right: ScalarBound,
): Promise<ScalarBound> {
  if (left.type.kind === 'pointer' || right.type.kind === 'pointer')
    return onPointers(binder, node, left, right);
  const { operator, span } = node;
  const types = [promoted(left.type, left.width), promoted(right.type, right.width)] as const;
  const isShift = operator === '<<' || operator === '>>';
  if (isShift && types[1].kind === 'float') throw bad('One shifts by an integer.', span);
  const type = isShift ? types[0] : commonType(...types);
  const apply = operation(operator, type);
  if (!apply) throw bad(`“${operator}” is for integers.`, span);
  const from = converted(left, type);
  const by = isShift ? right : converted(right, type);
  return combined(type, span, from, by, apply);
}

/** Computed now if both are known. @throws expression-bad */
export function combined(
  type: ScalarBound['type'],
  span: ScalarBound['span'],
  left: ScalarBound,
  right: ScalarBound,
  apply: (left: Scalar, right: Scalar) => Scalar,
): ScalarBound {
  const attempt = (a: Scalar, b: Scalar): Scalar => {
    try {
      return apply(a, b);
    } catch (error) {
      throw placed(error, span);
    }
  };
  if (right.constant !== undefined) {
    const known = right.constant;
    if (left.constant !== undefined) return constant(type, span, attempt(left.constant, known));
    return computed(type, span, async (access) => attempt(await left.compute(access), known));
  }
  return computed(type, span, async (access) =>
    attempt(await left.compute(access), await right.compute(access)),
  );
}

/** As a value of that type. */
export function converted(from: ScalarBound, type: ScalarBound['type']): ScalarBound {
  const convert = conversion(from.type, type);
  if (convert) return derived(type, from.span, from, convert);
  const { span, compute } = from;
  return from.constant === undefined ? computed(type, span, compute) : constant(type, span, from.constant);
}

/** `p + i`, `i + p`, `p - i`, `p - q`: counted in what they point at. */
async function onPointers(
  binder: Binder,
  { operator, span }: Pick<ArithmeticNode, 'operator' | 'span'>,
  left: ScalarBound,
  right: ScalarBound,
): Promise<ScalarBound> {
  if (left.type.kind === 'pointer' && right.type.kind === 'pointer') {
    if (operator !== '-') throw bad(`“${operator}” is not for two pointers.`, span);
    const unit = BigInt(await sizeOfTarget(binder, left.type.to, left.span));
    const { size } = left.type;
    const type = size === 8 ? int64Type : longType;
    return combined(type, span, left, right, (a, b) => fit((a as bigint) - (b as bigint), size, true) / unit);
  }
  const [pointer, count] = left.type.kind === 'pointer' ? [left, right] : [right, left];
  const isSum = operator === '+' || (operator === '-' && pointer === left);
  if (!isSum || !isInteger(count)) {
    throw bad(
      `“${operator}” is not for ${typeText(left.type)} and ${typeText(right.type)}.`,
      span,
      'Cast the pointer to ULONG64 to compute with its bits.',
    );
  }
  const type = pointer.type as PointerType;
  const unit = BigInt(await sizeOfTarget(binder, type.to, pointer.span));
  const sign = operator === '-' ? -unit : unit;
  const apply = (a: Scalar, b: Scalar): bigint => fit((a as bigint) + (b as bigint) * sign, type.size, false);
  return combined(type, span, pointer, count, apply);
}

export const isInteger = ({ type }: Bound): boolean =>
  type.kind === 'integer' || type.kind === 'enum' || type.kind === 'boolean';

/** @throws expression-bad */
export async function bindUnary(
  binder: Binder,
  node: Node & { kind: 'unary' },
  hint?: EnumType,
): Promise<Bound> {
  const { operator, span } = node;
  switch (operator) {
    case '*':
      return pointee(binder, await binder.bind(node.operand), span);
    case '&':
      return addressTo(binder, await binder.bind(node.operand), span);
    case '!':
      return derived(boolType, span, await binder.scalar(node.operand), (value) => (isTrue(value) ? 0n : 1n));
    case '+':
    case '-':
    case '~':
      return signed(operator, span, await binder.scalar(node.operand, hint));
  }
}

function signed(operator: '+' | '-' | '~', span: ScalarBound['span'], operand: ScalarBound): ScalarBound {
  if (operand.type.kind === 'pointer') throw bad(`“${operator}” is not for pointers.`, span);
  const type = promoted(operand.type, operand.width);
  const from = converted(operand, type);
  if (operator === '+') return { ...from, span };
  if (operator === '~') {
    if (type.kind === 'float') throw bad('“~” is for integers.', span);
    return derived(type, span, from, (value) => fit(~(value as bigint), type.size, type.signed));
  }
  return derived(type, span, from, (value) => negated(value, type));
}

const negated = (value: Scalar, type: ArithmeticType): Scalar =>
  type.kind === 'float' ? -(value as number) : fit(-(value as bigint), type.size, type.signed);

function addressTo(binder: Binder, operand: Bound, span: ScalarBound['span']): Bound {
  if (operand.kind === 'scalar' || operand.text !== undefined) {
    throw bad('A value that is computed has no address.', span);
  }
  if (operand.bits) throw bad('A bit field has no address.', span);
  const to =
    operand.type.kind === 'opaque' && operand.type.size === 0
      ? ({ kind: 'void', size: 0 } as const)
      : operand.type;
  return { ...addressBound(operand, pointerTo(to, binder.pointerSize)), span };
}
