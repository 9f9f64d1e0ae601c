// test-limit: 600 s
/**
 * When guest RAM may be believed: a wrong hole, an old copy, a file cut short, somebody else's memory are refused, each for its
 * own reason, and KD serves on; after a reset it is proven again, and nothing of before is served.
 */

import assert from 'node:assert/strict';
import { copyFileSync, openSync, closeSync, statSync, truncateSync, writeSync, ftruncateSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { plus, type VirtualAddress } from '../../src/engine/core/addresses';
import { asVmkdError } from '../../src/engine/core/errors';
import type { RamLocation } from '../../src/engine/machine/ram/location';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import { loadSymbols } from '../../src/engine/windows/loadSymbols';
import type { GuestMemoryState } from '../../src/engine/target/guestMemory/guestMemory';
import { debug, limit, type Debugging } from '../fixtures/debugging';
import { ramOf } from '../fixtures/guestRam';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { temporaryFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const memoryMiB = 48;

async function withGuest(
  options: DemoKernelOptions,
  locationOf: (machine: DemoMachine, folder: string) => RamLocation,
  action: (session: Debugging) => Promise<void>,
): Promise<void> {
  const { folder, remove } = temporaryFolder();
  const machine = await bootDemoKernel(options);
  try {
    const session = await debug(machine, folder, { guestRam: locationOf(machine, folder) });
    try {
      await action(session);
      assert.deepEqual(session.errors, []);
    } finally {
      await session.end();
    }
  } finally {
    await machine.stop();
    remove();
  }
}

/** Memory is read all the same, and right: by KD. */
async function servedByKd({ target }: Debugging): Promise<void> {
  const { kernelBase } = target.live.stopped.version;
  const { exchanges } = target.live.client;
  target.memory.forget();
  const bytes = await readMemory(target.memory, plus(kernelBase, 0x400), 64);
  assert.ok(target.live.client.exchanges > exchanges);
  assert.deepEqual(bytes, await readMemory(target.live.memory, plus(kernelBase, 0x400), 64));
}

async function servedByRam({ target }: Debugging): Promise<void> {
  assert.equal(target.guestMemory.state.kind, 'verified');
  const { kernelBase } = target.live.stopped.version;
  const { exchanges } = target.live.client;
  const bytes = await readMemory(target.memory, kernelBase, 0x3000);
  assert.equal(target.live.client.exchanges, exchanges);
  assert.deepEqual(bytes, await readMemory(target.live.memory, kernelBase, 0x3000));
}

function isRefused(state: GuestMemoryState, code: string, message?: RegExp): void {
  assert.equal(state.kind, 'refused');
  if (state.kind !== 'refused') return;
  assert.equal(state.reason.code, code, state.reason.message);
  if (message) assert.match(state.reason.message, message);
}

void describe('a layout', () => {
  const big = { memoryMiB: 5120, cpus: 1 };

  void it('of pc is not that of q35', () =>
    withGuest(
      { ...big, machine: 'q35' },
      (machine) => ramOf(machine, 'pc'),
      async (session) => {
        isRefused(session.target.guestMemory.state, 'ram-layout', /2048 MiB.* below the hole, not 3072 MiB/);
        await servedByKd(session);
      },
    ));

  void it('of q35 is that of q35', () =>
    withGuest({ ...big, machine: 'q35' }, (machine) => ramOf(machine, 'q35'), servedByRam));

  void it('of q35 is not that of pc', () =>
    withGuest(
      { ...big, machine: 'pc' },
      (machine) => ramOf(machine, 'q35'),
      async (session) => {
        isRefused(session.target.guestMemory.state, 'ram-layout', /3072 MiB.* below the hole, not 2048 MiB/);
        await servedByKd(session);
      },
    ));

  void it('with less memory than there is is a part', () =>
    withGuest(
      { memoryMiB, cpus: 1 },
      (machine) => ({ ...ramOf(machine), layout: { lowBytes: 16 << 20, totalBytes: 16 << 20 } }),
      async (session) => {
        isRefused(session.target.guestMemory.state, 'ram-partial', /only 16 MiB of it/);
        await servedByKd(session);
      },
    ));
});

void describe('a file', () => {
  const { folder, remove } = temporaryFolder();
  let machine: DemoMachine;
  before(async () => {
    machine = await bootDemoKernel({ memoryMiB, cpus: 1 });
  });
  after(async () => {
    await machine.stop();
    remove();
  });

  const refusedWith = async (location: RamLocation, code: string): Promise<void> => {
    const session = await debug(machine, folder, { guestRam: location });
    try {
      isRefused(session.target.guestMemory.state, code);
      await servedByKd(session);
      assert.deepEqual(session.errors, []);
    } finally {
      await session.target.execution.release();
    }
  };
  const copy = path.join(folder, 'copy');
  const fileOf = (name: string): RamLocation => ({ ...ramOf(machine), path: path.join(folder, name) });

  void it('that is a copy, seconds old, is stale', async () => {
    await machine.qmp('stop');
    copyFileSync(machine.ramFile, copy);
    await machine.qmp('cont');
    const before = await machine.console.command('ticks');
    while ((await machine.console.command('ticks')) === before);
    await refusedWith(fileOf('copy'), 'ram-stale');
  });

  void it('that the machine does not write to is stale', async () => {
    const descriptor = openSync(path.join(folder, 'empty'), 'w');
    ftruncateSync(descriptor, statSync(machine.ramFile).size);
    closeSync(descriptor);
    await refusedWith(fileOf('empty'), 'ram-stale');
  });

  void it('that is noise is encrypted', async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const noise = random.bytes(1 << 20);
    const descriptor = openSync(path.join(folder, 'noise'), 'w');
    for (let i = 0; i < memoryMiB; i++) writeSync(descriptor, noise);
    closeSync(descriptor);
    await refusedWith(fileOf('noise'), 'ram-encrypted');
  });

  void it('of another machine is foreign', async () => {
    const other = await bootDemoKernel({ memoryMiB, cpus: 1 });
    try {
      await refusedWith(ramOf(other), 'ram-foreign');
    } finally {
      await other.stop();
    }
  });

  void it('that is too short, or is none, says so', async () => {
    const file = ramOf(machine);
    const totalBytes = file.layout.totalBytes * 2;
    await refusedWith({ ...file, layout: { lowBytes: totalBytes, totalBytes } }, 'ram-truncated');
    await refusedWith(fileOf('nowhere'), 'ram-unreadable');
  });
});

void describe('in mid-session', () => {
  void it('a file that is cut short is left for KD, and taken up again after a reset', () =>
    withGuest(
      { memoryMiB, cpus: 1 },
      (machine) => ramOf(machine),
      async (session) => {
        const { target, machine } = session;
        const states: GuestMemoryState[] = [];
        target.guestMemory.onState.add((state) => states.push(state));
        await servedByRam(session);
        // The guest has not used its last megabyte yet, or QEMU would end here.
        const size = statSync(machine.ramFile).size;
        truncateSync(machine.ramFile, size - (1 << 20));
        try {
          await target.execution.resume();
          await target.execution.pause(limit);
        } finally {
          truncateSync(machine.ramFile, size);
        }
        isRefused(target.guestMemory.state, 'ram-lost', /cut short/);
        await servedByKd(session);
        assert.equal(states.length, 1);
        await restart(session);
        await servedByRam(session);
      },
    ));

  void it('a file that is cut short where it is read is noticed by the read', () =>
    withGuest(
      { memoryMiB, cpus: 1 },
      (machine) => ramOf(machine),
      async (session) => {
        const { target, machine } = session;
        const window = await readPointerAt(session, 'nt!MmPhysicalWindow');
        const size = statSync(machine.ramFile).size;
        const last = plus(window, size - (1 << 20));
        const before = await readMemory(target.memory, last, 64);
        // The machine stands still meanwhile: a guest that answers KD out of what was cut off is the end of QEMU (SIGBUS).
        await machine.qmp('stop');
        truncateSync(machine.ramFile, size - (1 << 20));
        try {
          const { exchanges } = target.live.client;
          target.memory.forget();
          const reading = target.memory.readPartial(last, 0x10000);
          isRefused(target.guestMemory.state, 'ram-lost');
          truncateSync(machine.ramFile, size);
          await machine.qmp('cont');
          const bytes = await reading;
          assert.ok(target.live.client.exchanges > exchanges + 2);
          assert.equal(bytes.length, 0x10000);
          assert.deepEqual(bytes.slice(0, 64), before);
        } finally {
          truncateSync(machine.ramFile, size);
        }
        await servedByKd(session);
      },
    ));

  void it('a reboot moves the kernel: nothing of before is served', () =>
    withGuest(
      { memoryMiB, cpus: 2 },
      (machine) => ramOf(machine),
      async (session) => {
        const { target } = session;
        const kinds: string[] = [];
        target.guestMemory.onState.add(({ kind }) => kinds.push(kind));
        for (let round = 0; round < 3; round++) {
          const old = target.live.stopped.version.kernelBase;
          await servedByRam(session);
          kinds.length = 0;
          await restart(session);
          const { kernelBase } = target.live.stopped.version;
          assert.notEqual(kernelBase, old, 'KASLR');
          assert.deepEqual(kinds, ['unproven', 'verified']);
          await servedByRam(session);
          // The old kernel is not mapped any more: neither way has it.
          assert.equal((await target.memory.readPartial(old, 16)).length, 0);
          assert.equal((await target.live.memory.readPartial(old, 16)).length, 0);
        }
      },
    ));

  void it('a running target is read live, until it is reset, and again after the next stop', () =>
    withGuest(
      { memoryMiB, cpus: 1 },
      (machine) => ramOf(machine),
      async (session) => {
        const { target, machine } = session;
        const counter = (): Promise<bigint> => live(session, 'vmkdemo!VmkDemoCounter');
        const inTheStop = await counter();
        assert.equal(inTheStop, await live(session, 'vmkdemo!VmkDemoCounter'), 'nothing moves in a stop');
        await target.execution.resume();
        const until = Date.now() + limit;
        while ((await counter()) < inTheStop + 3n) assert.ok(Date.now() < until, 'the counter stands still');
        const address = session.addressOf('vmkdemo!VmkDemoCounter');
        await assert.rejects(target.liveMemory.readPartial(0x1000n as VirtualAddress, 8), {
          code: 'memory-unreadable',
        });
        const kinds: string[] = [];
        target.guestMemory.onState.add(({ kind }) => kinds.push(kind));
        await machine.reset();
        // The new kernel tells of its modules, so that it was compared already. The old one is nowhere.
        assert.equal(kinds[0], 'unproven');
        const old = await target.liveMemory
          .readPartial(address, 8)
          .catch((thrown: unknown) => asVmkdError(thrown).code);
        assert.ok(typeof old === 'string' ? old === 'ram-unproven' : old.length === 0, String(old));
        await target.execution.pause(limit);
        await servedByRam(session);
        await loadSymbols(target.symbols.modules, { online: false });
        const first = await counter();
        await target.execution.resume();
        while ((await counter()) === first) assert.ok(Date.now() < until + limit, 'the counter stands still');
        await target.execution.pause(limit);
      },
    ));

  void it('a running target is not read, and a stop that was not entered neither', () =>
    withGuest(
      { memoryMiB, cpus: 1 },
      (machine) => ramOf(machine),
      async (session) => {
        const { target } = session;
        const address = session.addressOf('vmkdemo!VmkDemoCounter');
        const seen = new Set<string>();
        for (let round = 0; round < 20; round++) {
          const ours = await readMemory(target.memory, address, 8);
          assert.deepEqual(ours, await readMemory(target.live.memory, address, 8));
          seen.add(ours.join());
          await target.execution.resume();
          assert.equal(target.guestMemory.isUsable, false);
          assert.equal(target.guestMemory.read(address, new Uint8Array(8)), 0);
          await assert.rejects(target.memory.readPartial(address, 8), { code: 'target-running' });
          await target.execution.pause(limit);
        }
        assert.ok(seen.size > 1, 'the counter moves');
      },
    ));
});

/** A hard reset, and the next stop of the new kernel. */
async function restart({ target, machine }: Debugging): Promise<void> {
  if (target.state.kind === 'stopped') await target.execution.resume();
  await machine.reset();
  await target.execution.pause(limit);
}

/** Eight bytes, whether the target runs or not. */
async function live(session: Debugging, symbol: string): Promise<bigint> {
  const bytes = await session.target.liveMemory.readPartial(session.addressOf(symbol), 8);
  assert.equal(bytes.length, 8);
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}

async function readPointerAt(session: Debugging, symbol: string): Promise<VirtualAddress> {
  const bytes = await readMemory(session.target.memory, session.addressOf(symbol), 8);
  return new DataView(bytes.buffer).getBigUint64(0, true) as VirtualAddress;
}
