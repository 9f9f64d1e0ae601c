// test-limit: 600 s
/**
 * The demo kernel's memory out of its RAM file, beside what QEMU's own processor sees at the same addresses, and what KD gives:
 * all that is mapped, large pages and page tables too; pages that are there and not present; a process's own.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { plus, virtualAddress, type VirtualAddress } from '../../src/engine/core/addresses';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import { debug, limit, nextStop, type Debugging } from '../fixtures/debugging';
import { ramOf } from '../fixtures/guestRam';
import { temporaryFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const pageSize = 4096;
const memoryMiB = 64;

interface Mapped {
  readonly address: VirtualAddress;
  readonly size: number;
}

/** What QEMU's walker finds mapped on its only processor. */
async function mappedRanges(machine: DemoMachine): Promise<Mapped[]> {
  const text = String(await machine.qmp('human-monitor-command', { 'command-line': 'info mem' }));
  const ranges = [...text.matchAll(/^([0-9a-f]{16})-[0-9a-f]{16} ([0-9a-f]{16}) /gm)];
  assert.ok(ranges.length > 10, text);
  // It leaves out the sign of what it prints in 48 bits, or not, by its version.
  return ranges.map(([, start, size]) => ({
    address: virtualAddress(BigInt.asIntN(48, BigInt(`0x${start!}`))),
    size: Number(`0x${size!}`),
  }));
}

async function physicalOf(machine: DemoMachine, address: VirtualAddress): Promise<number> {
  const line = `gva2gpa 0x${address.toString(16)}`;
  const text = String(await machine.qmp('human-monitor-command', { 'command-line': line }));
  const found = /gpa: ((?:0x)?[0-9a-f]+)/.exec(text)?.[1];
  if (found === undefined) throw new Error(`${line}: ${text}`);
  return Number.parseInt(found, 16);
}

