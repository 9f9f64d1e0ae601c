/**
 * Symbols of a PDB of 78 MB, and of the largest of node-pty's, against llvm-pdbutil and llvm-symbolizer in the same run.
 * Each of our figures is taken in a new process (this bundle, called by name), with the file in the system's cache:
 * nothing is warm but what the figure says is. Times of ours begin when the code is loaded; those of LLVM's tools are of
 * the whole process, whose start takes some 10 ms (for lookups it is subtracted). The goals are the large one's.
 */

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { openFileSource } from '../../src/engine/core/byteSource';
import { isImported } from '../../src/engine/symbols/pdb/crossModule';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PeFile } from '../../src/engine/symbols/peImage';
import { PdbSymbols } from '../../src/engine/symbols/services/pdbSymbols';
import { bigPdb } from '../fixtures/bigPdb';
import { measureDisassembler } from '../fixtures/disassemblerRate';
import { llvm, msvcSamples } from '../fixtures/pdbSamples';
import { randomFrom } from '../fixtures/random';
import type { Bench, Figure } from './bench';
import { coldTypeMs, warmTypeUs } from './symbolTypes';

const repeats = 5;

/** A PDB with its image, and what is to be asked of it. */
interface Subject {
  readonly pdb: string;
  readonly image: string;
  /** A type that it defines. */
  readonly type: string;
  readonly search: string;
  readonly theirLookups: number;
  readonly ourLookups: number;
  /** Of disassembling all its code; the best counts. */
  readonly rounds: number;
}

/** What a new process measures. */
const tasks = {
  /** Opening, and the first name, line and inline chain of an address. */
  first(subject: Subject): number {
    const address = addresses(subject, 1)[0]!;
    const started = performance.now();
    const symbols = open(subject);
    if (symbols.symbolAt(address) === undefined || symbols.framesAt(address).length === 0) {
      throw new Error('the first lookup found nothing');
    }
    return performance.now() - started;
  },
  /** Opening, and all public names as text, found by address and by name from then on. */
  publics(subject: Subject): number {
    const started = performance.now();
    const { publics } = open(subject).pdb;
    let count = 0;
    for (const at of publics.offsets()) if (publics.at(at)!.name !== '') count++;
    publics.before(0x2000, true);
    const took = performance.now() - started;
    if (count !== publics.count || count < 1000) throw new Error(`only ${count} publics`);
    return took;
  },
  /** Random lookups a second, after as many to warm up. */
  lookups(subject: Subject): number {
    const symbols = open(subject);
    const places = addresses(subject, subject.ourLookups);
    lookUp(symbols, places);
    const started = performance.now();
    lookUp(symbols, places);
    return (places.length / (performance.now() - started)) * 1000;
  },
  /** Greatest resident size after lookups all over the file, in bytes. */
  memory(subject: Subject): number {
    const symbols = open(subject);
    lookUp(symbols, addresses(subject, subject.ourLookups));
    symbols.search(subject.search, 1_000);
    return process.resourceUsage().maxRSS * 1024;
  },
  /** Milliseconds to the layout of a type by its name. */
  typeCold: ({ pdb, type }: Subject): number => coldTypeMs(pdb, type),
  /** Microseconds for one that was asked for before. */
  typeWarm: ({ pdb }: Subject): number => warmTypeUs(pdb),
  /** Instructions a second, with names out of the PDB. */
  disassemble: async (subject: Subject): Promise<number> =>
    (await measureDisassembler(subject, subject.rounds)).instructionsPerSecond,
} satisfies Record<string, (subject: Subject) => number | Promise<number>>;

/** Called in a new process. */
export async function runTask(name: keyof typeof tasks, subject: Subject): Promise<void> {
  process.stdout.write(String(await tasks[name](subject)));
}

