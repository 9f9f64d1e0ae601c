/**
 * Colours for what a kernel prints. KD's packets carry the text alone: neither component nor level of DbgPrintEx. What there is
 * is custom: a component in front, `storahci: …` or `[usbhub] …`, and words that say how bad it is.
 *
 * Invariant: only our own escape sequences are added, to text in which a guest's are made visible already.
 */

const levels: readonly (readonly [pattern: RegExp, start: number])[] = [
  [/\b(?:errors?|fail(?:s|ed|ure)?|fatal|critical|assert(?:ion)?|bugcheck)\b/i, 31],
  [/\bwarn(?:ing)?s?\b/i, 33],
  [/\b(?:trace|verbose)\b/i, 90],
];

/** Cyan, blue, magenta, green, and their bright ones: red and yellow are levels. */
const componentColours = [36, 34, 35, 32, 96, 94, 95, 92];

const component = /^(\s*)(\[[A-Za-z_][\w .-]{0,30}\]|[A-Za-z_][\w.!-]{0,30}(?=:(?:\s|$)))/;

const coloured = (text: string, colour: number): string =>
  text === '' ? '' : `\x1b[${colour}m${text}\x1b[39m`;

/** @param text Of one or more lines, as `guestText` gives it. */
export const stylePrint = (text: string): string => text.replace(/[^\n]+/g, styleLine);

function styleLine(line: string): string {
  const [head = '', space = '', name = ''] = component.exec(line) ?? [];
  const rest = line.slice(head.length);
  const level = levels.find(([pattern]) => pattern.test(rest))?.[1];
  const shown = level === undefined ? rest : coloured(rest, level);
  return name === '' ? shown : `${space}${coloured(name, colourOf(name))}${shown}`;
}

/** The same one for the same component, in every session. */
function colourOf(name: string): number {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)!) % 65_521;
  return componentColours[sum % componentColours.length]!;
}
