/**
 * Where the head of the function is that a line of C, C++ or Rust is in: without a parser, by the braces that are open there.
 *
 *   impl Mixer {                          a container: what is outside of it is no function of this line
 *       fn mix(&self,                     the head, from its first line
 *              value: u32) -> u32 {
 *           if value > 1 {                a block
 *               value …                   the line
 */

type LineAt = (line: number) => string;

/** Lines that a head may have. */
const longestHead = 20;

const quoted = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)'|\/\/.*|\/\*.*?(?:\*\/|$)/g;
const block =
  /^[\s}]*(?:if|else|for|while|do|switch|match|loop|catch|return|let|unsafe|__try|__except|__finally)\b/;
const container = /^\s*(?:pub(?:\([^)]*\))?\s+|unsafe\s+|inline\s+)*(?:impl|trait|mod|namespace)\b/;
/** Unless it is what a function returns. */
const type =
  /^\s*(?:pub(?:\([^)]*\))?\s+|typedef\s+|static\s+|template\s*<.*>\s*)*(?:class|struct|union|enum|extern)\b/s;
/** Behind its parameters there may be qualifiers, what it returns, what it is bound to, members that it initializes. */
const parameters =
  /\)\s*(?:(?:const|volatile|noexcept|override|final|mutable|try)\b\s*|&\s*|(?:->|where\b|:)[^]*)*$/;

/** @param line From 0. @param first The line above which nothing is looked at. @returns undefined: it is in no function */
export function functionHead(lineAt: LineAt, line: number, first: number): number | undefined {
  const plainAt: LineAt = (at) => lineAt(at).replace(quoted, (found) => ' '.repeat(found.length));
  let found: number | undefined;
  for (const place of openBraces(plainAt, line, first)) {
    const head = headOf(plainAt, place, first);
    const isFunction = parameters.test(head.text);
    if (container.test(head.text) || (type.test(head.text) && !isFunction)) break;
    if (!isFunction || block.test(head.text)) continue;
    found = head.line;
    // Others may be macros that look like loops; in C a function is in nothing that is indented.
    if (/\bfn\s/.test(head.text) || /^\S/.test(plainAt(found))) break;
  }
  return found;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

/** Those that are open at the end of a line, the innermost first. */
function* openBraces(plainAt: LineAt, last: number, first: number): Generator<Place> {
  let closed = 0;
  for (let line = last; line >= first; line--) {
    const text = plainAt(line);
    for (let column = text.length - 1; column >= 0; column--) {
      // Who stands at a closing brace is still inside.
      if (text[column] === '}' && line !== last) closed++;
      if (text[column] !== '{') continue;
      if (closed === 0) yield { line, column };
      else closed--;
    }
  }
}

/** What stands before a brace: as many lines as it takes to have all of its parentheses, and a name before them. */
function headOf(plainAt: LineAt, { line, column }: Place, first: number): { line: number; text: string } {
  let text = plainAt(line).slice(0, column);
  let at = line;
  while (at > first && line - at < longestHead && !isWhole(text)) {
    const above = plainAt(at - 1);
    if (/(?:[;{}]|^)\s*$/.test(above)) break;
    text = `${above}\n${text}`;
    at--;
  }
  return { line: at, text };
}

function isWhole(text: string): boolean {
  const count = (character: string): number => text.split(character).length - 1;
  if (count('(') !== count(')') || /^\s*(?:[:,]|where\b|->|$)/.test(text)) return false;
  return text.includes('(') || container.test(text) || type.test(text);
}
