// test-limit: 300 s
/**
 * Address → name, line and inline chain against llvm-symbolizer, at the start of and inside every procedure of real
 * images. Where it differs, it must be one of the differences named below, and exactly that.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openFileSource } from '../../src/engine/core/byteSource';
import type { Procedure } from '../../src/engine/symbols/pdb/moduleSymbols';
import { isHiddenLine } from '../../src/engine/symbols/pdb/c13';
import type { ModuleInfo } from '../../src/engine/symbols/pdb/moduleInfo';
import { isImported } from '../../src/engine/symbols/pdb/crossModule';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PeFile } from '../../src/engine/symbols/peImage';
import { PdbSymbols } from '../../src/engine/symbols/services/pdbSymbols';
import { functionName } from '../../src/engine/symbols/types/functionName';
import { allSamples, llvm } from '../fixtures/pdbSamples';
import { randomFrom } from '../fixtures/random';

interface Frame {
  readonly name: string;
  readonly line: number;
  readonly path: string;
}

for (const sample of allSamples) {
  void describe(`${sample.name} as llvm-symbolizer sees it`, () => {
    void it('names, lines and inline chains', (t) => {
      const files = [openFileSource(sample.pdb), openFileSource(sample.image)] as const;
      try {
        const pdb = new Pdb(files[0]);
        const image = new PeFile(files[1]);
        assert.equal(image.pdbReference()?.key, pdb.key);
        const symbols = new PdbSymbols(pdb, image.functions());
        const places = [...addresses(pdb)];
        const theirs = ask(sample.image, places);
        const twinsOf = foldedTogether(places);
        const tally: Record<string, number> = {};
        const unexplained: string[] = [];
        for (const [i, place] of places.entries()) {
          const ours = symbols.framesAt(place.rva).map(({ name, source }) => ({
            name: name ?? '',
            line: source?.line ?? 0,
            path: source?.path ?? '',
          }));
          const nameless = ours.filter(({ name }) => name === '').length;
          assert.equal(nameless, 0, `${place.rva}: ${text(ours)}`);
          const why = difference(
            pdb,
            place,
            twinsOf(place),
            place.hasImports ? ours.slice(-1) : ours,
            theirs[i]!,
          );
          tally[why ?? 'UNEXPLAINED'] = (tally[why ?? 'UNEXPLAINED'] ?? 0) + 1;
          if (why === undefined) {
            unexplained.push(
              `${place.rva.toString(16)} ${place.procedure.name}+${place.offset}: ${text(ours)} ≠ ${text(theirs[i]!)}`,
            );
          }
        }
        t.diagnostic(JSON.stringify(tally));
        assert.deepEqual(unexplained.slice(0, 14), []);
        const share = (...words: string[]): number =>
          Object.entries(tally).reduce(
            (n, [why, count]) => n + (words.some((w) => why.includes(w)) ? count : 0),
            0,
          ) / places.length;
        assert.ok(share('same') > 0.6);
        assert.ok(share('folded') < 0.02);
        assert.ok(share('files') < 0.02);
        const withoutChain = places.filter(({ hasImports }) => hasImports).length;
        t.diagnostic(`${withoutChain} of ${places.length} without their inline chain`);
        assert.ok(withoutChain < places.length * 0.4);
      } finally {
        for (const file of files) file.close();
      }
    });
  });
}

interface TheirFrame {
  readonly FunctionName: string;
  readonly FileName: string;
  readonly Line: number;
}

const frameOf = ({ FunctionName, FileName, Line }: TheirFrame): Frame => ({
  name: FunctionName,
  // LLVM shows the line that means “hidden” as if it were one.
  line: isHiddenLine(Line) ? 0 : Line,
  path: isHiddenLine(Line) ? '' : FileName,
});
const text = (frames: readonly Frame[]): string =>
  frames.map(({ name, line, path }) => `${name} ${path}:${line}`).join(' ← ');
const equal = (a: readonly Frame[], b: readonly Frame[]): boolean => text(a) === text(b);

interface Place {
  readonly rva: number;
  readonly module: ModuleInfo;
  readonly procedure: Procedure;
  readonly offset: number;
  /**
   * Something of another module is inlined into the procedure (pdb/crossModule.ts). LLVM 14 dies on that, so that only the
   * procedure's own frame can be compared.
   */
  readonly hasImports: boolean;
}

