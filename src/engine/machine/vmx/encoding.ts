/**
 * The encodings of VMware's text files. A file says its own in the key `.encoding`, by IANA's name; the GUI writes the
 * code page of its host: windows-1252, Shift_JIS, GBK, UTF-8 …
 *
 * Known (open-vm-tools, lib/dict; public files): a UTF-8 byte order mark means UTF-8 and comes before everything.
 * Assumed: UTF-16 with a mark is what an editor has made of such a file; VMware itself may refuse it. A file that names
 * no encoding, or one that nobody knows, is UTF-8 if it can be, else Windows-1252.
 */

import { decodeAnsi } from '../../core/text';

export interface TextEncoding {
  /** As the file names it, or as it was found out. */
  readonly name: string;
  /** False: a guess, because the file names none, or one that is not known here. */
  readonly certain: boolean;
  decode(bytes: Uint8Array): string;
}

/** What `TextDecoder` calls by another name, or not at all. */
const otherNames: Readonly<Record<string, string>> = {
  'windows-949': 'euc-kr',
  'windows-936': 'gbk',
  'windows-950': 'big5',
  'windows-932': 'shift_jis',
};

const windows1252: TextEncoding = { name: 'windows-1252', certain: true, decode: decodeAnsi };

/** The bytes of the file after any mark, always in an encoding that extends ASCII, and the encoding that the mark tells. */
export function withoutMark(bytes: Uint8Array): {
  readonly bytes: Uint8Array;
  readonly encoding?: TextEncoding;
} {
  const [first, second, third] = bytes;
  if (first === 0xef && second === 0xbb && third === 0xbf)
    return { bytes: bytes.subarray(3), encoding: named('UTF-8')! };
  const wide =
    first === 0xff && second === 0xfe
      ? 'utf-16le'
      : first === 0xfe && second === 0xff
        ? 'utf-16be'
        : undefined;
  if (wide === undefined) return { bytes };
  const text = new TextDecoder(wide).decode(bytes);
  return { bytes: new TextEncoder().encode(text), encoding: { ...named('UTF-8')!, name: wide } };
}

/** @param name What the file says; undefined if it says nothing. @param bytes The whole file, for a guess. */
export function encodingOf(name: string | undefined, bytes: Uint8Array): TextEncoding {
  const known = name === undefined ? undefined : named(name);
  if (known !== undefined) return known;
  const guess = isUtf8(bytes) ? named('UTF-8')! : windows1252;
  return { ...guess, certain: false };
}

function named(name: string): TextEncoding | undefined {
  const label = name.toLowerCase();
  // Node 20's own decoder takes Windows-1252 for Latin-1.
  if (label === 'windows-1252' || label === 'iso-8859-1' || label === 'us-ascii')
    return { ...windows1252, name };
  try {
    const decoder = new TextDecoder(otherNames[label] ?? label, { ignoreBOM: true });
    return { name, certain: true, decode: (bytes) => decoder.decode(bytes) };
  } catch {
    return undefined; // a RangeError: no such encoding
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
