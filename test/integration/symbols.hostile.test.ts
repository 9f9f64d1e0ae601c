// test-limit: 300 s
/**
 * 110,000 damaged PDBs and images: every one is read as far as it goes, or refused with a typed error, in bounded time
 * and memory. Damage goes where structure is: each stream is hit as often as every other, small or large.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { memorySource, type ByteSource } from '../../src/engine/core/byteSource';
import { VmkdError } from '../../src/engine/core/errors';
import { debugStreams } from '../../src/engine/symbols/pdb/dbi';
import { openMsf } from '../../src/engine/symbols/pdb/msf';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { PeFile } from '../../src/engine/symbols/peImage';
import { summariseImage, summarisePdb } from '../../src/engine/symbols/services/fileSummary';
import { functionExtent } from '../../src/engine/symbols/services/functionExtent';
import { instructionAnchor } from '../../src/engine/symbols/services/instructionAnchor';
import { localsOf } from '../../src/engine/symbols/services/pdbLocals';
import { PdbSymbols } from '../../src/engine/symbols/services/pdbSymbols';
import { searchTypes } from '../../src/engine/symbols/services/typeSearch';
import { functionName } from '../../src/engine/symbols/types/functionName';
import { buildMsf } from '../fixtures/msfBuilder';
import { randomFrom, seedFromEnvironment, type Random } from '../fixtures/random';

const megabyte = 1 << 20;
const images = 'build/kernel/images';
const msvc = 'node_modules/node-pty/prebuilds/win32-x64';

interface Range {
  readonly start: number;
  readonly length: number;
}

/** A file and the parts of it that get the same share of damage. */
interface Victim {
  readonly name: string;
  readonly file: Uint8Array;
  readonly parts: readonly Range[];
}

function pdbVictim(path: string): Victim {
  const msf = openMsf(memorySource(readFileSync(path), path));
  const streams = Array.from({ length: msf.streamCount }, (_, i) => {
    const stream = msf.stream(i);
    return stream?.read(0, stream.size).slice();
  });
  const blockSize = 512;
  const file = buildMsf(streams, { blockSize, contiguous: true });
  let at = 3 * blockSize;
  const parts: Range[] = [{ start: 0, length: 56 }];
  for (const stream of streams) {
    const length = stream?.length ?? 0;
    if (length > 0) parts.push({ start: at, length });
    at += Math.ceil(length / blockSize) * blockSize;
  }
  // The first 64 bytes of the parts that have headers, and the directory.
  for (const index of [2, 3, 4, 5]) parts.push({ start: parts[index]!.start, length: 64 });
  parts.push({ start: at, length: file.length - at });
  return { name: path, file, parts };
}

function imageVictim(path: string): Victim {
  const file = readFileSync(path);
  const { image } = new PeFile(memorySource(file, path));
  const inFile = (rva: number, length: number): Range[] =>
    image.sections
      .filter((s) => s.rva <= rva && rva < s.rva + s.fileSize)
      .map((s) => ({
        start: s.fileOffset + rva - s.rva,
        length: Math.min(length, s.fileSize - (rva - s.rva)),
      }));
  const directories = [image.exports, image.exceptions, image.debug].filter((d) => d !== undefined);
  return {
    name: path,
    file,
    parts: [{ start: 0, length: image.sizeOfHeaders }, ...directories.flatMap((d) => inFile(d.rva, d.size))],
  };
}

const interesting = [
  0, 1, 2, 4, 8, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
];

function damage(victim: Victim, scratch: Uint8Array, random: Random): Uint8Array {
  scratch.set(victim.file);
  const view = new DataView(scratch.buffer, scratch.byteOffset, scratch.length);
  for (let n = 1 + random.below(4); n > 0; n--) {
    const part = random.pick(victim.parts);
    const at = Math.min(part.start + random.below(part.length), scratch.length - 8);
    const aligned = at & ~3;
    switch (random.below(6)) {
      case 0:
        view.setUint8(at, random.below(256));
        break;
      case 1:
        view.setUint16(at & ~1, random.pick(interesting) & 0xffff, true);
        break;
      case 2:
        view.setUint32(aligned, random.pick(interesting), true);
        break;
      case 3:
        view.setUint32(aligned, (view.getUint32(aligned, true) + random.below(17) - 8) >>> 0, true);
        break;
      case 4:
        view.setUint32(aligned, random.below(scratch.length), true);
        break;
      default: {
        const from = random.pick(victim.parts);
        const length = Math.min(1 + random.below(32), from.length, scratch.length - at);
        scratch.copyWithin(at, from.start, from.start + length);
      }
    }
  }
  return random.chance(0.03) ? scratch.subarray(0, random.below(scratch.length)) : scratch;
}