function fresh(name: keyof typeof tasks, subject: Subject): number {
  const code = `import(${JSON.stringify(import.meta.url)}).then((bench) => bench.runTask(${JSON.stringify(name)}, ${JSON.stringify(subject)}))`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  const value = Number(stdout);
  if (status !== 0 || !Number.isFinite(value) || stdout === '') throw new Error(`${name} failed: ${stderr}`);
  return value;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const repeated = (measure: () => number): number => median(Array.from({ length: repeats }, measure));

const open = ({ pdb }: Subject): PdbSymbols => new PdbSymbols(new Pdb(openFileSource(pdb)));

/** RVAs all over the code. */
function addresses({ image }: Subject, count: number): number[] {
  const file = openFileSource(image);
  const code = new PeFile(file).image.sections.find((s) => s.name === '.text')!;
  file.close();
  const random = randomFrom(1);
  return Array.from({ length: count }, () => code.rva + random.below(code.size));
}

/** LLVM 14 dies on functions into which those of other modules are inlined: it is not asked of them. */
function isSafe({ pdb }: PdbSymbols, rva: number): boolean {
  const place = pdb.sections.placeOf(rva);
  const piece = place && pdb.contributions.find(place.section, place.offset);
  const module = piece && pdb.module(piece.module);
  const procedure = place && module?.symbols.find(place.section, place.offset);
  return !procedure || !module?.inlineSites(procedure).some(({ inlinee }) => isImported(inlinee));
}

function lookUp(symbols: PdbSymbols, places: readonly number[]): void {
  let found = 0;
  for (const rva of places) {
    if (symbols.symbolAt(rva) !== undefined) found++;
    if (symbols.framesAt(rva).length > 0) found++;
  }
  // Padding between functions has neither.
  if (found < places.length) throw new Error(`only ${found} of ${2 * places.length} lookups found something`);
}

function timeOf(action: () => void): number {
  const started = performance.now();
  action();
  return performance.now() - started;
}

interface Measured {
  readonly open: number;
  readonly publics: number;
  readonly rate: number;
  readonly ratio: number;
  readonly typeCold: number;
  readonly typeWarm: number;
  readonly memory: number;
  readonly disassembled: number;
}

function measure(subject: Subject): Measured {
  const { pdb, image } = subject;
  const { size } = statSync(pdb);
  const symbols = open(subject);
  const places = addresses(subject, subject.theirLookups)
    .filter((rva) => isSafe(symbols, rva))
    .map((rva) => `0x${rva.toString(16)}\n`);
  const symbolize = (input: string) => (): void => {
    llvm('llvm-symbolizer', [`--obj=${image}`, '--relative-address', '--inlines'], input);
  };
  // Both files go into the cache.
  llvm('llvm-pdbutil', ['dump', '--summary', pdb]);
  symbolize(places[0]!)();

  const theirPublics = repeated(() => timeOf(() => llvm('llvm-pdbutil', ['dump', '--publics', pdb])));
  const theirStart = repeated(() => timeOf(symbolize(places[0]!)));
  const theirTime = repeated(() => timeOf(symbolize(places.join('')))) - theirStart;
  const theirRate = (places.length / theirTime) * 1000;

  const publics = repeated(() => fresh('publics', subject));
  const rate = repeated(() => fresh('lookups', subject));
  const memory = repeated(() => fresh('memory', subject));
  process.stderr.write(
    `${pdb}: ${(size / 1e6).toFixed(1)} MB; publics ${publics.toFixed(0)} ms, llvm-pdbutil ${theirPublics.toFixed(0)} ms; ` +
      `llvm-symbolizer ${theirRate.toFixed(0)} lookups/s; ${(memory / 1e6).toFixed(0)} MB resident\n`,
  );
  return {
    open: repeated(() => fresh('first', subject)),
    publics: publics / theirPublics,
    rate,
    ratio: rate / theirRate,
    typeCold: repeated(() => fresh('typeCold', subject)),
    typeWarm: repeated(() => fresh('typeWarm', subject)),
    memory: memory / size,
    disassembled: fresh('disassemble', subject),
  };
}

const bench: Bench = {
  needsKernel: false,
  async figures() {
    const large = measure({
      ...(await bigPdb()),
      type: 'Node77',
      search: 'Unit7Function*',
      theirLookups: 5_000,
      ourLookups: 200_000,
      rounds: 3,
    });
    const pty = measure({
      ...msvcSamples[0]!,
      type: '_EXCEPTION_RECORD',
      search: '*pipe*',
      theirLookups: 2_000,
      ourLookups: 50_000,
      rounds: 10,
    });
    const goals: Figure[] = [
      { id: 'sym.open_first_lookup_ms', value: large.open, unit: 'ms', goal: { atMost: 100 } },
      { id: 'sym.publics_vs_pdbutil', value: large.publics, unit: 'x', goal: { atMost: 1 } },
      { id: 'sym.lookup_vs_symbolizer', value: large.ratio, unit: 'x', goal: { atLeast: 10 } },
      { id: 'sym.lookups_per_s', value: large.rate, unit: '1/s', goal: { atLeast: 100_000 } },
      { id: 'sym.type_cold_ms', value: large.typeCold, unit: 'ms', goal: { atMost: 5 } },
      { id: 'sym.type_warm_us', value: large.typeWarm, unit: 'us', goal: { atMost: 50 } },
      { id: 'sym.rss_vs_file', value: large.memory, unit: 'x', goal: { atMost: 3 } },
      { id: 'cpu.disasm_insn_per_s', value: large.disassembled, unit: '1/s', goal: { atLeast: 1_000_000 } },
    ];
    return [
      ...goals,
      { id: 'sym.pty.open_first_lookup_ms', value: pty.open, unit: 'ms' },
      { id: 'sym.pty.publics_vs_pdbutil', value: pty.publics, unit: 'x' },
      { id: 'sym.pty.lookup_vs_symbolizer', value: pty.ratio, unit: 'x' },
      { id: 'sym.pty.lookups_per_s', value: pty.rate, unit: '1/s' },
      { id: 'sym.pty.type_cold_ms', value: pty.typeCold, unit: 'ms' },
      { id: 'sym.pty.type_warm_us', value: pty.typeWarm, unit: 'us' },
      { id: 'sym.pty.rss_vs_file', value: pty.memory, unit: 'x' },
      { id: 'sym.pty.disasm_insn_per_s', value: pty.disassembled, unit: '1/s' },
    ];
  },
};

export default bench;
