/**
 * Guest RAM by native code on Linux: files, mapped; QEMU's memory and that of a process named vmware-vmx, by process_vm_readv.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { pageFrame, physicalAddress } from '../../src/engine/core/addresses';
import { VmkdError } from '../../src/engine/core/errors';
import { thisHost } from '../../src/engine/machine/host';
import { linuxProcesses } from '../../src/engine/machine/processes';
import type { GuestRam } from '../../src/engine/machine/ram/guestRam';
import { pageSize, physicalAt } from '../../src/engine/machine/ram/layout';
import { loadNativePart, nativePart } from '../../src/engine/core/nativeHost';
import { openGuestRam } from '../../src/engine/machine/ram/openGuestRam';
import { debug } from '../fixtures/debugging';
import { nativeProgram, notBuilt } from '../fixtures/nativeHost';
import { fails, ramFileCases } from '../fixtures/ramFileCases';
import { holeAt3GiB } from '../fixtures/physicalLayout';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { StandIn } from '../fixtures/standIn';
import { tempFolder } from '../fixtures/tempFolder';
import { WindowChanges } from '../fixtures/windowChanges';
import { bootDemoKernel } from '../kernel/machine';

const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;

/** @param at Physical. */
function read(ram: GuestRam, at: number, length: number): Buffer {
  const into = Buffer.alloc(length);
  ram.read([{ address: physicalAddress(BigInt(at)), length }], into);
  return into;
}