void describe('guest RAM', () => {
  const { folder, remove } = temporaryFolder();
  let session: Debugging;

  before(async () => {
    const machine = await bootDemoKernel({ memoryMiB, cpus: 1 });
    session = await debug(machine, folder, { guestRam: ramOf(machine) });
  });
  after(async () => {
    await session.end();
    remove();
  });

  const pausedWith = async (command: string): Promise<string> => {
    const { target, machine } = session;
    if (target.state.kind === 'stopped') await target.execution.resume();
    const answer = await machine.console.command(command);
    await target.execution.pause(limit);
    return answer;
  };

  /** @returns bytes that were compared */
  async function comparedWithQemu(wanted: (range: Mapped) => boolean): Promise<number> {
    const { target, machine } = session;
    assert.equal(target.guestMemory.state.kind, 'verified');
    const file = path.join(folder, 'memory');
    let compared = 0;
    // A kernel that stands for KD waits for it, and counts while it waits.
    await machine.qmp('stop');
    // What was read before its transport had heard our last acknowledgement is a little older.
    target.guestMemory.forget();
    for (const range of (await mappedRanges(machine)).filter(wanted)) {
      const { address, size } = range;
      // QEMU's monitor does not read devices, and nobody should.
      if ((await physicalOf(machine, address)) >= memoryMiB << 20) {
        assert.equal(
          target.guestMemory.read(address, new Uint8Array(8)),
          0,
          'a device was read from the file',
        );
        assert.ok(!target.guestMemory.endedAtNothing);
        continue;
      }
      const { exchanges } = target.live.client;
      const ours = await readMemory(target.memory, address, size);
      assert.equal(target.live.client.exchanges, exchanges, 'KD was asked');
      await machine.qmp('memsave', {
        val: Number(BigInt.asIntN(64, address)),
        size,
        filename: file,
        'cpu-index': 0,
      });
      assert.ok(readFileSync(file).equals(ours), `${address.toString(16)}, ${size} bytes`);
      compared += size;
    }
    await machine.qmp('cont');
    return compared;
  }

  void it('is all of the kernel’s memory, as its processor sees it', async () => {
    // The window alone is as large as the machine's memory.
    assert.ok((await comparedWithQemu(() => true)) > memoryMiB << 20);
  });

  void it('is what KD gives, page by page, and absent where KD has none', async (t) => {
    const { target } = session;
    let [there, absent, changed, trimmed] = [0, 0, 0, 0];
    for (const { module } of target.symbols.modules) {
      for (let at = -pageSize; at < module.size + pageSize; at += pageSize) {
        const address = plus(module.base, at);
        const ours = await target.memory.readPartial(address, pageSize);
        const theirs = await target.live.memory.readPartial(address, pageSize);
        if (ours.length === 0) absent++;
        else there++;
        if (Buffer.from(ours).equals(theirs)) continue;
        if (theirs.length === 0) {
          // In memory, and not present: of the sections that may be paged out.
          assert.match((await target.code.sectionAt(address))?.name ?? '', /^PAGE/);
          trimmed++;
          continue;
        }
        assert.equal(ours.length, theirs.length, address.toString(16));
        // Its answer went through KD's own variables.
        for (let i = 0; i < pageSize; i++) {
          const name = target.symbols.nameOf(plus(address, i)) ?? '';
          assert.ok(
            ours[i] === theirs[i] || /^(nt!Kd|kdcom!)/.test(name),
            `${name} at ${address.toString(16)} + ${i}`,
          );
        }
        changed++;
      }
    }
    t.diagnostic(`${there} pages, ${absent} absent, ${trimmed} trimmed, ${changed} changed by KD itself`);
    assert.ok(there > 100 && absent >= 6 && trimmed > 0 && changed < 10);
  });

  void it('has pages that were trimmed, which KD cannot read', async () => {
    const { target } = session;
    await pausedWith('paged 1');
    const address = session.addressOf('vmkdemo!VmkDemoPaged');
    const before = await readMemory(target.memory, address, 64);
    assert.deepEqual(await target.live.memory.readPartial(address, 64), before);
    await pausedWith('trim');
    assert.equal((await target.live.memory.readPartial(address, 64)).length, 0);
    assert.deepEqual(await readMemory(target.memory, address, 64), before);
    // What the target cannot reach itself is no place for a breakpoint yet.
    const breakpoint = await target.breakpoints.add({ place: { kind: 'instruction', address } });
    assert.equal(breakpoint.status.kind, 'pending');
    await target.execution.resume();
    const answer = session.machine.console.command('paged 3');
    assert.deepEqual((await session.stopped()).reason, { kind: 'breakpoint', breakpoints: [breakpoint] });
    assert.equal(breakpoint.status.kind, 'bound');
    await target.breakpoints.remove(breakpoint);
    await target.execution.resume();
    await answer;
    await target.execution.pause(limit);
    assert.deepEqual(await target.live.memory.readPartial(address, 64), before);
  });

  void it('says of pages that nobody has, without asking KD', async () => {
    const { target } = session;
    const { rsp } = await target.processors[0]!.general();
    const { exchanges } = target.live.client;
    for (const nowhere of [0n, 0x1000n, 0xfffff7ffffff0000n, 0x8000000000000000n])
      assert.equal((await target.memory.readPartial(virtualAddress(nowhere), 64)).length, 0);
    // The guard page below the stack, which has six.
    let below = virtualAddress(rsp & ~0xfffn);
    while ((await target.memory.readPartial(below, 1)).length > 0) below = plus(below, -pageSize);
    assert.equal(target.live.client.exchanges, exchanges);
    assert.ok(rsp - below < 7n * 4096n);
    assert.equal((await target.live.memory.readPartial(below, 8)).length, 0);
  });

  void it('is the memory of the process that the processor is in', async () => {
    const { target, machine } = session;
    const stopped = nextStop(target, ({ reason }) => reason.kind === 'code-breakpoint');
    target.breakpoints.exceptionRule = { ...target.breakpoints.exceptionRule, codeBreakpoints: true };
    await target.execution.resume();
    const answer = machine.console.command('userfault 3');
    answer.catch(() => undefined);
    const { programCounter } = await stopped;
    assert.ok(programCounter < 0x7fffffffffffn, 'it stands in user mode');
    const user = await comparedWithQemu(({ address }) => address < 0x7fffffffffffn);
    assert.ok(user >= 10 * pageSize, `${user} bytes`);
    const shared = await readMemory(target.memory, virtualAddress(0x7ffe0000n), 0x100);
    assert.deepEqual(shared, await readMemory(target.live.memory, virtualAddress(0x7ffe0000n), 0x100));
    await target.execution.resume();
    await answer;
    await target.execution.pause(limit);
  });

  void it('shows no int3 of ours, and what was written through KD', async () => {
    const { target } = session;
    const name = 'vmkdemo!VmkDemoWork';
    const watched = session.addressOf('vmkdemo!VmkDemoHammer');
    const breakpoint = await target.breakpoints.add({ place: { kind: 'function', name } });
    const [place] = breakpoint.status.kind === 'bound' ? breakpoint.status.locations : [];
    assert.ok(place);
    const before = await readMemory(target.memory, place.address, 16);
    await session.run();
    const raw = await readMemory(target.live.memory, plus(place.address, 64), 1);
    assert.equal(raw.length, 1);
    assert.deepEqual(await readMemory(target.memory, place.address, 16), before);
    await target.memory.write(watched, Uint8Array.of(1, 2, 3, 4));
    assert.deepEqual(await readMemory(target.memory, watched, 4), Uint8Array.of(1, 2, 3, 4));
    await target.live.memory.write(watched, Uint8Array.of(0, 0, 0, 0));
    assert.deepEqual(
      await readMemory(target.memory, watched, 4),
      new Uint8Array(4),
      'not even past the cache',
    );
    await target.breakpoints.remove(breakpoint);
    assert.deepEqual(session.errors, []);
  });

  void it(
    'is never written from here',
    { skip: process.platform !== 'linux' && 'not on Debian: needs /proc' },
    () => {
      const flags = descriptorFlags(session.machine.ramFile);
      assert.ok(flags.length >= 1);
      // O_RDONLY is 0 in the lowest two bits; QEMU alone writes.
      for (const flag of flags) assert.equal(flag & 3, 0);
    },
  );
});

