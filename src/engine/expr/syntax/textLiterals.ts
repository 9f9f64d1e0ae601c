/** `'a'`, `L'a'`, `"abc"`, `L"abc"`, with C's escapes. A character is a number; a string is text to compare with. */

import { bad, type Span } from '../expressionError';
import { charType, intType, wideCharType } from '../types/builtinTypes';
import { arrayOf, integer, type IntegerType, type Type } from '../types/type';

type Literal =
  | { readonly kind: 'number'; readonly value: bigint; readonly type: Type; readonly span: Span }
  | { readonly kind: 'text'; readonly text: string; readonly type: Type; readonly span: Span };

const start = /(L|u8|u|U)?(['"])/y;
const escape = /\\(?:x([0-9a-f]{1,8})|u([0-9a-f]{4})|U([0-9a-f]{8})|([0-7]{1,3})|(.))/isy;
const simpleEscapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  e: '\x1b',
};

/** Undefined if there is none at `at`. @throws expression-bad */
export function readText(text: string, at: number): Literal | undefined {
  start.lastIndex = at;
  const found = start.exec(text);
  if (!found) return undefined;
  const [opening, prefix, quote] = found;
  const units: number[] = [];
  let end = at + opening.length;
  for (;;) {
    const character = text.charAt(end);
    if (character === '' || character === '\n')
      throw bad(`The closing ${quote!} is missing.`, { offset: at, length: end - at });
    if (character === quote) break;
    if (character === '\\') end = readEscape(text, end, units);
    else units.push(text.charCodeAt(end++));
  }
  const span = { offset: at, length: end + 1 - at };
  const type = prefix === undefined ? charType : wideTypes[prefix]!;
  if (quote === '"') {
    const content = String.fromCharCode(...units);
    return { kind: 'text', text: content, type: arrayOf(type, content.length + 1), span };
  }
  return { kind: 'number', ...character(units, type, span), span };
}

function character(units: readonly number[], type: IntegerType, span: Span): { value: bigint; type: Type } {
  const bits = type.size * 8;
  // Multi-character constants, as in pool tags: 'Tag1' is an int, its last character in the lowest byte.
  if (type.size === 1 && units.length > 1 && units.length <= 4) {
    const value = units.reduce((sum, unit) => (sum << 8n) | BigInt(unit & 0xff), 0n);
    return { value: BigInt.asIntN(32, value), type: intType };
  }
  if (units.length !== 1) throw bad('One character belongs between the quotes.', span);
  const value = BigInt(units[0]!);
  return { value: type.signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value), type };
}

const wideTypes: Readonly<Record<string, IntegerType>> = {
  L: wideCharType,
  u8: integer('char8_t', 1, false),
  u: integer('char16_t', 2, false),
  U: integer('char32_t', 4, false),
};

/** Returns where it ends. */
function readEscape(text: string, at: number, units: number[]): number {
  escape.lastIndex = at;
  const found = escape.exec(text);
  if (!found) throw bad('An escape is not complete.', { offset: at, length: text.length - at });
  const [whole, hexadecimal, short, long, octal, letter] = found;
  if (letter !== undefined) units.push((simpleEscapes[letter] ?? letter).charCodeAt(0));
  else {
    const code = octal === undefined ? parseInt(hexadecimal ?? short ?? long ?? '0', 16) : parseInt(octal, 8);
    if (code > 0x10ffff) throw bad('There is no such character.', { offset: at, length: whole.length });
    for (const unit of String.fromCodePoint(code).split('')) units.push(unit.charCodeAt(0));
  }
  return at + whole.length;
}
