/**
 * All code of the function that an address belongs to, also what the linker moved elsewhere: by the PDB's procedures, and
 * by the function table, which has functions without a name too, but counts the jump tables behind some as their code.
 */

import type { ModuleInfo } from '../pdb/moduleInfo';
import type { Pdb } from '../pdb/pdb';
import type { OpenSymbols } from './openSymbols';

/** RVAs: [begin, end). */
export interface CodeRange {
  readonly begin: number;
  readonly end: number;
}

const mostParts = 4096;

/**
 * The part where the function begins first, the others in order of address; neighbours are joined. Undefined if nobody
 * knows where the function ends.
 */
export function functionExtent(
  { functions, pdb, symbols }: OpenSymbols,
  rva: number,
): CodeRange[] | undefined {
  const part = functions?.find(rva);
  const start = part?.primary ?? symbols.symbolAt(rva)?.rva;
  if (start === undefined) return undefined;
  const procedures = joinRanges(pdb === undefined ? [] : procedureParts(pdb, start));
  const rows = joinRanges(functions?.parts(start) ?? []).filter(
    (row) => !procedures.some(({ begin, end }) => begin < row.end && row.begin < end),
  );
  const joined = joinRanges([...procedures, ...rows]).slice(0, mostParts);
  const first = joined.findIndex(({ begin, end }) => begin <= start && start < end);
  if (first < 0) return undefined;
  return [joined[first]!, ...joined.slice(0, first), ...joined.slice(first + 1)];
}

function procedureParts(pdb: Pdb, start: number): CodeRange[] {
  const place = pdb.sections.placeOf(start);
  const piece = place && pdb.contributions.find(place.section, place.offset);
  const module: ModuleInfo | undefined = piece && pdb.module(piece.module);
  if (place === undefined || module === undefined) return [];
  const found: CodeRange[] = [];
  for (let i = 0; i < module.symbols.count; i++) {
    const { parent, section, offset, length } = module.symbols.procedure(i);
    if (parent.section !== place.section || parent.offset !== place.offset) continue;
    const begin = pdb.sections.rvaOf(section, offset);
    if (begin !== undefined) found.push({ begin, end: begin + length });
  }
  return found;
}

function joinRanges(ranges: readonly CodeRange[]): CodeRange[] {
  const joined: CodeRange[] = [];
  const sound = ranges.filter(({ begin, end }) => begin < end);
  for (const { begin, end } of sound.sort((a, b) => a.begin - b.begin)) {
    const last = joined.at(-1);
    if (last === undefined || begin > last.end) joined.push({ begin, end });
    else joined[joined.length - 1] = { begin: last.begin, end: Math.max(last.end, end) };
  }
  return joined;
}
