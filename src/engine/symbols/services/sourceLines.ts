/**
 * Source file and line → code. The editor's path is matched with those of the PDB, the file's checksum compared, and
 * a line without code gives that of the next one that has some. Functions that were inlined have code in each place.
 */

import { createHash } from 'node:crypto';
import { isHiddenLine, type SourceFile } from '../pdb/c13';
import type { ModuleInfo } from '../pdb/moduleInfo';
import type { Pdb } from '../pdb/pdb';
import type { SourcePath } from '../pdb/sourceInfo';
import { comparable, matchPaths, type PathMatch, type SourceMapping } from './sourcePaths';

export interface LineQuery {
  /** As the editor has it. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** What is in the editor's file, to compare with the checksum. */
  readonly content?: Uint8Array;
  readonly sourceMap?: readonly SourceMapping[];
}

export interface LineMatch {
  /** As in the PDB. */
  readonly path: string;
  readonly how: PathMatch;
  /** `mismatch`: the code was built from another version of the file, so lines may be off. */
  readonly checksum: 'match' | 'mismatch' | 'unknown';
  /** The line that has code: the one asked for, or the next. */
  readonly line: number;
  /** In order of address. */
  readonly code: readonly LineCode[];
}

export interface LineCode {
  readonly rva: number;
  /** Bytes of this row. */
  readonly length: number;
  /** Whether it is the first of its function, or of one inlined copy: where a breakpoint belongs. */
  readonly first: boolean;
  readonly inlined: boolean;
}

/** One match for each path of the PDB that is meant; none if no path is, or none has code at or after the line. */
export function findLine(pdb: Pdb, query: LineQuery): LineMatch[] {
  const found = matchPaths(query.path, pdb.sourcePaths, query.sourceMap ?? []);
  if (found === undefined) return [];
  const matches = found.paths.flatMap((path) => matchOf(pdb, path, found.how, query) ?? []);
  // Where only the name agrees, a matching checksum decides.
  const certain = matches.filter(({ checksum }) => checksum === 'match');
  return found.how === 'suffix' && certain.length > 0 ? certain : matches;
}

/**
 * All lines of a file that have code, by the file's path in the PDB, each with the RVAs where its code begins: one for each
 * function, or inlined copy. In no order of lines. As many calls of `findLine` would go through the file as often.
 */
export function linesWithCode(pdb: Pdb, path: string): Map<number, number[]> {
  const lines = new Map<number, Set<number>>();
  for (const index of pdb.sourcePaths.find((source) => source.path === path)?.modules ?? []) {
    const module = pdb.module(index);
    if (module === undefined) continue;
    for (const { rows, base } of piecesOf(pdb, module, filesOf(pdb, module, path))) {
      const firsts = new Map<number, number>();
      for (const { line, start } of rows) firsts.set(line, Math.min(firsts.get(line) ?? Infinity, start));
      for (const [line, start] of firsts) {
        const known = lines.get(line);
        if (known === undefined) lines.set(line, new Set([base + start]));
        else known.add(base + start);
      }
    }
  }
  return new Map([...lines].map(([line, rvas]) => [line, [...rvas].sort((a, b) => a - b)]));
}

/** Whether `content` is what a file of the PDB, by its path there, was when it was compiled. */
export function compareSource(pdb: Pdb, path: string, content: Uint8Array): LineMatch['checksum'] {
  for (const index of pdb.sourcePaths.find((source) => source.path === path)?.modules ?? []) {
    const module = pdb.module(index);
    const [file] = module === undefined ? [] : filesOf(pdb, module, path).values();
    const verdict = file === undefined ? 'unknown' : compare(file, content);
    if (verdict !== 'unknown') return verdict;
  }
  return 'unknown';
}

interface Collected {
  line: number;
  code: LineCode[];
}

