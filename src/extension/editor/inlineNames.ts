/**
 * Which names of a source get their values shown beside them while a kernel stands: those of the function in which it stands, down
 * to the line at which it does. What is none of its variables has no value, and is not shown by VS Code.
 */

import { functionHead } from './functionHead';

export interface NameAt {
  /** From 0. */
  readonly line: number;
  readonly column: number;
  readonly name: string;
}

/** Lines of one function that are looked at: before that, names have scrolled away. */
const mostLines = 200;

const words =
  /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\/\/.*|\/\*.*?(?:\*\/|$)|(?:->|\.|::)?\s*[A-Za-z_]\w*\s*\(?/g;
const keywords = new Set(
  (
    'auto bool break case char const continue default do double else enum extern false float fn for goto if impl inline int let long ' +
    'loop match mut nullptr pub register return self short signed sizeof static struct switch true typedef union unsigned use void ' +
    'volatile while'
  ).split(' '),
);

/** @param lineAt Of the source, from 0. @param stopped The line at which it stands, from 0. */
export function inlineNames(lineAt: (line: number) => string, stopped: number): NameAt[] {
  const found: NameAt[] = [];
  const first = Math.max(0, stopped - mostLines);
  for (let line = functionHead(lineAt, stopped, first) ?? first; line <= stopped; line++) {
    const seen = new Set<string>();
    for (const { 0: word, index } of lineAt(line).matchAll(words)) {
      const [, member, name] = /^(->|\.|::)?\s*([A-Za-z_]\w*)$/.exec(word.trimEnd()) ?? [];
      // Members, calls, strings and comments are no variables; once a line is enough.
      if (name === undefined || member !== undefined || keywords.has(name) || seen.has(name)) continue;
      seen.add(name);
      found.push({ line, column: index + word.indexOf(name), name });
    }
  }
  return found;
}
