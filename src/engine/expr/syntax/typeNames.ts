/**
 * Types as written in casts and sizeof: `unsigned long`, `struct _FOO *`, `nt!_EPROCESS *`, `int (*)[4]`, `void (*)(int)`.
 *
 * A lone name may be a value as well as a type: `certain` says that it can only be a type.
 */

import { span, type Span } from '../expressionError';
import { builtinType, typeOfWords, typeWords } from '../types/builtinTypes';
import type { NameNode, TypeNode } from './ast';
import type { Cursor } from './cursor';

export interface WrittenType {
  readonly type: TypeNode;
  readonly certain: boolean;
}

const qualifiers = new Set([
  'const',
  'volatile',
  '__unaligned',
  '__restrict',
  '__ptr64',
  '__ptr32',
  'CONST',
  'typename',
]);
const tags = new Set(['struct', 'class', 'union', 'enum']);
/** An array type of a cast: no variable is larger. */
const longestArray = 0x7fff_ffffn;

/** Whether a word begins a type, whatever the program calls its variables. */
export const isTypeWord = (name: string): boolean =>
  typeWords.has(name) || tags.has(name) || qualifiers.has(name);

/** Undefined, and perhaps tokens taken, if no type comes. Takes as much as can be one. */
export function writtenType(cursor: Cursor, knownTypes: ReadonlySet<string>): WrittenType | undefined {
  const base = baseType(cursor, knownTypes);
  if (!base) return undefined;
  const declarator = abstractDeclarator(cursor, 0);
  if (!declarator) return undefined;
  return { type: declarator.wrap(base.type), certain: base.certain || declarator.certain };
}

function word(cursor: Cursor): (NameNode & { kind: 'name' }) | undefined {
  const { token } = cursor;
  return token.kind === 'name' ? token : undefined;
}

function skipQualifiers(cursor: Cursor): void {
  for (let name = word(cursor); name && qualifiers.has(name.name); name = word(cursor)) cursor.take();
}

function baseType(cursor: Cursor, knownTypes: ReadonlySet<string>): WrittenType | undefined {
  const start = cursor.token.span;
  skipQualifiers(cursor);
  const first = word(cursor);
  if (!first) return undefined;
  if (tags.has(first.name)) {
    cursor.take();
    const name = word(cursor);
    if (!name) return undefined;
    cursor.take();
    skipQualifiers(cursor);
    return { type: { kind: 'named', name, span: span(start, name.span) }, certain: true };
  }
  if (first.module === undefined && typeWords.has(first.name)) {
    const words: string[] = [];
    let end = first.span;
    for (let name = word(cursor); name; name = word(cursor)) {
      if (typeWords.has(name.name)) words.push(name.name);
      else if (!qualifiers.has(name.name)) break;
      end = cursor.take().span;
    }
    const type = typeOfWords(words);
    return type && { type: { kind: 'known', type, span: span(start, end) }, certain: true };
  }
  cursor.take();
  skipQualifiers(cursor);
  const isBuiltin = first.module === undefined && builtinType(first.name, 8) !== undefined;
  return {
    type: { kind: 'named', name: first, span: first.span },
    certain: isBuiltin || knownTypes.has(nameKey(first)) || first.name.includes('<'),
  };
}

/** What a name is known by among those that turned out to be types. */
export const nameKey = ({ module, name }: NameNode): string =>
  module === undefined ? name : `${module}!${name}`;

interface Declarator {
  readonly wrap: (type: TypeNode) => TypeNode;
  readonly certain: boolean;
}

const plain: Declarator = { wrap: (type) => type, certain: false };
const deepestDeclarator = 20;

/** Pointers, then a declarator in brackets, then arrays or parameters. Undefined if it does not end well. */
function abstractDeclarator(cursor: Cursor, depth: number): Declarator | undefined {
  if (depth > deepestDeclarator) return undefined;
  const pointers: { reference: boolean; span: Span }[] = [];
  for (;;) {
    const star = cursor.skip('*');
    const reference = star ? undefined : (cursor.skip('&') ?? cursor.skip('&&'));
    const sign = star ?? reference;
    if (!sign) break;
    if (pointers.length >= deepestDeclarator) return undefined;
    pointers.push({ reference: reference !== undefined, span: sign });
    skipQualifiers(cursor);
  }
  let inner = plain;
  if (cursor.isSign('(') && opensDeclarator(cursor)) {
    cursor.take();
    skipCallingConvention(cursor);
    const found = abstractDeclarator(cursor, depth + 1);
    if (!found || !cursor.skip(')')) return undefined;
    inner = { ...found, certain: true };
  }
  const suffix = inner === plain ? arraySuffix(cursor) : (parameters(cursor) ?? arraySuffix(cursor));
  if (!suffix) return undefined;
  return {
    certain: inner.certain || suffix.certain || pointers.length > 0,
    wrap: (type) => {
      const pointed = pointers.reduce<TypeNode>(
        (to, { reference, span: sign }) => ({ kind: 'pointer', reference, to, span: span(type.span, sign) }),
        type,
      );
      return inner.wrap(suffix.wrap(pointed));
    },
  };
}

const conventions = new Set(['__cdecl', '__stdcall', '__fastcall', '__vectorcall', 'NTAPI', 'WINAPI']);

function opensDeclarator(cursor: Cursor): boolean {
  const { next } = cursor;
  return (
    (next.kind === 'sign' && (next.sign === '*' || next.sign === '&')) ||
    (next.kind === 'name' && conventions.has(next.name))
  );
}

function skipCallingConvention(cursor: Cursor): void {
  const name = word(cursor);
  if (name && conventions.has(name.name)) cursor.take();
}

/** `[4][2]`, or nothing. */
function arraySuffix(cursor: Cursor): Declarator | undefined {
  const counts: { count: number; span: Span }[] = [];
  while (cursor.skip('[')) {
    const { token } = cursor;
    if (token.kind !== 'number' || typeof token.value !== 'bigint' || token.value > longestArray)
      return undefined;
    cursor.take();
    const end = cursor.skip(']');
    if (!end) return undefined;
    counts.push({ count: Number(token.value), span: end });
    if (counts.length > deepestDeclarator) return undefined;
  }
  if (counts.length === 0) return plain;
  return {
    certain: false,
    wrap: (type) =>
      counts.reduceRight<TypeNode>(
        (element, { count, span: end }) => ({ kind: 'array', element, count, span: span(type.span, end) }),
        type,
      ),
  };
}

/** `(int, void *)` of a function: what stands in it does not matter. */
function parameters(cursor: Cursor): Declarator | undefined {
  const start = cursor.skip('(');
  if (!start) return undefined;
  let end = start;
  for (let depth = 1; depth > 0;) {
    if (cursor.token.kind === 'end') return undefined;
    if (cursor.isSign('(')) depth++;
    else if (cursor.isSign(')')) depth--;
    end = cursor.take().span;
  }
  return { certain: true, wrap: () => ({ kind: 'function', span: span(start, end) }) };
}