describe('guest RAM in a file, by native code', { skip: notBuilt }, () => {
  ramFileCases(
    (path, layout) => openGuestRam({ kind: 'file', path, layout }),
    (path) => `backing file ${path}, mapped`,
  );

  test('thousands of ranges in one call', (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const layout = holeAt3GiB(8 * mebibyte);
    const bytes = random.bytes(layout.totalBytes);
    const path = join(tempFolder(t), 'ram');
    writeFileSync(path, bytes);
    const ram = openGuestRam({ kind: 'file', path, layout });
    for (const most of [2, 100, 5000]) {
      const ranges = Array.from({ length: 5000 }, () => {
        const at = random.below(bytes.length);
        return { at, length: Math.min(random.below(most), bytes.length - at) };
      });
      const into = new Uint8Array(ranges.reduce((sum, { length }) => sum + length, 0));
      ram.read(
        ranges.map(({ at, length }) => ({ address: physicalAddress(BigInt(at)), length })),
        into,
      );
      const expected = Buffer.concat(ranges.map(({ at, length }) => bytes.subarray(at, at + length)));
      assert.ok(expected.equals(into));
      // A caller whose buffer is too small for its ranges is told so, and nothing is written behind it.
      const room = Buffer.alloc(into.length + 1, 0xee);
      const ask = (): void =>
        ram.read(
          ranges.map(({ at, length }) => ({ address: physicalAddress(BigInt(at)), length })),
          room.subarray(0, into.length - 1),
        );
      assert.throws(ask, fails('ram-out-of-range'));
      assert.deepEqual([...room.subarray(-2)], [0xee, 0xee]);
    }
    ram.close();
  });

  test('a file that is cut short by somebody else in mid-copy: ram-lost, and we live', async (t) => {
    const path = join(tempFolder(t), 'ram');
    const layout = holeAt3GiB(64 * mebibyte);
    writeFileSync(path, '');
    truncateSync(path, layout.totalBytes);
    const cutter = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
       const { truncateSync } = require('node:fs');
       const until = Date.now() + 2000;
       for (let i = 0; Date.now() < until; i++) {
         truncateSync(workerData.path, 4096 * (i % 3));
         truncateSync(workerData.path, workerData.bytes);
       }
       parentPort.postMessage('done');`,
      { eval: true, workerData: { path, bytes: layout.totalBytes } },
    );
    let isDone = false;
    cutter.once('message', () => (isDone = true));
    const into = new Uint8Array(2 * mebibyte);
    // Every other page, so that each is a piece of its own.
    const ranges = Array.from({ length: 512 }, (_, i) => ({
      address: physicalAddress(BigInt(i * 8192)),
      length: 4096,
    }));
    const outcomes = { copied: 0, lost: 0, refused: 0 };
    while (!isDone) {
      try {
        const ram = openGuestRam({ kind: 'file', path, layout });
        try {
          ram.read(ranges, into);
          outcomes.copied++;
        } catch (error) {
          assert.ok(fails('ram-lost')(error), String(error));
          outcomes.lost++;
        }
        ram.close();
      } catch (error) {
        assert.ok(
          error instanceof VmkdError && ['ram-truncated', 'ram-lost'].includes(error.code),
          String(error),
        );
        outcomes.refused++;
      }
      await new Promise(setImmediate);
    }
    t.diagnostic(JSON.stringify(outcomes));
    assert.ok(outcomes.lost > 0, JSON.stringify(outcomes));
  });
});

describe('guest RAM of QEMU’s process', { skip: notBuilt }, () => {
  for (const memory of ['memfd', 'anonymous'] as const) {
    test(`${memory}: every byte is what QEMU says it is, and a kernel is debugged with it`, async (t) => {
      const folder = tempFolder(t);
      const machine = await bootDemoKernel({ memory, memoryMiB: 192, until: 'start' });
      try {
        await machine.console.waitFor(/^console ready$/, 30_000);
        const layout = holeAt3GiB(192 * mebibyte);
        const ram = openGuestRam({ kind: 'process', pid: machine.pid, layout });
        assert.match(
          ram.way,
          new RegExp(`^process_vm_readv of ${machine.pid}${memory === 'memfd' ? ', ' : '$'}`),
        );
        await machine.qmp('stop');
        const dump = join(folder, 'dump');
        await machine.qmp('pmemsave', { val: 0, size: layout.totalBytes, filename: dump });
        // QEMU shows the ROMs and the holes of the first MiB where they are; what lies below them is RAM too.
        const expected = readFileSync(dump);
        assert.ok(read(ram, mebibyte, layout.totalBytes - mebibyte).equals(expected.subarray(mebibyte)));
        assert.ok(read(ram, 0, 0xa0000).equals(expected.subarray(0, 0xa0000)));
        await machine.qmp('cont');
        ram.close();

        const debugging = await debug(machine, folder, {
          guestRam: { kind: 'process', pid: machine.pid, layout },
        });
        try {
          const { target, errors } = debugging;
          assert.equal(target.guestMemory.state.kind, 'verified');
          const { kernelBase } = target.live.stopped.version;
          const { exchanges } = target.live.client;
          const ours = await target.memory.readPartial(kernelBase, 100_000);
          assert.equal(target.live.client.exchanges, exchanges, 'KD was asked');
          assert.deepEqual(ours, await target.live.memory.readPartial(kernelBase, 100_000));
          assert.deepEqual(errors, []);
        } finally {
          await debugging.end();
        }
      } finally {
        await machine.stop();
      }
    });
  }
});

describe('guest RAM of a process named vmware-vmx', { skip: notBuilt }, () => {
  const layout = holeAt3GiB(5 * gibibyte);
  const stride = 64 * mebibyte;
  const start = (): Promise<StandIn> =>
    StandIn.start(nativeProgram('vmware-vmx'), [`anonymous:${layout.totalBytes}:${stride}`]);

  test('it is found by its name; both sides of the hole are where they belong', async () => {
    const standIn = await start();
    try {
      const found = await linuxProcesses(thisHost, (program) => program === 'vmware-vmx');
      assert.ok(found.some(({ pid }) => pid === standIn.pid));
      const ram = openGuestRam({ kind: 'process', pid: standIn.pid, layout, vmem: '/vms/564d.vmem' });
      assert.equal(ram.way, `process_vm_readv of ${standIn.pid}`);
      ram.check();
      const offsets = Array.from({ length: layout.totalBytes / stride }, (_, i) => i * stride);
      const into = Buffer.alloc(8 * offsets.length);
      ram.read(
        offsets.map((offset) => ({
          address: physicalAddress(BigInt(physicalAt(layout, offset))),
          length: 8,
        })),
        into,
      );
      assert.deepEqual(
        offsets.map((_, i) => Number(into.readBigUInt64LE(8 * i))),
        offsets,
      );
      // The last below the hole, nothing in it, the first behind it.
      assert.equal(read(ram, 3 * gibibyte - stride, 8).readBigUInt64LE(), BigInt(3 * gibibyte - stride));
      assert.equal(read(ram, 4 * gibibyte, 8).readBigUInt64LE(), BigInt(3 * gibibyte));
      assert.throws(() => read(ram, 3 * gibibyte, 8), fails('ram-out-of-range'));
      assert.throws(() => read(ram, 6 * gibibyte, 1), fails('ram-out-of-range'));
      ram.close();
      ram.close();
      assert.throws(() => read(ram, 0, 1), fails('ram-lost'));
    } finally {
      await standIn.kill();
    }
  });

  test('a window writes its pages; when the process is gone all of it is lost', async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const standIn = await start();
    try {
      const ram = openGuestRam({ kind: 'process', pid: standIn.pid, layout });
      const frames = [0x140000, 7, 0x100001, 8].map(pageFrame);
      const window = ram.window(frames);
      assert.equal(window.length, 4 * pageSize);
      const area = new Uint8Array(window.length);
      area.set(read(ram, 5 * gibibyte, 8), 0);
      for (let i = 0; i < 200; i++) {
        const at = random.below(window.length);
        const part = random.bytes(random.below(Math.min(window.length - at, 6000)));
        window.write(at, part);
        area.set(part, at);
        const from = random.below(window.length);
        const into = new Uint8Array(random.below(window.length - from));
        window.read(from, into);
        assert.deepEqual(into, area.slice(from, from + into.length));
      }
      window.writeU32(8188, 0xfedcba98);
      assert.equal(window.readU32(8188), 0xfedcba98);
      area.set([0x98, 0xba, 0xdc, 0xfe], 8188);
      for (const [i, frame] of frames.entries()) {
        assert.ok(
          read(ram, frame * pageSize, pageSize).equals(area.subarray(i * pageSize, (i + 1) * pageSize)),
        );
        // Beside it nothing was written; what the process put there is 0 but at strides.
        if (frame !== 7) assert.ok(read(ram, (frame + 1) * pageSize, 8).equals(Buffer.alloc(8)));
      }
      assert.throws(() => window.readU32(window.length), fails('ram-out-of-range'));
      assert.throws(() => window.readU32(2), fails('ram-out-of-range'));
      assert.throws(() => window.write(window.length - 1, new Uint8Array(2)), fails('ram-out-of-range'));
      assert.throws(() => ram.window([pageFrame(0xc0000)]), fails('ram-out-of-range'));

      const changes = new WindowChanges();
      const told = changes.next();
      window.waiting!.watch([8], changes.changed);
      await standIn.kill();
      assert.equal((await told)?.code, 'ram-lost');
      assert.throws(() => read(ram, 0, 8), fails('ram-lost'));
      assert.throws(() => ram.check(), fails('ram-lost'));
      assert.throws(() => window.write(0, new Uint8Array(8)), fails('ram-lost'));
      assert.throws(() => window.readU32(0), fails('ram-lost'));
      assert.throws(() => ram.window(frames), fails('ram-lost'));
      window.close();
      ram.close();
      assert.throws(
        () => openGuestRam({ kind: 'process', pid: standIn.pid, layout }),
        fails('ram-unreadable'),
      );
    } finally {
      await standIn.kill();
    }
  });

  test('too little of it, or none: ram-truncated', async () => {
    const standIn = await start();
    try {
      const more = holeAt3GiB(layout.totalBytes + gibibyte);
      assert.throws(
        () => openGuestRam({ kind: 'process', pid: standIn.pid, layout: more }),
        fails('ram-truncated'),
      );
    } finally {
      await standIn.kill();
    }
  });

  test(
    'another user’s: ram-denied',
    { skip: process.getuid?.() === 0 ? false : 'not on Debian: only root can become another user' },
    async (t) => {
      const standIn = await start();
      try {
        // Where anybody may read.
        const folder = tempFolder(t);
        const addon = join(folder, 'host.node');
        copyFileSync(resolve('prebuilds/linux-x64/vmkd-host.napi.node'), addon);
        const script = `
          const host = require(${JSON.stringify(addon)});
          process.setgroups([]); process.setgid(65534); process.setuid(65534);
          try {
            const ram = host.openProcess(${standIn.pid});
            host.useMapping(ram, 0x10000n, 4096n);
            console.log('read');
          } catch (error) { console.log(error.code, error.message); }`;
        const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
        assert.equal(stdout, 'denied process_vm_readv: Operation not permitted\n');
      } finally {
        await standIn.kill();
      }
    },
  );
});

describe('the native part', { skip: notBuilt }, () => {
  test('is found where this package is', () => {
    assert.equal(nativePart().kind, 'loaded');
  });

  test('takes whatever it is given, or throws', (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const path = join(tempFolder(t), 'ram');
    writeFileSync(path, new Uint8Array(1 << 20));
    // In a process of its own, for it might be its end.
    const script = `
      const host = require(${JSON.stringify(resolve('prebuilds/linux-x64/vmkd-host.napi.node'))});
      const ram = host.openFile(${JSON.stringify(path)});
      const window = host.openWindow(ram, Float64Array.of(0, 8192));
      const watch = host.watch(window, Uint32Array.of(0), new Uint32Array(4), () => {});
      const closed = host.openFile(${JSON.stringify(path)});
      host.close(closed);
      const values = [
        undefined, null, true, 'text', '', 0, -0, 1, -1, 4, 4096, 8192, 0.5, NaN, Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 1e300,
        0n, -1n, 4096n, 2n ** 63n, 2n ** 64n, Symbol(), {}, [], () => {}, new Date(), new Proxy({}, {}), Object.create(null),
        new Uint8Array(0), new Uint8Array(64), new Uint8Array(8192), new Uint8Array(new SharedArrayBuffer(64)),
        new Float64Array(0), Float64Array.of(0, 4096, NaN, -1, 1e300), new Float64Array(2000), new Uint32Array(0),
        Uint32Array.of(1, 4096, 4294967295, 0), new Uint32Array(100), new DataView(new ArrayBuffer(8)), new ArrayBuffer(8),
        structuredClone(new Uint8Array(8), {}), (() => { const a = new Uint8Array(8); structuredClone(a.buffer, { transfer: [a.buffer] }); return a; })(),
        ram, window, watch, closed, ram, window, ram, window,
      ];
      // xorshift
      let state = ${seed} | 1;
      const below = (bound) => {
        state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
        return (state >>> 0) % bound;
      };
      // What would close the good ones, or wait.
      const names = Object.keys(host).filter((name) => !['close', 'awaitWord', 'openProcess'].includes(name));
      const outcomes = { threw: 0, took: 0 };
      for (let i = 0; i < 200000; i++) {
        const name = names[below(names.length)];
        const count = below(4) === 0 ? below(7) : { copy: 5, readWindow: 3, writeWindow: 3, storeWord: 3, useMapping: 3, watch: 4, openWindow: 2, loadWord: 2 }[name] ?? 1;
        try {
          host[name](...Array.from({ length: count }, () => values[below(values.length)]));
          outcomes.took++;
        } catch (error) {
          if (!(error instanceof Error) || typeof error.code !== 'string') throw error;
          outcomes.threw++;
        }
      }
      for (const bad of values) try { host.openProcess(bad); host.close(bad); } catch {}
      console.log(outcomes.took > 100 && outcomes.threw > 100 ? 'well' : JSON.stringify(outcomes));`;
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      timeout: 100_000,
    });
    assert.deepEqual(
      { status, signal, stdout, stderr },
      { status: 0, signal: null, stdout: 'well\n', stderr: '' },
    );
  });

  test('that is not there, or is none, has a reason', (t) => {
    const folder = tempFolder(t);
    const reason = (): VmkdError => {
      const part = loadNativePart(folder);
      assert.ok(part.kind === 'absent');
      return part.reason;
    };
    assert.equal(reason().code, 'native-absent');
    const prebuilds = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
    mkdirSync(prebuilds, { recursive: true });
    writeFileSync(join(prebuilds, 'vmkd-host.napi.node'), 'MZ and so on');
    assert.equal(reason().code, 'native-refused');
    assert.match(reason().message, /cannot be loaded: .*(invalid ELF header|file too short)/);
  });
});
