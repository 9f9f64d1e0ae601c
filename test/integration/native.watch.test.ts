/** Waiting on native code's thread for words of a window: changes arrive, it stops at once, and Node ends when it wants to. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { openSync, closeSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { pageFrame } from '../../src/engine/core/addresses';
import type { RamWindow, WatchPlan } from '../../src/engine/machine/ram/guestRam';
import { openGuestRam } from '../../src/engine/machine/ram/openGuestRam';
import { nativeProgram, notBuilt } from '../fixtures/nativeHost';
import { fails } from '../fixtures/ramFileCases';
import { StandIn } from '../fixtures/standIn';
import { holeAt3GiB } from '../fixtures/physicalLayout';
import { tempFolder, type Cleanup } from '../fixtures/tempFolder';
import { WindowChanges } from '../fixtures/windowChanges';

const layout = holeAt3GiB(1 << 20);
const addon = resolve('prebuilds/linux-x64/vmkd-host.napi.node');

/** The stand-in copies the first to the second. */
const [ping, pong] = [0x1000, 0x2000];

function ramFile(t: Cleanup): string {
  const path = join(tempFolder(t), 'ram');
  writeFileSync(path, new Uint8Array(layout.totalBytes));
  return path;
}

const windowOf = (path: string): RamWindow =>
  openGuestRam({ kind: 'file', path, layout }).window([0, 1, 2].map(pageFrame));

/** Stands still until the word is another, however long the other process is kept from running. */
function answer(window: RamWindow, old: number): number {
  const deadline = performance.now() + 20_000;
  let value = old;
  while (value === old && performance.now() < deadline) value = window.waiting!.awaitU32(pong, old, 10_000);
  return value;
}

const plans: Record<string, WatchPlan | undefined> = {
  'as it is by itself': undefined,
  'always asleep': { spin: 0, yielding: 0, shortestSleep: 100, longestSleep: 1000 },
  'always looking': { spin: 3_600_000_000, yielding: 0, shortestSleep: 0, longestSleep: 0 },
};

describe('a watch', { skip: notBuilt }, () => {
  for (const [name, plan] of Object.entries(plans)) {
    test(`${name}: every answer of another process is seen`, async (t) => {
      const path = ramFile(t);
      const standIn = await StandIn.start(nativeProgram('vmware-vmx'), ['echo', path]);
      const window = windowOf(path);
      try {
        const changes = new WindowChanges();
        const watch = window.waiting!.watch([pong, 0], changes.changed, plan);
        for (let i = 1; i <= 300; i++) {
          const told = changes.next();
          window.writeU32(ping, i);
          if (i % 2 === 0) watch.hurry();
          assert.equal(await told, undefined);
          assert.equal(window.readU32(pong), i);
        }
        assert.equal(changes.count, 300);
        watch.stop();
        watch.stop();
        watch.hurry();
        window.writeU32(ping, 1000);
        assert.equal(answer(window, 300), 1000);
        await new Promise(setImmediate);
        assert.equal(changes.count, 300);
      } finally {
        window.close();
        await standIn.kill();
      }
    });
  }

  test('standing still ends with the change, or in time', async (t) => {
    const path = ramFile(t);
    const standIn = await StandIn.start(nativeProgram('vmware-vmx'), ['echo', path]);
    const window = windowOf(path);
    try {
      for (let i = 1; i <= 1000; i++) {
        window.writeU32(ping, i);
        assert.equal(answer(window, i - 1), i);
      }
    } finally {
      await standIn.kill();
    }
    const started = performance.now();
    assert.equal(window.waiting!.awaitU32(pong, 1000, 0xffff_ffff), 1000);
    assert.ok(performance.now() - started < 5000);
    assert.throws(() => window.waiting!.awaitU32(3, 0, 1), fails('ram-out-of-range'));
    window.close();
    assert.throws(() => window.waiting!.awaitU32(pong, 0, 1), fails('ram-lost'));
  });

  test('says once that its window is lost', async (t) => {
    const path = ramFile(t);
    const window = windowOf(path);
    const changes = new WindowChanges();
    const lost = changes.next();
    window.waiting!.watch([pong], changes.changed);
    truncateSync(path, 0);
    assert.equal((await lost)?.code, 'ram-lost');
    await new Promise((done) => setTimeout(done, 20));
    assert.equal(changes.count, 1);
    window.close();
  });

  test('ends with its window, from within its own call too', async (t) => {
    const path = ramFile(t);
    const file = openSync(path, 'r+');
    try {
      for (let i = 1; i <= 50; i++) {
        const window = windowOf(path);
        const changes = new WindowChanges();
        const told = changes.next();
        window.waiting!.watch([pong], () => {
          window.close();
          changes.changed();
        });
        writeSync(file, Uint32Array.of(i), 0, 4, pong);
        await told;
        assert.throws(() => window.readU32(0), fails('ram-lost'));
      }
    } finally {
      closeSync(file);
    }
  });

  test('is of a few aligned words inside the window', (t) => {
    const { waiting } = windowOf(ramFile(t));
    for (const bad of [[], [1], [3 * 4096], Array.from({ length: 9 }, (_, i) => 4 * i)])
      assert.throws(() => waiting!.watch(bad, () => undefined), fails('ram-out-of-range'), String(bad));
  });
});

