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
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PeFile } from '../../src/engine/symbols/peImage';
import { PdbSymbols } from '../../src/engine/symbols/services/pdbSymbols';
import { functionName } from '../../src/engine/symbols/types/functionName';
import { demoKernel, llvm, msvcSamples } from '../fixtures/pdbSamples';
import { randomFrom } from '../fixtures/random';

/**
 * LLVM 14 dies on the inline sites of these (it looks for the class of an inlined method among the ids): only the
 * procedure's own frame is compared. `conpty_console_list` and clang's have their chains compared.
 */
const crashesOnInlines = new Set(['win32-x64/conpty', 'win32-x64/pty', 'win32-x64/winpty']);

interface Frame {
  readonly name: string;
  readonly line: number;
  readonly path: string;
}

for (const sample of [...demoKernel, ...msvcSamples]) {
  void describe(`${sample.name} as llvm-symbolizer sees it`, () => {
    void it('names, lines and inline chains', (t) => {
      const files = [openFileSource(sample.pdb), openFileSource(sample.image)] as const;
      try {
        const pdb = new Pdb(files[0]);
        const image = new PeFile(files[1]);
        assert.equal(image.pdbReference()?.key, pdb.key);
        const symbols = new PdbSymbols(pdb, image.functions());
        const places = [...addresses(pdb)];
        const inlines = !crashesOnInlines.has(sample.name);
        const input = places.map(({ rva }) => `0x${rva.toString(16)}\n`).join('');
        const args = [
          '--relative-address',
          '--functions=short',
          '--no-demangle',
          '--output-style=JSON',
          inlines ? '--inlines' : '--no-inlines',
        ];
        const theirs = llvm('llvm-symbolizer', [`--obj=${sample.image}`, ...args], input)
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as { Symbol: TheirFrame[] }).Symbol.map(frameOf));
        assert.equal(theirs.length, places.length);

        const tally: Record<string, number> = {};
        const unexplained: string[] = [];
        for (const [i, place] of places.entries()) {
          const ours = symbols.framesAt(place.rva).map(({ name, source }) => ({
            name: name ?? '',
            line: source?.line ?? 0,
            path: source?.path ?? '',
          }));
          const why = difference(pdb, place, inlines ? ours : ours.slice(-1), theirs[i]!);
          tally[why ?? 'UNEXPLAINED'] = (tally[why ?? 'UNEXPLAINED'] ?? 0) + 1;
          if (why === undefined) {
            unexplained.push(
              `${place.rva.toString(16)} ${place.procedure.name}+${place.offset}: ${text(ours)} ≠ ${text(theirs[i]!)}`,
            );
          }
        }
        t.diagnostic(JSON.stringify(tally));
        assert.deepEqual(unexplained.slice(0, 14), []);
        assert.ok((tally['same'] ?? 0) > places.length / 2);
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
}

/** The start of every procedure, and some places in it. */
function* addresses(pdb: Pdb): Iterable<Place> {
  const random = randomFrom(20261123);
  for (const { index } of pdb.dbi.modules) {
    const module = pdb.module(index);
    for (let i = 0; i < (module?.symbols.count ?? 0); i++) {
      const procedure = module!.symbols.procedure(i);
      const start = pdb.sections.rvaOf(procedure.section, procedure.offset);
      if (procedure.kind !== 'procedure' || start === undefined) continue;
      for (let n = 0; n < 6; n++) {
        const offset = n === 0 ? 0 : random.below(procedure.length);
        yield { rva: start + offset, module: module!, procedure, offset };
      }
    }
  }
}

/**
 * `same`, or the name of a known difference, or undefined. Known are folded functions, and that LLVM 14 reads annotations in its own way,
 * which `asLlvm14` repeats. It forgets a row that is still open when a ChangeCodeLengthAndCodeOffset comes (which Microsoft's
 * compiler writes all the time), and for the line it runs on to the first annotation that reaches the address, so that
 * inside a row it has the next row's line. Row by row, symbols.pdbutil.test.ts has no difference.
 */
function difference(
  pdb: Pdb,
  place: Place,
  ours: readonly Frame[],
  theirs: readonly Frame[],
): string | undefined {
  if (equal(ours, theirs)) return 'same';
  if (isAnotherFolded(pdb, place, ours, theirs)) return 'folded';
  if (equal([...asLlvm14(pdb, place), ours.at(-1)!], theirs)) return 'annotations';
  return undefined;
}

/**
 * Functions that the linker folded into one address have a line table each, and LLVM takes any of them. Then it must be
 * a line of one of these tables.
 */
function isAnotherFolded(
  pdb: Pdb,
  { procedure, offset }: Place,
  ours: readonly Frame[],
  theirs: readonly Frame[],
): boolean {
  // Of the module that the code was taken from, which need not be the one that this procedure is in.
  const { c13 } = pdb.module(pdb.contributions.find(procedure.section, procedure.offset)!.module)!;
  const at = procedure.offset + offset;
  const tables = c13.tables.filter((t) => t.section === procedure.section && t.offset === procedure.offset);
  const lines = tables.flatMap((t) => c13.rows(t).filter((row) => row.start <= at && at < row.end));
  const [our, their] = [ours.at(-1)!, theirs.at(-1)!];
  return (
    tables.length > 1 &&
    our.name === their.name &&
    lines.some(({ line }) => line === their.line) &&
    equal(ours.slice(0, -1), theirs.slice(0, -1))
  );
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
