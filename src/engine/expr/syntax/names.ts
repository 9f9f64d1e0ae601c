/**
 * Names as one token: `x`, `nt!KiTimer`, `ns::Class<int, A<char>>::member`, `` `anonymous namespace'::x ``.
 *
 * `a<b>` is a template where nothing else can be meant: `::` follows, or no more than `*`, `&` and `const` before `)`.
 * Its text becomes what compilers write into PDBs: `A<B<int>,2>` with a comma and no blank, `> >` apart.
 */

import { bad, type Span } from '../expressionError';

interface Name {
  readonly module: string | undefined;
  readonly name: string;
  readonly span: Span;
}

const word = /[\p{L}_$][\p{L}\p{N}_$]*|`[^`']*'/uy;
const wordStart = /[\p{L}_`]/u;
const modulePrefix = /([A-Za-z_]\w*)!(?=[\p{L}_$`:])/uy;
const longestTemplate = 512;

export const startsName = (text: string, at: number): boolean =>
  wordStart.test(text.charAt(at)) || isScope(text, at);

const isScope = (text: string, at: number): boolean =>
  text.startsWith('::', at) && wordStart.test(text.charAt(at + 2));

/** @throws expression-bad */
export function readName(text: string, offset: number): Name {
  let at = offset;
  let module: string | undefined;
  modulePrefix.lastIndex = at;
  const prefix = modulePrefix.exec(text);
  if (prefix) {
    module = prefix[1];
    at += prefix[0].length;
  }
  if (text.startsWith('::', at)) at += 2;
  let name = '';
  for (;;) {
    word.lastIndex = at;
    const found = word.exec(text);
    if (!found) throw bad('A name is not complete here.', { offset, length: Math.max(at - offset, 1) });
    name += found[0];
    at += found[0].length;
    const template = text.charAt(at) === '<' ? endOfTemplate(text, at) : undefined;
    if (template !== undefined) {
      name += spelt(text.slice(at, template));
      at = template;
    }
    if (!isScope(text, at)) return { module, name, span: { offset, length: at - offset } };
    name += '::';
    at += 2;
  }
}

/** Where the template arguments that begin at `at` end, if they can be nothing else. */
function endOfTemplate(text: string, at: number): number | undefined {
  let depth = 0;
  for (let i = at; i < text.length && i < at + longestTemplate; i++) {
    const character = text.charAt(i);
    if (character === '<') depth++;
    else if (character === '>') {
      if (--depth === 0)
        return /^>(::|[\s*&]*(const\b)?[\s*&]*\))/.test(text.slice(i, i + 32)) ? i + 1 : undefined;
    } else if (!/[\w\s:,*&()[\]'`$-]/.test(character) || text.startsWith('&&', i)) return undefined;
  }
  return undefined;
}

const spelt = (template: string): string =>
  template
    .replace(/\s*,\s*/g, ',')
    .replace(/\s*([<>])\s*/g, '$1')
    .replace(/\s+/g, ' ')
    .replace(/ ?([*&]+)/g, ' $1')
    .replaceAll('>>', '> >')
    .replaceAll('>>', '> >');
