/**
 * An expression whose names and types are settled: what remains is to read, compute and write. It is made once and run
 * many times.
 */

import type { Access } from '../access';
import type { Awaitable } from '../context';
import { bad, placed, type Span } from '../expressionError';
import { isScalar, pointerTo, type EnumType, type ScalarType, type Type } from '../types/type';
import { typeText } from '../types/typeText';
import { inMemory, type BitRange, type Place } from '../values/place';
import { addressOf, decode, encode, fit, type Scalar } from '../values/scalar';
import type { Value } from '../values/value';

export type Bound = PlaceBound | ScalarBound;

/** Something that lives somewhere: variables, what a pointer points at, aggregates. */
export interface PlaceBound {
  readonly kind: 'place';
  readonly type: Type;
  readonly span: Span;
  readonly bits?: BitRange;
  /** A string literal's text. */
  readonly text?: string;
  readonly locate: (access: Access) => Awaitable<Place>;
}

/** A number that is computed. */
export interface ScalarBound {
  readonly kind: 'scalar';
  readonly type: ScalarType;
  readonly span: Span;
  /** Its value, if no target is needed to know it. */
  readonly constant?: Scalar;
  /** Bits, if it was a bit field: they decide what it is promoted to. */
  readonly width?: number;
  readonly compute: (access: Access) => Awaitable<Scalar>;
}

/** A reference stands for what it refers to. */
export function placeBound(
  type: Type,
  span: Span,
  locate: PlaceBound['locate'],
  bits?: BitRange,
): PlaceBound {
  if (type.kind === 'pointer' && type.reference) {
    return placeBound(type.to, span, async (access) => {
      const pointer = await loadScalar(access, type, await locate(access), span);
      return inMemory(addressOf(pointer as bigint, type.size));
    });
  }
  return bits ? { kind: 'place', type, span, locate, bits } : { kind: 'place', type, span, locate };
}

export const computed = (type: ScalarType, span: Span, compute: ScalarBound['compute']): ScalarBound => ({
  kind: 'scalar',
  type,
  span,
  compute,
});

export const constant = (type: ScalarType, span: Span, value: Scalar): ScalarBound => ({
  kind: 'scalar',
  type,
  span,
  constant: value,
  compute: () => value,
});

/** A number out of others: now, if they are known, else at each run. */
export function derived(
  type: ScalarType,
  span: Span,
  from: ScalarBound,
  apply: (value: Scalar) => Scalar,
): ScalarBound {
  if (from.constant !== undefined) return constant(type, span, apply(from.constant));
  return computed(type, span, async (access) => apply(await from.compute(access)));
}

/** @throws what Access.load throws, with the place in the text */
async function loadScalar(
  access: Access,
  type: ScalarType,
  place: Place,
  span: Span,
  bits?: BitRange,
): Promise<Scalar> {
  try {
    const value = decode(type, await access.load(place, type.size), bits);
    return type.kind === 'boolean' && value !== 0n ? 1n : value;
  } catch (error) {
    throw placed(error, span);
  }
}

/**
 * The value as a number: what C++ calls an rvalue. Arrays and functions become pointers.
 * @throws expression-bad if it can be none
 */
export function asScalar(bound: Bound, pointerSize: number): ScalarBound {
  if (bound.kind === 'scalar') return bound;
  const { type, span, locate, bits } = bound;
  if (bound.text !== undefined) throw bad('A string can only be compared with another.', span);
  if (isScalar(type)) {
    const compute = async (access: Access): Promise<Scalar> => {
      const place = locate(access);
      return loadScalar(access, type, place instanceof Promise ? await place : place, span, bits);
    };
    const scalar = computed(type, span, compute);
    return bits ? { ...scalar, width: bits.length } : scalar;
  }
  switch (type.kind) {
    case 'array':
      return addressBound(bound, pointerTo(type.element, pointerSize));
    case 'function':
      return addressBound(bound, pointerTo(type, pointerSize));
    case 'opaque':
      throw bad(
        'This has no type, or none that can be computed with.',
        span,
        'Say what it is: take its address and cast that, as in *(ULONG *)&name.',
      );
    case 'struct':
      throw bad(`A value of type ${typeText(type)} is no number.`, span, 'Name a member of it.');
    case 'void':
      throw bad('A void has no value.', span, 'Cast the pointer to what it points at.');
  }
}

/** Where something lives, as a pointer. @throws value-unavailable when it runs, if that is not in memory */
export function addressBound(bound: PlaceBound, type: ScalarType & { kind: 'pointer' }): ScalarBound {
  return computed(type, bound.span, async (access) => {
    const place = await bound.locate(access);
    if (place.kind === 'memory') return fit(place.address, type.size, false);
    throw bad(
      place.kind === 'unavailable' ? place.reason : 'This has no address: it is not in memory.',
      bound.span,
    );
  });
}

export const enumOf = ({ type }: Bound): EnumType | undefined => (type.kind === 'enum' ? type : undefined);

/** Runs it. @throws ExpressionError */
export async function valueOf(bound: Bound, access: Access): Promise<Value> {
  try {
    if (bound.kind === 'scalar') {
      const bytes = encode(bound.type, await bound.compute(access));
      return { type: bound.type, place: { kind: 'bytes', bytes } };
    }
    const place = await bound.locate(access);
    return bound.bits ? { type: bound.type, place, bits: bound.bits } : { type: bound.type, place };
  } catch (error) {
    throw placed(error, bound.span);
  }
}
