/** Functions and macros that debuggers and NT's headers know: what syntax/intrinsics.ts parses. */

import { bad, type Span } from '../expressionError';
import type { FieldPath, Node } from '../syntax/ast';
import { functionNames, type FunctionName } from '../syntax/intrinsics';
import {
  longType,
  sizeType,
  unsignedInt64Type,
  unsignedIntType,
  unsignedLongType,
} from '../types/builtinTypes';
import { findField } from '../types/fields';
import { integer, pointerTo, type ScalarType, type Type } from '../types/type';
import { typeText } from '../types/typeText';
import { inMemory } from '../values/place';
import { addressOf, fit } from '../values/scalar';
import type { Binder } from './binder';
import { computed, constant, derived, placeBound, type Bound, type ScalarBound } from './bound';

/** What is read at an address; `hi` and `low` are halves of 32 bits. */
const reads: Readonly<Record<FunctionName, ScalarType | 'pointer' | 'half'>> = {
  poi: 'pointer',
  by: integer('unsigned char', 1, false),
  wo: integer('unsigned short', 2, false),
  dwo: unsignedLongType,
  qwo: unsignedInt64Type,
  hi: 'half',
  low: 'half',
};

/** @throws expression-bad */
export async function bindCall(
  binder: Binder,
  { name, argument, span }: Node & { kind: 'call' },
): Promise<Bound> {
  const known = functionNames.find((one) => one === name)!;
  const value = await addressArgument(binder, argument);
  const what = reads[known];
  if (what === 'half') {
    const shift = known === 'hi' ? 16n : 0n;
    return derived(unsignedIntType, span, value, (from) =>
      BigInt.asUintN(16, BigInt.asUintN(64, from as bigint) >> shift),
    );
  }
  const type = what === 'pointer' ? (sizeType(binder.pointerSize) as ScalarType) : what;
  return placeBound(type, span, async (access) => {
    return inMemory(addressOf((await value.compute(access)) as bigint, binder.pointerSize));
  });
}

/** A number or a pointer; of what has no type, its address. */
async function addressArgument(binder: Binder, argument: Node): Promise<ScalarBound> {
  const bound = await binder.bind(argument);
  if (bound.kind === 'place' && bound.type.kind === 'opaque') {
    return binder.scalar({ kind: 'unary', operator: '&', operand: argument, span: argument.span });
  }
  const value = await binder.scalar(argument);
  if (value.type.kind === 'float') throw bad('An address is no floating-point number.', argument.span);
  return value;
}

/** @throws expression-bad */
export async function bindContainingRecord(
  binder: Binder,
  { address, type: node, field, span }: Node & { kind: 'containingRecord' },
): Promise<Bound> {
  const pointer = await binder.scalar(address);
  if (pointer.type.kind === 'float') throw bad('An address is no floating-point number.', address.span);
  const type = await binder.type(node);
  const { offset } = await fieldAt(binder, type, field, node.span);
  const result = pointerTo(type, binder.pointerSize);
  const start = (from: bigint): bigint => fit(from - BigInt(offset), result.size, false);
  if (pointer.constant !== undefined) return constant(result, span, start(pointer.constant as bigint));
  return computed(result, span, async (access) => start((await pointer.compute(access)) as bigint));
}

/** @throws expression-bad */
export async function bindFieldOf(binder: Binder, node: Node & { kind: 'fieldOf' }): Promise<Bound> {
  const { what, span } = node;
  const type = await binder.type(node.type);
  const { offset, type: fieldType } = await fieldAt(binder, type, node.field, node.type.span);
  switch (what) {
    case 'offset':
      return constant(longType, span, BigInt(offset));
    case 'size':
      return constant(sizeType(binder.pointerSize) as ScalarType, span, BigInt(fieldType.size));
    case 'end':
      return constant(sizeType(binder.pointerSize) as ScalarType, span, BigInt(offset + fieldType.size));
  }
}

/** Where a field lies in a type. @throws expression-bad */
export async function fieldAt(
  binder: Binder,
  whole: Type,
  { steps }: FieldPath,
  typeSpan: Span,
): Promise<{ type: Type; offset: number }> {
  let type = whole;
  let offset = 0;
  let before = typeSpan;
  for (const step of steps) {
    if (step.kind === 'index') {
      if (type.kind !== 'array') throw bad(`${typeText(type)} has no elements.`, before);
      type = type.element;
      offset += step.index * type.size;
    } else {
      if (type.kind !== 'struct') throw bad(`${typeText(type)} has no members.`, before);
      const struct = await binder.completed(type);
      const field = findField(struct, step.name);
      if (!field || field === 'ambiguous')
        throw bad(`${struct.name} has no member “${step.name}”.`, step.span);
      if (field.virtualBase) throw bad(`Where “${step.name}” lies is known to each object only.`, step.span);
      if (field.bits) throw bad('A bit field has no offset in bytes.', step.span);
      type = field.type;
      offset += field.offset;
    }
    before = step.span;
  }
  return { type, offset };
}