/** Asks everything that there is to ask; what throws must be typed, and the rest goes on. */
function usePdb(source: ByteSource, random: Random): void {
  let pdb: Pdb | undefined;
  attempt(() => {
    pdb = new Pdb(source);
  });
  const opened = pdb;
  if (opened === undefined) return;
  const symbols = new PdbSymbols(opened);
  const rvas = Array.from({ length: 6 }, () => 0x1000 + random.below(0x6000));
  attempt(() => rvas.forEach((rva) => symbols.symbolAt(rva)));
  attempt(() => rvas.forEach((rva) => symbols.framesAt(rva)));
  attempt(() => symbols.search(random.pick(['*', 'Kd*', '?', 'KdSendPacket', 'vDbgPri?t*']), 50));
  attempt(() => opened.sourcePaths);
  attempt(() => summarisePdb(opened));
  attempt(() => searchTypes(opened, random.pick(['*', '_KD*'])));
  const { functions } = opened;
  const open = { symbols, pdb: opened, ...(functions && { functions }), close: () => undefined };
  attempt(() => rvas.forEach((rva) => functionExtent(open, rva)));
  attempt(() => rvas.forEach((rva) => instructionAnchor(open, rva)));
  attempt(() => rvas.forEach((rva) => localsOf(open, rva)));
  attempt(() => opened.globals.dataBefore(0x3000));
  attempt(() => opened.functions?.find(0x1000));
  attempt(() => opened.dbi.debugStream(debugStreams.fpo)?.read(0, 1));
  attempt(() => {
    const module = opened.module(random.below(opened.dbi.modules.length + 1));
    if (module === undefined) return;
    for (const table of module.c13.tables) module.c13.rows(table);
    for (const file of module.c13.files()) module.c13.file(file);
    for (let i = 0; i < module.symbols.count; i++) {
      for (const site of module.inlineSites(module.symbols.procedure(i)))
        functionName(opened.types, site.inlinee);
    }
  });
}

function useImage(source: ByteSource, random: Random): void {
  let file: PeFile | undefined;
  attempt(() => {
    file = new PeFile(source);
  });
  const opened = file;
  if (opened === undefined) return;
  attempt(() => opened.exports());
  attempt(() => opened.pdbReference());
  attempt(() => summariseImage(opened));
  attempt(() => opened.functions()?.parts(0x1000));
  attempt(() => {
    for (let n = 0; n < 4; n++) opened.functions()?.find(random.below(opened.image.sizeOfImage));
  });
}

let refused = 0;
const refusals = new Set(['file-damaged', 'file-unsupported']);

function attempt(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (error instanceof VmkdError && refusals.has(error.code)) {
      refused++;
      return;
    }
    throw error;
  }
}

interface Run {
  readonly what: string;
  readonly victims: () => Victim[];
  readonly use: (source: ByteSource, random: Random) => void;
  readonly count: number;
}

const runs: readonly Run[] = [
  {
    what: 'PDBs by clang',
    victims: () => ['kdcom', 'vmkuser', 'vmkdemo'].map((n) => pdbVictim(`${images}/${n}.pdb`)),
    use: usePdb,
    count: 68_000,
  },
  {
    what: 'PDBs by MSVC',
    victims: () => [pdbVictim(`${msvc}/conpty_console_list.pdb`)],
    use: usePdb,
    count: 2_000,
  },
  {
    what: 'images',
    victims: () => ['kdcom.dll', 'vmkuser.exe', 'vmkdemo.sys'].map((n) => imageVictim(`${images}/${n}`)),
    use: useImage,
    count: 40_000,
  },
];

void describe('hostile files', () => {
  for (const { what, victims, use, count } of runs) {
    void it(`${count} damaged ${what}`, (t) => {
      const seed = seedFromEnvironment();
      const random = randomFrom(seed);
      const all = victims().map((victim) => ({ victim, scratch: victim.file.slice() }));
      const largest = Math.max(...all.map(({ victim }) => victim.file.length));
      const limit = 2 * largest + 64 * megabyte;
      let slowest = 0;
      refused = 0;
      let most = 0;
      const before = allocated();
      for (let i = 0; i < count; i++) {
        const { victim, scratch } = all[i % all.length]!;
        const bytes = damage(victim, scratch, random);
        const started = performance.now();
        try {
          use(memorySource(bytes, victim.name), random);
        } catch (error) {
          throw new Error(`seed ${seed}, input ${i} of ${victim.name}`, { cause: error });
        }
        const took = performance.now() - started;
        if (took > slowest) slowest = took;
        if (i % 64 === 0 || took > 50) most = Math.max(most, allocated() - before);
      }
      t.diagnostic(
        `seed ${seed}; ${refused} refusals; slowest ${slowest.toFixed(0)} ms; at most ${(most / megabyte).toFixed(0)} MiB`,
      );
      // The damage is felt, and does not stop everything.
      assert.ok(refused > count / 20 && refused < count * 4, `${refused} refusals`);
      assert.ok(slowest < 3_000, `an input took ${slowest} ms`);
      assert.ok(most < limit, `${most} bytes were allocated`);
    });
  }
});

/** Heap and buffers, garbage that is not collected yet included. */
function allocated(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
