/**
 * What may stand behind an expression: `,x` `,s` `,[20]` `,list(nt!_EPROCESS.ActiveProcessLinks)`, one after the other.
 *
 *   d u x h o b          decimal (of signed numbers, or unsigned), hexadecimal, octal, binary
 *   c s sb s8 s8b su sub character; string of bytes, UTF-8, UTF-16 (`b`: without quotes)
 *   [expression] 20      so many elements from here
 *   n  !                 without symbols; raw, as if nothing were known of the type but its members
 *   status time          as NTSTATUS, as a point in time
 *   list(T.field)        the records of which this LIST_ENTRY is the head
 */

import type { FieldPath, Node, TypeNode } from './ast';

export type Radix = 'decimal' | 'unsigned' | 'hex' | 'octal' | 'binary';
export type TextEncoding = 'ansi' | 'utf8' | 'utf16';

/** As the word says, not yet with what has to be evaluated. */
export interface FormatWord {
  readonly radix?: Radix;
  readonly text?: TextEncoding;
  /** Text without its quotes. */
  readonly unquoted?: true;
  readonly character?: true;
  readonly noSymbol?: true;
  readonly raw?: true;
  readonly status?: true;
  readonly time?: true;
}

export interface WrittenFormat extends FormatWord {
  readonly count?: Node;
  readonly list?: { readonly type: TypeNode; readonly field: FieldPath };
}

const words: Readonly<Record<string, FormatWord>> = {
  d: { radix: 'decimal' },
  i: { radix: 'decimal' },
  u: { radix: 'unsigned' },
  x: { radix: 'hex' },
  h: { radix: 'hex' },
  X: { radix: 'hex' },
  H: { radix: 'hex' },
  o: { radix: 'octal' },
  b: { radix: 'binary' },
  c: { character: true },
  s: { text: 'ansi' },
  sb: { text: 'ansi', unquoted: true },
  s8: { text: 'utf8' },
  s8b: { text: 'utf8', unquoted: true },
  su: { text: 'utf16' },
  sub: { text: 'utf16', unquoted: true },
  n: { noSymbol: true },
  status: { status: true },
  time: { time: true },
};

export const formatWord = (word: string): FormatWord | undefined =>
  Object.hasOwn(words, word) ? words[word] : undefined;
export const rawFormat: FormatWord = { raw: true };
export const formatWords = Object.keys(words);
