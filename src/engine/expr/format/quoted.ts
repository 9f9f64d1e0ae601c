/** Text between quotes, as C would write it. */

const escapes: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\0': '\\0',
  '\\': '\\\\',
};

/** @param cut There is more of it than this. */
export function quoted(text: string, cut: boolean, quote = '"'): string {
  return `${quote}${escaped(text, quote)}${quote}${cut ? '…' : ''}`;
}

function escaped(text: string, quote: string): string {
  let result = '';
  for (const character of text) {
    if (character === quote) result += `\\${character}`;
    else result += escapes[character] ?? (isPrintable(character) ? character : codeOf(character));
  }
  return result;
}

/** Neither control characters nor halves of surrogate pairs, nor what changes the direction of the text around. */
const isPrintable = (character: string): boolean =>
  !/[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u.test(character);

function codeOf(character: string): string {
  const code = character.codePointAt(0)!;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}