void describe('processors in two processes', () => {
  void it('each have their own', async () => {
    const { folder, remove } = temporaryFolder();
    const machine = await bootDemoKernel({ memoryMiB, cpus: 2 });
    const session = await debug(machine, folder, { guestRam: ramOf(machine) });
    try {
      const { target } = session;
      target.breakpoints.exceptionRule = { ...target.breakpoints.exceptionRule, codeBreakpoints: true };
      const stopped = nextStop(target, ({ reason }) => reason.kind === 'code-breakpoint');
      await target.execution.resume();
      machine.console.command('userfault 3').catch(() => undefined);
      const { programCounter, processor } = await stopped;
      const [own, other] = [target.processors[processor]!, target.processors[1 - processor]!];
      const bytes = await readMemory(own.memory, programCounter, 16);
      assert.deepEqual(bytes, await readMemory(target.live.memory, programCounter, 16));
      const mapped = (index: number): Promise<boolean> => isMapped(machine, programCounter, index);
      // As QEMU has it: the other one is in a process that does not have this page.
      assert.deepEqual([await mapped(own.number), await mapped(other.number)], [true, false]);
      const seen = await other.memory.readPartial(programCounter, 16);
      assert.equal(seen.length, 0);
      await assert.rejects(other.memory.write!(programCounter, bytes), { code: 'target-unsupported' });
      const { kernelBase } = target.live.stopped.version;
      const header = await readMemory(other.memory, kernelBase, 64);
      assert.deepEqual(header, await readMemory(own.memory, kernelBase, 64));
    } finally {
      await session.end();
      remove();
    }
  });
});

async function isMapped(machine: DemoMachine, address: VirtualAddress, index: number): Promise<boolean> {
  const line = `gva2gpa 0x${address.toString(16)}`;
  return /gpa/.test(
    String(await machine.qmp('human-monitor-command', { 'command-line': line, 'cpu-index': index })),
  );
}

function descriptorFlags(file: string): number[] {
  const flags: number[] = [];
  for (const descriptor of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${descriptor}`) !== file) continue;
      const text = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8');
      flags.push(Number.parseInt(/flags:\s*(\d+)/.exec(text)![1]!, 8));
    } catch {
      // That of the listing itself.
    }
  }
  return flags;
}
