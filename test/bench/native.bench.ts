/**
 * native/host: what a copy of guest RAM costs by each way, and how soon Node hears of a word that another process writes.
 *
 * Costs are multiples of a plain copy of the same bytes. A word is awaited by a watch's thread, by standing still, and by looking
 * in every turn of Node's event loop:
 *
 *   trip   another process answers at once whatever is written
 *   late   another thread writes the time, some 20 ms after the last time: how old it is when it is seen, and what share of a
 *          processor this process takes for that
 */

import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { pageFrame, physicalAddress } from '../../src/engine/core/addresses';
import type { GuestRam, RamWindow } from '../../src/engine/machine/ram/guestRam';
import { openBackingFile } from '../../src/engine/machine/ram/backingFile';
import { openGuestRam } from '../../src/engine/machine/ram/openGuestRam';
import { holeAt3GiB } from '../fixtures/physicalLayout';
import { nativeProgram } from '../fixtures/nativeHost';
import { StandIn } from '../fixtures/standIn';
import { temporaryFolder } from '../fixtures/tempFolder';
import type { Bench, Figure } from './bench';
import { copiedBytes, copyCosts, median, pieceBytes, piecesIn, type CopyWay } from './copies';

const ramBytes = 4 * copiedBytes;
const layout = holeAt3GiB(ramBytes);
const trips = 3000;
const lateWrites = 200;
const [ping, pong] = [0x1000, 0x2000];

const bench: Bench = {
  needsKernel: false,
  needsNative: true,
  async figures() {
    const { folder, remove } = temporaryFolder('/dev/shm');
    const path = join(folder, 'ram');
    writeFileSync(path, new Uint8Array(ramBytes).fill(0x5a));
    const standIn = await StandIn.start(nativeProgram('vmware-vmx'), ['echo', path]);
    try {
      return [...copies(path, standIn.pid), ...(await roundTrips(path)), ...(await lateWords(path))];
    } finally {
      await standIn.kill();
      remove();
    }
  },
};
export default bench;

function copies(path: string, pid: number): Figure[] {
  const file = openSync(path, 'r');
  const rams = {
    mapped: openGuestRam({ kind: 'file', path, layout }),
    process: openGuestRam({ kind: 'process', pid, layout, vmem: path }),
    file: openBackingFile(path, layout),
  };
  const by =
    (ram: GuestRam): CopyWay =>
    (offsets, into) =>
      ram.read(
        offsets.map((offset) => ({ address: physicalAddress(BigInt(offset)), length: pieceBytes })),
        into,
      );
  const ways = {
    mapped: by(rams.mapped),
    process: by(rams.process),
    file: by(rams.file),
    read_sync: (offsets: readonly number[], into: Uint8Array) =>
      offsets.forEach((offset, i) => readSync(file, into, i * pieceBytes, pieceBytes, offset)),
  };
  try {
    return (['contiguous', 'scattered'] as const).flatMap((order) => {
      const costs = copyCosts(ways, piecesIn(ramBytes, order));
      process.stderr.write(`${order}: a plain copy takes ${(costs.plainSeconds * 1000).toFixed(1)} ms\n`);
      return (['mapped', 'process', 'file', 'read_sync'] as const).map((way) => ({
        id: `native.${order}.${way}_vs_copy`,
        value: costs[way],
        unit: 'x',
        ...(way === 'mapped' && { goal: { atMost: 2 } }),
      }));
    });
  } finally {
    for (const ram of Object.values(rams)) ram.close();
    closeSync(file);
  }
}

