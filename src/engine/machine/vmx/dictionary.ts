/**
 * VMware's dictionary format: .vmx, inventory.vmls, preferences, vmInventory, config. One entry a line:
 *
 *   [ws] name [ws] = [ws] "value" [ws] [# comment]      the value may hold anything but a double quote
 *   [ws] name [ws] = [ws] value [ws] [# comment]        … or neither blanks nor #
 *   [ws] [# comment]
 *
 *   ws: blanks and tabs.  A line ends with LF, CR LF, or CR.  A NUL ends what is looked at of a line.
 *   |XX in a value, two hexadecimal digits, is that byte (|22 a double quote, |7C a bar); any other bar is a bar.
 *
 * Known (open-vm-tools: lib/dict/dictll.c, lib/misc/escape.c, lib/misc/vmstdio.c): the above. Names are told apart without
 * regard to case, and VMware refuses a .vmx with one name twice, whatever the values (seen with msg.autoanswer and
 * msg.autoAnswer). Lines of any other form are kept by VMware as they are; a .vmx with one is refused too.
 * Assumed: escapes are bytes in the encoding of the file; of a name that stands twice, the last line counts here.
 *
 * Invariant: any bytes give a dictionary, in time and memory proportional to their number.
 */

import { encodingOf, withoutMark, type TextEncoding } from './encoding';

interface Entry {
  readonly name: string;
  readonly value: string;
}

export class Dictionary {
  /** Keys in lower case. */
  readonly #entries = new Map<string, Entry>();
  /** Whose values count where this one has none. */
  #defaults: Dictionary | undefined;

  constructor(
    readonly encoding: TextEncoding,
    /** Names that stand more than once, as first written. */
    readonly duplicates: readonly string[],
    /** Numbers, from 1, of lines that are no entries. */
    readonly malformedLines: readonly number[],
    entries: Iterable<Entry>,
  ) {
    for (const entry of entries) this.#entries.set(entry.name.toLowerCase(), entry);
  }

  /** The same entries; what is missing, also in defaults that it has already, comes from `defaults`. */
  over(defaults: Dictionary): Dictionary {
    const both = new Dictionary(this.encoding, this.duplicates, this.malformedLines, this.#entries.values());
    both.#defaults = this.#defaults?.over(defaults) ?? defaults;
    return both;
  }

  text(name: string): string | undefined {
    return this.#entries.get(name.toLowerCase())?.value ?? this.#defaults?.text(name);
  }

  /** A switch. Anything but yes and no, in the ways that VMware's files write them, is none. */
  flag(name: string): boolean | undefined {
    const text = this.text(name)?.trim() ?? '';
    if (/^(?:true|yes|on|1)$/i.test(text)) return true;
    return /^(?:false|no|off|0)$/i.test(text) ? false : undefined;
  }

  /** A number without sign, decimal. */
  number(name: string): number | undefined {
    const text = this.text(name)?.trim();
    return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  }

  /** Entries whose name, in lower case, matches, in the order of the file; without those of the defaults. */
  *matching(pattern: RegExp): Iterable<{ readonly match: RegExpExecArray; readonly value: string }> {
    for (const [key, { value }] of this.#entries) {
      const match = pattern.exec(key);
      if (match !== null) yield { match, value };
    }
  }
}

/** More than this is no dictionary that VMware has written. */
const mostEntries = 65_536;

/** What the bytes of such a file say. Never throws. */
export function parseDictionary(file: Uint8Array): Dictionary {
  const marked = withoutMark(file);
  // Each byte is one character from here on, whatever the encoding.
  const text = Buffer.from(marked.bytes.buffer, marked.bytes.byteOffset, marked.bytes.length).toString(
    'latin1',
  );
  const raw: Entry[] = [];
  const malformedLines: number[] = [];
  let number = 0;
  for (const line of text.split(/\r\n|\n|\r/)) {
    number++;
    const entry = parseLine(line);
    if (entry === 'nothing') continue;
    if (entry === undefined || raw.length >= mostEntries) malformedLines.push(number);
    else raw.push(entry);
  }
  const named = raw.find(({ name }) => name.toLowerCase() === '.encoding');
  const encoding = marked.encoding ?? encodingOf(named?.value, marked.bytes);
  const decode = (bytes: string): string => encoding.decode(Buffer.from(bytes, 'latin1'));
  const entries = raw.map(({ name, value }) => ({ name: decode(name), value: upToNul(decode(value)) }));
  return new Dictionary(encoding, duplicatesOf(entries), malformedLines, entries);
}

function parseLine(whole: string): Entry | 'nothing' | undefined {
  const line = upToNul(whole);
  if (/^[ \t]*(?:#|$)/.test(line)) return 'nothing';
  const match = /^[ \t]*([^ \t#=]+)[ \t]*=[ \t]*(?:"([^"]*)"|([^ \t#"][^ \t#]*|))[ \t]*(?:#.*)?$/s.exec(line);
  if (match === null) return undefined;
  const [, name = '', quoted, plain = ''] = match;
  return { name, value: unescape(quoted ?? plain) };
}

/** A bar takes what follows it along even if that is no escape: the second bar of `||22` begins none. */
const unescape = (value: string): string =>
  value.replace(/\|(?:([0-9a-f]{2})|[0-9a-f][^]|[^])/gi, (all, digits?: string) =>
    digits === undefined ? all : String.fromCharCode(parseInt(digits, 16)),
  );

function upToNul(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function duplicatesOf(entries: readonly Entry[]): string[] {
  const first = new Map<string, string>();
  const twice = new Set<string>();
  for (const { name } of entries) {
    const key = name.toLowerCase();
    const before = first.get(key);
    if (before === undefined) first.set(key, name);
    else twice.add(before);
  }
  return [...twice];
}