function matchOf(pdb: Pdb, source: SourcePath, how: PathMatch, query: LineQuery): LineMatch | undefined {
  const collected: Collected = { line: Infinity, code: [] };
  let checksum: LineMatch['checksum'] = 'unknown';
  for (const index of source.modules) {
    const module = pdb.module(index);
    if (module === undefined) continue;
    const files = filesOf(pdb, module, source.path);
    const [first] = files.values();
    if (first === undefined) continue;
    if (query.content !== undefined && checksum === 'unknown') checksum = compare(first, query.content);
    for (const { rows, base, inlined } of piecesOf(pdb, module, files)) {
      const nearest = nearestLine(rows, query.line, collected.line);
      if (nearest === undefined) continue;
      const here = rows.filter((row) => row.line === nearest);
      add(collected, nearest, here, base, inlined);
    }
  }
  if (collected.code.length === 0) return undefined;
  const code = collected.code.sort((a, b) => a.rva - b.rva);
  return { path: source.path, how, checksum, line: collected.line, code };
}

/** Checksum entries of a module that are this file. */
function filesOf(pdb: Pdb, module: ModuleInfo, path: string): ReadonlyMap<number, SourceFile> {
  const files = new Map<number, SourceFile>();
  const wanted = comparable(path);
  const leaf = wanted.slice(wanted.lastIndexOf('/') + 1);
  for (const offset of module.c13.files()) {
    const name = pdb.strings?.at(module.c13.nameOffset(offset)) ?? '';
    // Comparing names first leaves few paths to take apart.
    const same = name === path || (name.toLowerCase().endsWith(leaf) && comparable(name) === wanted);
    if (same) files.set(offset, module.c13.file(offset));
  }
  return files;
}

interface Piece {
  readonly rows: readonly { readonly line: number; readonly start: number; readonly end: number }[];
  /** What rows count from. */
  readonly base: number;
  readonly inlined: boolean;
}

/** The code of a file in one module: a piece for each table of lines, which is a function's, and for each inlined copy. */
function* piecesOf(pdb: Pdb, module: ModuleInfo, files: ReadonlyMap<number, SourceFile>): Generator<Piece> {
  for (const table of module.c13.tables) {
    if (!module.c13.hasFile(table, (file) => files.has(file))) continue;
    const base = pdb.sections.rvaOf(table.section, 0);
    if (base === undefined) continue;
    const rows = module.c13.rows(table).filter((row) => files.has(row.file) && !isHiddenLine(row.line));
    yield { rows, base, inlined: false };
  }
  for (let i = 0; i < module.symbols.count; i++) {
    const procedure = module.symbols.procedure(i);
    const base = pdb.sections.rvaOf(procedure.section, procedure.offset);
    if (base === undefined) continue;
    for (const site of module.inlineSites(procedure)) {
      const rows = site.rows.filter((row) => files.has(row.file) && row.end > row.start);
      yield { rows, base, inlined: true };
    }
  }
}

/** The least line that is not below `line`, unless it is above `limit`. */
function nearestLine(
  rows: readonly { readonly line: number }[],
  line: number,
  limit: number,
): number | undefined {
  let nearest = Infinity;
  for (const row of rows) if (row.line >= line && row.line < nearest) nearest = row.line;
  return nearest <= limit && nearest !== Infinity ? nearest : undefined;
}

function add(
  into: Collected,
  line: number,
  rows: readonly { readonly start: number; readonly end: number }[],
  base: number,
  inlined: boolean,
): void {
  if (line < into.line) {
    into.line = line;
    into.code = [];
  }
  const first = rows.reduce((least, row) => Math.min(least, row.start), Infinity);
  for (const { start, end } of rows) {
    into.code.push({ rva: base + start, length: end - start, first: start === first, inlined });
  }
}

function compare(file: SourceFile, content: Uint8Array): LineMatch['checksum'] {
  if (file.checksumKind === 'none') return 'unknown';
  const digest = createHash(file.checksumKind).update(content).digest();
  return digest.equals(file.checksum) ? 'match' : 'mismatch';
}