async function roundTrips(path: string): Promise<Figure[]> {
  const ram = openGuestRam({ kind: 'file', path, layout });
  const window = ram.window([0, 1, 2].map(pageFrame));
  const waiting = window.waiting!;
  let told = (): void => undefined;
  const watch = waiting.watch([pong], () => told());
  try {
    const watched = await medianTrip(window, (value, done) => {
      told = () => window.readU32(pong) === value && done();
    });
    watch.stop();
    const still = await medianTrip(window, (value, done) => {
      for (let seen = window.readU32(pong); seen !== value;) seen = waiting.awaitU32(pong, seen, 10_000);
      done();
    });
    const polled = await medianTrip(window, (value, done) => {
      const look = (): unknown => (window.readU32(pong) === value ? done() : setImmediate(look));
      setImmediate(look);
    });
    return [
      { id: 'native.trip.watch_us_p50', value: watched, unit: 'us' },
      { id: 'native.trip.still_us_p50', value: still, unit: 'us' },
      { id: 'native.trip.set_immediate_us_p50', value: polled, unit: 'us' },
    ];
  } finally {
    window.close();
    ram.close();
  }
}

/** Microseconds from a word that is written until `wait` says that its answer is there. */
async function medianTrip(
  window: RamWindow,
  wait: (value: number, done: () => void) => void,
): Promise<number> {
  const times: number[] = [];
  for (let value = 1; value <= trips; value++) {
    const started = performance.now();
    await new Promise<void>((done) => {
      window.writeU32(ping, value);
      wait(value, done);
    });
    times.push((performance.now() - started) * 1000);
  }
  return median(times);
}

async function lateWords(path: string): Promise<Figure[]> {
  const ram = openGuestRam({ kind: 'file', path, layout });
  const window = ram.window([pageFrame(3)]);
  try {
    const watched = await lateWord(path, (look) => {
      const watch = window.waiting!.watch([0], () => look(window.readU32(0)));
      return () => watch.stop();
    });
    const polled = await lateWord(path, (look) => {
      let isOver = false;
      const again = (): void => {
        if (isOver) return;
        look(window.readU32(0));
        setImmediate(again);
      };
      again();
      return () => (isOver = true);
    });
    return [
      { id: 'native.late.watch_us_p50', value: watched.age, unit: 'us' },
      { id: 'native.late.set_immediate_us_p50', value: polled.age, unit: 'us' },
      { id: 'native.late.watch_cpu_pct', value: watched.percent, unit: '%' },
      { id: 'native.late.set_immediate_cpu_pct', value: polled.percent, unit: '%' },
    ];
  } finally {
    window.close();
    ram.close();
  }
}

/** Microseconds, modulo 2^32, on a clock that all threads share. */
const microseconds = (): number => Number(BigInt.asUintN(32, process.hrtime.bigint() / 1000n));

/** @param start Calls `look` with the word, changed or not. @returns how to stop that */
async function lateWord(
  path: string,
  start: (look: (word: number) => void) => () => void,
): Promise<{ readonly age: number; readonly percent: number }> {
  const ages: number[] = [];
  const writer = new Worker(lateWriter, {
    eval: true,
    workerData: {
      addon: resolve('prebuilds', `${process.platform}-${process.arch}`, 'vmkd-host.napi.node'),
      path,
      count: lateWrites,
    },
  });
  const [used, started] = [process.cpuUsage(), performance.now()];
  let last: number | undefined;
  const stop = start((word) => {
    if (last !== undefined && word !== last) ages.push((microseconds() - word) >>> 0);
    last = word;
  });
  await new Promise((done) => writer.once('exit', done));
  stop();
  const { user, system } = process.cpuUsage(used);
  // A watch speaks of changes only, so that its first one is not counted.
  if (ages.length < lateWrites / 2) throw new Error(`${ages.length} of ${lateWrites} words were seen`);
  return { age: median(ages), percent: (user + system) / 10 / (performance.now() - started) };
}

const lateWriter = `
  const { workerData } = require('node:worker_threads');
  const host = require(workerData.addon);
  const window = host.openWindow(host.openFile(workerData.path), Float64Array.of(3 * 4096));
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < workerData.count; i++) {
    Atomics.wait(sleep, 0, 0, 10 + (i * 7) % 20);
    host.storeWord(window, 0, Number(BigInt.asUintN(32, process.hrtime.bigint() / 1000n)));
  }`;
