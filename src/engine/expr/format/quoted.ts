/** Text of the target as one may show it: between quotes, as C would write it, or plain. */

const escapes: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\0': '\\0',
  '\\': '\\\\',
};

/** What does not fit is left out: escapes make text longer. */
const longest = 400;

/** @param cut There is more of it than this. */
export function quoted(text: string, cut: boolean, quote = '"'): string {
  let shown = '';
  for (const character of text) {
    if (shown.length > longest) return `${quote}${shown}${quote}…`;
    shown += character === quote ? `\\${character}` : escaped(character);
  }
  return `${quote}${shown}${quote}${cut ? '…' : ''}`;
}

/** Without quotes and escapes, but for what would do more than be read. */
export function plainText(text: string): string {
  let shown = '';
  for (const character of text)
    shown += /[\n\r\t]/.test(character) || isPrintable(character) ? character : codeOf(character);
  return shown;
}

const escaped = (character: string): string =>
  escapes[character] ?? (isPrintable(character) ? character : codeOf(character));

/** Neither control characters nor halves of surrogate pairs, nor what changes the direction of the text around. */
const isPrintable = (character: string): boolean =>
  !/[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u.test(character);

function codeOf(character: string): string {
  const code = character.codePointAt(0)!;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}
