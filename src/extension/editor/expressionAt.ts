/**
 * What a hover over source asks for: the name under the mouse with what leads to it, as `Node->Flags.Busy` over `Busy` and
 * `Node->Flags` over `Flags`. Never a call, nor an index or a sum: these are not simply there.
 */

export interface Span {
  readonly start: number;
  /** Behind its last character. */
  readonly end: number;
}

const name = /[A-Za-z_$][\w$]*/g;
/** What may stand between a name and what leads to it, at its end. */
const leading = /(?:([A-Za-z_$][\w$]*)((?:\[\s*\d+\s*\])*)\s*(?:->|\.|::)\s*|([A-Za-z_]\w*)!)$/;
const keywords = new Set(
  'break case const continue default do else enum for goto if return sizeof static struct switch typedef union void volatile while'.split(
    ' ',
  ),
);

/** @param column From 0. @returns undefined: there is nothing to ask for */
export function expressionAt(line: string, column: number): Span | undefined {
  const found = [...line.matchAll(name)].find(
    ({ index, 0: text }) => index <= column && column < index + text.length,
  );
  if (found === undefined || keywords.has(found[0]) || isQuoted(line, found.index)) return undefined;
  const end = found.index + found[0].length;
  if (/^\s*\(/.test(line.slice(end))) return undefined;
  let start = found.index;
  for (
    let before = leading.exec(line.slice(0, start));
    before !== null;
    before = leading.exec(line.slice(0, start))
  )
    start -= before[0].length;
  return { start, end };
}

/** Inside a string, a character, or a comment that begins on this line. */
function isQuoted(line: string, at: number): boolean {
  const before = line.slice(0, at).replace(/\\./g, '__');
  if (before.includes('//')) return true;
  if (before.lastIndexOf('/*') > before.lastIndexOf('*/')) return true;
  return (before.match(/"/g)?.length ?? 0) % 2 === 1;
}