describe('a watch that nobody stops', { skip: notBuilt }, () => {
  /** Runs in a Node of its own, where `watch()` makes one more. */
  const nodeWith = (t: Cleanup, body: string) =>
    spawnSync(
      process.execPath,
      [
        '--expose-gc',
        '-e',
        `const host = require(${JSON.stringify(addon)});
         const ram = host.openFile(${JSON.stringify(ramFile(t))});
         const window = host.openWindow(ram, Float64Array.of(0, 4096, 8192));
         let changes = 0;
         const watch = (...plan) => host.watch(window, Uint32Array.of(4096), Uint32Array.from(plan), () => changes++);
         ${body}`,
      ],
      { encoding: 'utf8', timeout: 30_000 },
    );
  const well = { status: 0, signal: null, stdout: 'well\n', stderr: '' };
  const outcome = ({ status, signal, stdout, stderr }: ReturnType<typeof spawnSync>) => ({
    status,
    signal,
    stdout,
    stderr,
  });

  const bodies = {
    'does not keep Node from ending': 'globalThis.kept = [watch(0, 0, 60e6, 60e6), watch(1e9, 0, 0, 0)];',
    'nor from ending by process.exit':
      'globalThis.kept = watch(1e9, 0, 0, 0); setTimeout(() => process.exit(0), 20);',
    'ends when it is forgotten': `
      const { readdirSync } = require('node:fs');
      const threads = () => readdirSync('/proc/self/task').length;
      const before = threads();
      (() => { for (let i = 0; i < 20; i++) watch(0, 0, 60e6, 60e6); })();
      if (threads() < before + 20) throw new Error('no threads');
      (async () => {
        for (let i = 0; i < 100 && threads() >= before + 20; i++) { gc(); await new Promise(setImmediate); }
        if (threads() >= before + 20) throw new Error('none ended');
      })();`,
    'goes on when its window is closed': `
      const kept = watch(0, 0, 100, 1000);
      host.close(window);
      host.close(ram);
      try { host.loadWord(window, 0); throw new Error('open'); } catch (error) { if (error.code !== 'lost') throw error; }
      setTimeout(() => host.close(kept), 20);`,
  };
  for (const [name, body] of Object.entries(bodies)) {
    test(name, (t) => {
      assert.deepEqual(outcome(nodeWith(t, `${body} console.log('well');`)), well);
    });
  }

  test('ends with the worker that it belongs to', async (t) => {
    const path = ramFile(t);
    const file = openSync(path, 'r+');
    t.after(() => closeSync(file));
    for (let round = 0; round < 10; round++) {
      const worker = new Worker(
        `const host = require(${JSON.stringify(addon)});
         const { parentPort } = require('node:worker_threads');
         const window = host.openWindow(host.openFile(${JSON.stringify(path)}), Float64Array.of(0));
         globalThis.kept = host.watch(window, Uint32Array.of(16), Uint32Array.of(1e9, 0, 0, 0), () => parentPort.postMessage('seen'));
         parentPort.postMessage('ready');
         setInterval(() => {}, 1000);`,
        { eval: true },
      );
      const next = () => new Promise((done) => worker.once('message', done));
      assert.equal(await next(), 'ready');
      const seen = next();
      writeSync(file, Uint32Array.of(round + 1), 0, 4, 16);
      assert.equal(await seen, 'seen');
      await worker.terminate();
      writeSync(file, Uint32Array.of(round + 1000), 0, 4, 16);
    }
  });
});
