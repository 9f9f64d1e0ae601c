/**
 * The text of a function's code, with its source lines between: what a disassembly document shows.
 *
 *   vmkdemo!VmkDemoWork:
 *   work.c:41      Total += Outer(Value & 0xFF);
 *     fffff803`12345678  48895c2408            mov     qword ptr [rsp+8],rbx
 *
 * Invariant: names are the guest's and its PDB's; whatever is in them, each thing has one line.
 */

import type { NamedSource } from '../session/sourceUri';

/** Of DAP's `disassemble`. */
export interface CodeRow {
  readonly address: string;
  readonly instruction: string;
  readonly instructionBytes?: string;
  /** The function that begins here. */
  readonly symbol?: string;
  readonly location?: NamedSource;
  /** From 1. */
  readonly line?: number;
  readonly presentationHint?: string;
}

export interface Listing {
  /** Of the function; else the address. */
  readonly name: string;
  readonly lines: readonly ListingLine[];
}

export interface ListingLine {
  readonly text: string;
  /** Of an instruction. */
  readonly address?: bigint;
  /** Of a source line whose file is here. */
  readonly source?: { readonly file: NamedSource; readonly line: number };
}

/**
 * The rows of one function: from where it begins, or from the first row, to where the next one begins.
 * @param rows In order of address. @param index Of the row that is meant
 */
export function rowsOfFunction(rows: readonly CodeRow[], index: number): readonly CodeRow[] {
  const from = rows.findLastIndex(({ symbol }, i) => i <= index && symbol !== undefined);
  const to = rows.findIndex(({ symbol }, i) => i > index && symbol !== undefined);
  return rows.slice(Math.max(from, 0), to < 0 ? rows.length : to).filter(isThere);
}

const isThere = ({ instruction, presentationHint }: CodeRow): boolean =>
  presentationHint !== 'invalid' || instruction !== '??';

/** @param sourceLine The text of a line of a file; undefined: the file is not here. */
export function listingOf(
  rows: readonly CodeRow[],
  name: string,
  sourceLine: (file: NamedSource, line: number) => string | undefined,
): Listing {
  const lines: ListingLine[] = [{ text: `${oneLine(name)}:` }];
  for (const row of rows) {
    const { location, line } = row;
    if (location !== undefined && line !== undefined) {
      const code = sourceLine(location, line);
      lines.push({
        text: oneLine(`${location.name ?? ''}:${line}  ${code ?? ''}`.trimEnd()),
        ...(code !== undefined && { source: { file: location, line } }),
      });
    }
    lines.push(instructionLine(row));
  }
  return { name, lines };
}

const bytesWidth = 22;

function instructionLine({ address, instruction, instructionBytes = '', symbol }: CodeRow): ListingLine {
  const value = BigInt(address);
  const digits = value.toString(16).padStart(16, '0');
  // Where a function begins, its name stands in a line of its own.
  const text = symbol === undefined ? instruction : instruction.replace(/\s+;[^;]*$/, '');
  const bytes = instructionBytes.replaceAll(' ', '').padEnd(bytesWidth);
  return {
    text: oneLine(`  ${digits.slice(0, 8)}\`${digits.slice(8)}  ${bytes}${text}`).trimEnd(),
    address: value,
  };
}

/** Control characters are no text. */
const oneLine = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');

/**
 * What in the text of an instruction can be gone to: `vmkdemo!Outer (fffff803`12345678)`, or an address without a name.
 * @param column From 0.
 */
export function placeAt(text: string, column: number): Place | undefined {
  for (const { index, 0: found, 1: high = '', 2: low = '' } of text.matchAll(places)) {
    const end = index + found.length;
    // The first is the instruction's own.
    if (index > firstColumn && index <= column && column <= end)
      return { start: index, end, address: BigInt(`0x${high}${low}`) };
  }
  return undefined;
}

interface Place {
  readonly start: number;
  /** Behind its last character. */
  readonly end: number;
  readonly address: bigint;
}

const firstColumn = 2;
const places = /(?:[^\s[]+![^\s(]* \()?([0-9a-f]{8})`([0-9a-f]{8})\)?/g;

/** @returns Where the instruction stands that has the address, or has it in it; undefined: none has */
export function lineOfAddress({ lines }: Listing, address: bigint): number | undefined {
  const found = lines.findLastIndex((line) => line.address !== undefined && line.address <= address);
  return found < 0 ? undefined : found;
}
