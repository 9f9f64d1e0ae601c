/**
 * What names mean. In this order: the frame's variables; members of `this`; symbols; enumerators of the enum that the
 * name is compared with or assigned to, or that it is qualified with; the constants that drivers know as macros.
 */

import { bad, ExpressionError, type Span } from '../expressionError';
import type { Meaning } from '../context';
import { statusValue } from '../statusNames';
import type { NameNode } from '../syntax/ast';
import { boolType, intType, statusType } from '../types/builtinTypes';
import { findField } from '../types/fields';
import {
  functionType,
  integer,
  isScalar,
  pointerTo,
  voidType,
  type EnumType,
  type ScalarType,
  type Type,
} from '../types/type';
import { inMemory } from '../values/place';
import { encode } from '../values/scalar';
import type { Binder } from './binder';
import { constant, placeBound, type Bound } from './bound';
import { memberOf, pointee } from './members';
import { namedType } from './typeNodes';

/** Kept apart from other errors: the name may yet turn out to be a type or an enumerator. */
class UnknownName extends ExpressionError {}

export const isUnknownName = (error: unknown): boolean => error instanceof UnknownName;

/** @throws expression-bad, symbols-not-loaded */
export async function bindName(binder: Binder, node: NameNode, hint?: EnumType): Promise<Bound> {
  const { module, name, span } = node;
  const keyword = module === undefined ? bindKeyword(binder, name, span) : undefined;
  if (keyword) return keyword;
  const { context } = binder;
  const variable = module === undefined ? await context.variable(name) : undefined;
  if (variable && variable.kind !== 'symbols-not-loaded') return meant(variable, span);
  const member =
    module === undefined && name !== 'this' ? await bindOwnMember(binder, name, span) : undefined;
  if (member) return member;
  const symbol = await context.symbol(module, name);
  if (symbol && symbol.kind !== 'symbols-not-loaded') return meant(symbol, span);
  const other =
    enumerator(hint, name, span) ?? (await qualifiedEnumerator(binder, node)) ?? macro(binder, node);
  if (other) return other;
  throw unknown(
    node,
    [variable, symbol].find((one) => one !== undefined),
  );
}

function unknown({ module, name, span }: NameNode, missing: Meaning | undefined): ExpressionError {
  const shown = module === undefined ? name : `${module}!${name}`;
  if (missing?.kind === 'symbols-not-loaded') {
    return new UnknownName(
      'symbols-not-loaded',
      `“${shown}” is not known: the symbols of ${missing.module} are not loaded.`,
      span,
    );
  }
  if (name === 'this') return new UnknownName('expression-bad', 'There is no “this” here.', span);
  const nextStep = /^[0-9a-f]{4,16}$/i.test(shown)
    ? `Write 0x${shown} if it is a hexadecimal number.`
    : 'Is it in scope here, and are the symbols of its module loaded?';
  return new UnknownName('expression-bad', `“${shown}” is not known here.`, span, { nextStep });
}

function meant(meaning: Exclude<Meaning, { kind: 'symbols-not-loaded' }>, span: Span): Bound {
  switch (meaning.kind) {
    case 'variable':
      return placeBound(meaning.type, span, (access) => meaning.locate(access.context));
    case 'function':
      return placeBound(meaning.type ?? functionType, span, () => inMemory(meaning.address));
    case 'untyped':
      return placeBound({ kind: 'opaque', name: '<no type>', size: 0 }, span, () =>
        inMemory(meaning.address),
      );
    case 'constant':
      return constantOf(meaning.type, meaning.value, span);
  }
}

function constantOf(type: Type, value: bigint, span: Span): Bound {
  if (!isScalar(type)) throw bad('This constant is no number.', span);
  if (type.kind !== 'float') return constant(type, span, value);
  const bytes = encode(type, value);
  return placeBound(type, span, () => ({ kind: 'bytes', bytes }));
}

/** Words that mean the same everywhere. */
function bindKeyword({ pointerSize }: Binder, name: string, span: Span): Bound | undefined {
  switch (name) {
    case 'true':
      return constant(boolType, span, 1n);
    case 'false':
      return constant(boolType, span, 0n);
    case 'nullptr':
      return constant(pointerTo(voidType, pointerSize), span, 0n);
    default:
      return undefined;
  }
}

/** In a member function, its object's members need no `this->`. */
async function bindOwnMember(binder: Binder, name: string, span: Span): Promise<Bound | undefined> {
  const self = await binder.context.variable('this');
  if (self?.kind !== 'variable' || self.type.kind !== 'pointer' || self.type.to.kind !== 'struct')
    return undefined;
  const type = await binder.completed(self.type.to);
  const field = findField(type, name);
  if (!field) return undefined;
  const object = pointee(binder, meant(self, span), span);
  return memberOf({ ...object, type }, name, span, span);
}

function enumerator(type: EnumType | undefined, name: string, span: Span): Bound | undefined {
  const found = type?.enumerators.find((one) => one.name === name);
  return type && found && constant(type, span, found.value);
}

/** `_POOL_TYPE::PagedPool` */
async function qualifiedEnumerator(
  binder: Binder,
  { module, name, span }: NameNode,
): Promise<Bound | undefined> {
  const split = name.lastIndexOf('::');
  if (split < 0) return undefined;
  const type = await namedType(binder.context, { kind: 'name', module, name: name.slice(0, split), span });
  return type?.kind === 'enum' ? enumerator(type, name.slice(split + 2), span) : undefined;
}

/** PDBs have no macros; these are in every driver. */
function macro({ pointerSize }: Binder, { module, name, span }: NameNode): Bound | undefined {
  if (module !== undefined) return undefined;
  switch (name) {
    case 'TRUE':
      return constant(intType, span, 1n);
    case 'FALSE':
      return constant(intType, span, 0n);
    case 'NULL':
      return constant(pointerTo(voidType, pointerSize), span, 0n);
    default: {
      const status = statusValue(name);
      return status === undefined ? undefined : constant(statusType, span, BigInt(status | 0));
    }
  }
}

/** @throws expression-bad if the machine has none such */
export async function bindRegister({ context }: Binder, name: string, span: Span): Promise<Bound> {
  const register = await context.register(name);
  if (!register) throw bad(`There is no register “${name}”.`, span);
  const type = registerType(register.size);
  return placeBound(type, span, () => ({ kind: 'register', name, offset: 0 }));
}

function registerType(size: number): ScalarType {
  const names: Readonly<Record<number, string>> = {
    1: 'char',
    2: 'short',
    4: 'long',
    8: '__int64',
    16: '__int128',
  };
  return integer(`unsigned ${names[size] ?? `(${size * 8} bits)`}`, size, false);
}

/** `@$proc`. @throws expression-bad, symbols-not-loaded */
export async function bindPseudo({ context }: Binder, name: string, span: Span): Promise<Bound> {
  const meaning = await context.pseudo(name);
  if (!meaning) throw bad(`There is no “$${name}” here.`, span);
  if (meaning.kind !== 'symbols-not-loaded') return meant(meaning, span);
  throw new ExpressionError(
    'symbols-not-loaded',
    `“$${name}” has no type: the symbols of ${meaning.module} are not loaded.`,
    span,
  );
}