/** The frames at each place, in one run with inlined functions and one without. */
function ask(image: string, places: readonly Place[]): Frame[][] {
  const answers = new Map<Place, Frame[]>();
  for (const hasImports of [false, true]) {
    const some = places.filter((place) => place.hasImports === hasImports);
    const args = ['--relative-address', '--functions=short', '--no-demangle', '--output-style=JSON'];
    const lines = llvm(
      'llvm-symbolizer',
      [`--obj=${image}`, ...args, hasImports ? '--no-inlines' : '--inlines'],
      some.map(({ rva }) => `0x${rva.toString(16)}\n`).join(''),
    );
    for (const [i, line] of lines.trim().split('\n').entries())
      if (line !== '')
        answers.set(some[i]!, (JSON.parse(line) as { Symbol: TheirFrame[] }).Symbol.map(frameOf));
  }
  return places.map((place) => answers.get(place)!);
}

/** The other procedures that lie where a place's does, at the same offset. */
function foldedTogether(places: readonly Place[]): (place: Place) => Place[] {
  const starts = new Map<number, Map<Procedure, Place>>();
  for (const place of places) {
    const start = place.rva - place.offset;
    const there = starts.get(start) ?? new Map<Procedure, Place>();
    starts.set(start, there.set(place.procedure, place));
  }
  return ({ rva, offset, procedure }) =>
    [...starts.get(rva - offset)!.values()]
      .filter((other) => other.procedure !== procedure)
      .map((other) => ({ ...other, rva, offset }));
}

/** The start, the end and some places of every procedure, and where each row of what is inlined into it begins. */
function* addresses(pdb: Pdb): Iterable<Place> {
  const random = randomFrom(20261123);
  for (const { index } of pdb.dbi.modules) {
    const module = pdb.module(index);
    for (let i = 0; i < (module?.symbols.count ?? 0); i++) {
      const procedure = module!.symbols.procedure(i);
      const start = pdb.sections.rvaOf(procedure.section, procedure.offset);
      if (procedure.kind !== 'procedure' || start === undefined) continue;
      const sites = module!.inlineSites(procedure);
      const hasImports = sites.some(({ inlinee }) => isImported(inlinee));
      const offsets = new Set([0, Math.max(procedure.length - 1, 0)]);
      for (let n = 0; n < 4; n++) offsets.add(random.below(procedure.length));
      for (const { rows } of sites) for (const row of rows) offsets.add(row.start);
      for (const offset of offsets)
        yield { rva: start + offset, module: module!, procedure, offset, hasImports };
    }
  }
}

/**
 * `same`, or the names of known differences, or undefined. Row by row, symbols.pdbutil.test.ts has no difference; this is
 * what LLVM 14 makes of the rows:
 *
 *   annotations  it reads those of inline sites in its own way, which `asLlvm14` repeats. It forgets a row that is still open
 *                when a ChangeCodeLengthAndCodeOffset comes (which Microsoft's compiler writes all the time), and for the
 *                line it runs on to the first annotation that reaches the address, so that inside a row it has the next
 *                row's line
 *   folded       of functions that the linker folded into one address it takes the name of one, the line of another, and
 *                what was inlined into a third; each must be of one of them
 *   files        it searches a table whose rows change between files as if they were in order of address; its row must be
 *                one of that table's
 */
function difference(
  pdb: Pdb,
  place: Place,
  twins: readonly Place[],
  ours: readonly Frame[],
  theirs: readonly Frame[],
): string | undefined {
  if (equal(ours, theirs)) return 'same';
  const reasons = new Set<string>();
  const chain = theirs.slice(0, -1);
  if (!equal(ours.slice(0, -1), chain)) {
    const like = [place, ...twins].find((twin) => equal(asLlvm14(pdb, twin), chain));
    if (like === undefined) return undefined;
    reasons.add(like === place ? 'annotations' : 'folded');
  }
  const [our, their] = [ours.at(-1)!, theirs.at(-1)!];
  if (!equal([our], [their])) {
    const reason = outermost(pdb, place, twins, our, their);
    if (reason === undefined) return undefined;
    reasons.add(reason);
  }
  return [...reasons].join('+');
}

