/**
 * Text to tokens. The whole text is cut up before anything is parsed; it is short.
 *
 *   fffff803`12345678  a number: the back-tick makes it hexadecimal       nt!KiTimer  one name, its module before it
 *   ns::A<int>::x      one name, if `A<int>` can only be a template       @rax @$proc registers and pseudo-registers
 *   @!"any name"       one name, whatever characters it has               L'a' "abc"  characters and strings
 */

import { bad, type Span } from '../expressionError';
import type { Type } from '../types/type';
import { readName, startsName } from './names';
import { readNumber } from './numbers';
import { readText } from './textLiterals';

export type Token =
  | { readonly kind: 'number'; readonly value: bigint | number; readonly type: Type; readonly span: Span }
  | { readonly kind: 'text'; readonly text: string; readonly type: Type; readonly span: Span }
  | {
      readonly kind: 'name';
      readonly module: string | undefined;
      readonly name: string;
      readonly span: Span;
    }
  | { readonly kind: 'register' | 'pseudo'; readonly name: string; readonly span: Span }
  | { readonly kind: 'sign'; readonly sign: string; readonly span: Span }
  | { readonly kind: 'end'; readonly span: Span };

/** Characters. What people type and debuggers generate is far shorter. */
export const longestText = 4096;

/** The longest first. */
const signs = [
  ...['<<=', '>>='],
  ...['->', '++', '--', '<<', '>>', '<=', '>=', '==', '!=', '&&', '||'],
  ...['+=', '-=', '*=', '/=', '%=', '&=', '|=', '^='],
  ...['+', '-', '*', '/', '%', '&', '|', '^', '~', '!', '<', '>', '='],
  ...['?', ':', '.', ',', '(', ')', '[', ']', '#'],
];

/** @throws expression-bad */
export function tokensOf(text: string): Token[] {
  if (text.length > longestText) {
    throw bad(`An expression of ${text.length} characters is longer than ${longestText}.`, {
      offset: longestText,
      length: text.length - longestText,
    });
  }
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && /\s/.test(text.charAt(at))) at++;
    if (at >= text.length) break;
    const token = readToken(text, at);
    tokens.push(token);
    at = token.span.offset + token.span.length;
  }
  tokens.push({ kind: 'end', span: { offset: text.length, length: 0 } });
  return tokens;
}

function readToken(text: string, at: number): Token {
  const number = readNumber(text, at);
  if (number) return { kind: 'number', ...number };
  const literal = readText(text, at);
  if (literal) return literal;
  if (text.charAt(at) === '@' || text.charAt(at) === '$') return readAt(text, at);
  if (startsName(text, at)) return { kind: 'name', ...readName(text, at) };
  const sign = signs.find((one) => text.startsWith(one, at));
  if (sign !== undefined) return { kind: 'sign', sign, span: { offset: at, length: sign.length } };
  const character = String.fromCodePoint(text.codePointAt(at)!);
  throw bad(`“${character}” means nothing here.`, { offset: at, length: character.length });
}

const afterAt = /@?\$([A-Za-z_]\w*)|@(@c\+\+|@masm|@)(?=\s*\()|@!"([^"]*)"|@([A-Za-z]\w*)/iy;

function readAt(text: string, at: number): Token {
  afterAt.lastIndex = at;
  const found = afterAt.exec(text);
  if (!found) throw bad('A register’s name is missing, as in @rax or @$proc.', { offset: at, length: 1 });
  const [whole, pseudo, evaluator, quoted, register] = found;
  const span = { offset: at, length: whole.length };
  if (pseudo !== undefined) return { kind: 'pseudo', name: pseudo.toLowerCase(), span };
  if (register !== undefined) return { kind: 'register', name: register.toLowerCase(), span };
  if (quoted !== undefined) {
    const [, module, name] = /^(?:(\w+)!)?(.*)$/s.exec(quoted)!;
    if (name === '') throw bad('A name is missing between the quotes.', span);
    return { kind: 'name', module, name: name!, span };
  }
  if (evaluator!.toLowerCase() === '@masm')
    throw bad('MASM expressions are not known here: only C++ is.', span);
  // @@( and @@c++( change nothing: all is C++.
  return { kind: 'sign', sign: '@@', span };
}
