/**
 * Symbols of a PDB of 78 MB, against llvm-pdbutil and llvm-symbolizer in the same run. Each of our figures is taken in
 * a new process (this bundle, called by name), with the file in the system's cache: nothing is warm but what the figure
 * says is. Times of ours begin when the code is loaded; those of LLVM's tools are of the whole process, whose start
 * takes some 10 ms (for lookups it is subtracted).
 */

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { openFileSource } from '../../src/engine/core/byteSource';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PeFile } from '../../src/engine/symbols/peImage';
import { PdbSymbols } from '../../src/engine/symbols/services/pdbSymbols';
import { bigPdb, type BigPdb } from '../fixtures/bigPdb';
import { llvm } from '../fixtures/pdbSamples';
import { randomFrom } from '../fixtures/random';
import type { Bench } from './bench';
import { coldTypeMs, warmTypeUs } from './symbolTypes';

const repeats = 5;
const theirLookups = 5_000;
const ourLookups = 200_000;

/** What a new process measures. */
const tasks = {
  /** Opening, and the first name, line and inline chain of an address. */
  first(big: BigPdb): number {
    const address = addresses(big, 1)[0]!;
    const started = performance.now();
    const symbols = new PdbSymbols(new Pdb(openFileSource(big.pdb)));
    if (symbols.symbolAt(address) === undefined || symbols.framesAt(address).length === 0) {
      throw new Error('the first lookup found nothing');
    }
    return performance.now() - started;
  },
  /** Opening, and all public names as text, found by address and by name from then on. */
  publics(big: BigPdb): number {
    const started = performance.now();
    const { publics } = new Pdb(openFileSource(big.pdb));
    let count = 0;
    for (const at of publics.offsets()) if (publics.at(at)!.name !== '') count++;
    publics.before(0x2000, true);
    const took = performance.now() - started;
    if (count < 60_000) throw new Error(`only ${count} publics`);
    return took;
  },
  /** Random lookups a second, after as many to warm up. */
  lookups(big: BigPdb): number {
    const symbols = new PdbSymbols(new Pdb(openFileSource(big.pdb)));
    const places = addresses(big, ourLookups);
    lookUp(symbols, places);
    const started = performance.now();
    lookUp(symbols, places);
    return (ourLookups / (performance.now() - started)) * 1000;
  },
  /** Greatest resident size after lookups all over the file, in bytes. */
  memory(big: BigPdb): number {
    const symbols = new PdbSymbols(new Pdb(openFileSource(big.pdb)));
    lookUp(symbols, addresses(big, ourLookups));
    symbols.search('Unit7Function*', 1_000);
    return process.resourceUsage().maxRSS * 1024;
  },
  /** Milliseconds to the layout of a type by its name. */
  typeCold: (big: BigPdb): number => coldTypeMs(big.pdb, 'Node77'),
  /** Microseconds for one that was asked for before. */
  typeWarm: (big: BigPdb): number => warmTypeUs(big.pdb),
} satisfies Record<string, (big: BigPdb) => number>;

/** Called in a new process. */
export function runTask(name: keyof typeof tasks, big: BigPdb): void {
  process.stdout.write(String(tasks[name](big)));
}

function fresh(name: keyof typeof tasks, big: BigPdb): number {
  const code = `import(${JSON.stringify(import.meta.url)}).then((bench) => bench.runTask(${JSON.stringify(name)}, ${JSON.stringify(big)}))`;
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

/** RVAs all over the code. */
function addresses(big: BigPdb, count: number): number[] {
  const file = openFileSource(big.image);
  const code = new PeFile(file).image.sections.find((s) => s.name === '.text')!;
  file.close();
  const random = randomFrom(1);
  return Array.from({ length: count }, () => code.rva + random.below(code.size));
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

const bench: Bench = {
  needsKernel: false,
  async figures() {
    const big = await bigPdb();
    const { size } = statSync(big.pdb);
    const places = addresses(big, theirLookups).map((rva) => `0x${rva.toString(16)}\n`);
    const symbolize = (input: string) => (): void => {
      llvm('llvm-symbolizer', [`--obj=${big.image}`, '--relative-address', '--inlines'], input);
    };
    // Both files go into the cache.
    llvm('llvm-pdbutil', ['dump', '--summary', big.pdb]);
    symbolize(places[0]!)();

    const theirPublics = repeated(() => timeOf(() => llvm('llvm-pdbutil', ['dump', '--publics', big.pdb])));
    const theirStart = repeated(() => timeOf(symbolize(places[0]!)));
    const theirTime = repeated(() => timeOf(symbolize(places.join('')))) - theirStart;
    const theirRate = (theirLookups / theirTime) * 1000;

    const open = repeated(() => fresh('first', big));
    const publics = repeated(() => fresh('publics', big));
    const rate = repeated(() => fresh('lookups', big));
    const typeCold = repeated(() => fresh('typeCold', big));
    const typeWarm = repeated(() => fresh('typeWarm', big));
    const memory = repeated(() => fresh('memory', big));
    process.stderr.write(
      `${big.pdb}: ${(size / 1e6).toFixed(1)} MB; publics ${publics.toFixed(0)} ms, llvm-pdbutil ` +
        `${theirPublics.toFixed(0)} ms; llvm-symbolizer ${theirRate.toFixed(0)} lookups/s\n`,
    );
    return [
      { id: 'sym.open_first_lookup_ms', value: open, unit: 'ms', goal: { atMost: 100 } },
      { id: 'sym.publics_vs_pdbutil', value: publics / theirPublics, unit: 'x', goal: { atMost: 1 } },
      { id: 'sym.lookup_vs_symbolizer', value: rate / theirRate, unit: 'x', goal: { atLeast: 10 } },
      { id: 'sym.lookups_per_s', value: rate, unit: '1/s', goal: { atLeast: 100_000 } },
      { id: 'sym.type_cold_ms', value: typeCold, unit: 'ms', goal: { atMost: 5 } },
      { id: 'sym.type_warm_us', value: typeWarm, unit: 'us', goal: { atMost: 50 } },
      { id: 'sym.rss_vs_file', value: memory / size, unit: 'x', goal: { atMost: 3 } },
    ];
  },
};

export default bench;