function outermost(
  pdb: Pdb,
  { procedure, offset }: Place,
  twins: readonly Place[],
  our: Frame,
  their: Frame,
): string | undefined {
  if (our.name !== their.name && !twins.some((twin) => twin.procedure.name === their.name)) return undefined;
  // Of the module that the code was taken from, which need not be the one that this procedure is in.
  const { c13 } = pdb.module(pdb.contributions.find(procedure.section, procedure.offset)!.module)!;
  const at = procedure.offset + offset;
  const tables = c13.tables.filter((t) => t.section === procedure.section && t.offset === procedure.offset);
  const rows = tables.flatMap((table) => c13.rows(table));
  const like = rows.filter(
    ({ line, file }) => line === their.line && pdb.strings!.at(c13.nameOffset(file)) === their.path,
  );
  const folded = tables.length > 1 || twins.length > 0;
  if (folded && like.some(({ start, end }) => start <= at && at < end)) return 'folded';
  const files = new Set(rows.map(({ file }) => file));
  return files.size > 1 && like.length > 0 ? 'files' : undefined;
}

/** The inline frames that LLVM 14 makes of the annotations of a procedure's sites. */
function asLlvm14(pdb: Pdb, { module, procedure, offset }: Place): Frame[] {
  const frames: Frame[] = [];
  for (const { symbolOffset, inlinee, depth } of module.inlineSites(procedure)) {
    const steps = annotations(module.symbolBytes.bytes, symbolOffset);
    // A site inside one that does not hold the address is not looked at.
    if (depth > frames.length || !containedAsLlvm14(steps, offset)) continue;
    const base = module.c13.inlinee(inlinee)!;
    let code = 0;
    let { line, file } = base;
    for (const [op, first, second] of steps) {
      if (op === 3 || op === 4) code += first;
      else if (op === 0xc) code += second;
      else if (op === 6) line += signed(first);
      else if (op === 5) file = first;
      else if (op === 0xb) {
        code += first & 15;
        line += signed(first >> 4);
      }
      if (code >= offset) break;
    }
    const path = pdb.strings!.at(module.c13.file(file).nameOffset);
    frames.unshift({ name: functionName(pdb.types, inlinee)!, line, path });
  }
  return frames;
}

function containedAsLlvm14(steps: readonly Step[], offset: number): boolean {
  let found = false;
  let code = 0;
  for (const [op, first, second] of steps) {
    if (op === 3 || op === 0xb) {
      code += op === 3 ? first : first & 15;
      if (offset >= code) found = true;
    } else if (op === 4) {
      code += first;
      if (found && offset < code) return true;
      found = false;
    } else if (op === 0xc) {
      code += second;
      if (offset >= code && offset < code + first) return true;
      found = false;
    }
  }
  return false;
}

type Step = readonly [op: number, first: number, second: number];
const signed = (value: number): number => (value & 1 ? -(value >> 1) : value >> 1);

/** The annotations of the inline site at `at`, undecoded but for their operands. */
function annotations(bytes: Uint8Array, at: number): Step[] {
  const end = at + 2 + bytes[at]! + bytes[at + 1]! * 256;
  let position = at + 16;
  const operand = (): number => {
    const first = bytes[position++]!;
    if (first < 0x80) return first;
    if (first < 0xc0) return (first & 0x3f) * 256 + bytes[position++]!;
    position += 3;
    return (
      (first & 0x1f) * 2 ** 24 +
      bytes[position - 3]! * 65536 +
      bytes[position - 2]! * 256 +
      bytes[position - 1]!
    );
  };
  const steps: Step[] = [];
  while (position < end) {
    const op = operand();
    if (op === 0) break;
    steps.push([op, operand(), op === 0xc ? operand() : 0]);
  }
  return steps;
}
