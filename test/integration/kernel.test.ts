// test-processors: at once
/**
 * The demo kernel on its own, with no debugger: what it claims to be, it must be, or every test on top of it proves
 * nothing. Asked through its console, and checked in the file that is its RAM.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { tempFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const childMode = 'VMKD_KERNEL_TEST_CHILD';
const eventLimitMs = 10_000;
const bootLimitMs = 3_000;
const pageSize = 0x1000n;
const sharedData = 0xfffff78000000000n;
const tickCountOffset = 0x320n;

interface Module {
  name: string;
  base: bigint;
  size: bigint;
}

async function modulesOf(machine: DemoMachine): Promise<Module[]> {
  const answer = await machine.console.command('modules');
  return answer.split('; ').map((entry) => {
    const [name, base, size] = entry.split(' ');
    assert.ok(name !== undefined && base !== undefined && size !== undefined, entry);
    return { name, base: BigInt(`0x${base}`), size: BigInt(`0x${size}`) };
  });
}

/** The numbers of an answer, by the word before each. */
function figures(answer: string): Map<string, number> {
  return new Map(
    [...answer.matchAll(/([A-Za-z]+\d*) (\d+)/g)].map(([, name, value]) => [name!, Number(value)]),
  );
}

/** Asks until the answer satisfies; each round trip is an event of the guest, so nothing is slept through. */
async function askUntil(
  machine: DemoMachine,
  command: string,
  satisfied: (answer: string) => boolean,
): Promise<string> {
  const deadline = performance.now() + eventLimitMs;
  for (;;) {
    const answer = await machine.console.command(command);
    if (satisfied(answer)) return answer;
    if (performance.now() > deadline)
      assert.fail(`after ${eventLimitMs} ms “${command}” still says: ${answer}`);
  }
}

const hexOf = (value: bigint): string => `0x${value.toString(16)}`;

async function physical(machine: DemoMachine, address: bigint): Promise<bigint> {
  return BigInt(`0x${await machine.console.command(`physical ${hexOf(address)}`)}`);
}

function readRam(machine: DemoMachine, offset: bigint, length: number): Buffer {
  const file = openSync(machine.ramFile, 'r');
  try {
    const bytes = Buffer.alloc(length);
    assert.equal(readSync(file, bytes, 0, length, Number(offset)), length);
    return bytes;
  } finally {
    closeSync(file);
  }
}

async function withMachine(
  options: DemoKernelOptions,
  use: (machine: DemoMachine) => Promise<void>,
): Promise<void> {
  const machine = await bootDemoKernel(options);
  try {
    await use(machine);
  } finally {
    await machine.stop();
  }
}

/** Milliseconds from the start of QEMU to the first byte on the KD socket. */
async function firstKdByte(): Promise<number> {
  const started = performance.now();
  const machine = await bootDemoKernel({ until: 'start' });
  const socket = connect(machine.kdLink.slice('unix:'.length));
  try {
    await once(socket, 'data', { signal: AbortSignal.timeout(eventLimitMs) });
    return performance.now() - started;
  } finally {
    socket.destroy();
    await machine.stop();
  }
}

function tests(): void {
  describe('the demo kernel without a debugger', () => {
    let machine: DemoMachine;
    before(async () => (machine = await bootDemoKernel()));
    after(() => machine.stop());

    test('time passes on both processors', async () => {
      const first = Number(await machine.console.command('ticks'));
      await askUntil(machine, 'ticks', (answer) => Number(answer) > first + 3);
      const before = await machine.console.command('cpus');
      const ticksOf = (answer: string): number[] =>
        [...answer.matchAll(/cpu\d+ ticks (\d+)/g)].map(([, ticks]) => Number(ticks));
      assert.equal(ticksOf(before).length, 2, before);
      await askUntil(machine, 'cpus', (answer) =>
        ticksOf(answer).every((ticks, i) => ticks > ticksOf(before)[i]! + 3),
      );
    });

    test('threads of the driver run on both processors and share a counter', async () => {
      const shape = /^counter (\d+) work (\d+) shared (\d+) perCpu (\d+) (\d+) 0 0 paged \d+$/;
      const numbers = (answer: string): number[] =>
        shape.exec(answer)?.slice(1).map(Number) ?? assert.fail(answer);
      const start = numbers(await machine.console.command('demo'));
      const answer = await askUntil(machine, 'demo', (now) =>
        numbers(now).every((n, i) => n > start[i]! + 2),
      );
      const [, , shared, cpu0, cpu1] = numbers(answer);
      assert.equal(shared, cpu0! + cpu1!, 'no increment is lost');
    });

    test('a user process makes system calls in ring 3', async () => {
      const callsOf = (answer: string): number => figures(answer).get('syscalls') ?? assert.fail(answer);
      const start = callsOf(await machine.console.command('user'));
      await askUntil(machine, 'user', (answer) => callsOf(answer) > start + 20);
      const processes = await machine.console.command('processes');
      const tables = [...processes.matchAll(/dtb ([0-9a-f]+)/g)].map(([, dtb]) => dtb);
      assert.match(processes, /^System pid 4 .*vmkuser\.exe pid \d+ /);
      assert.equal(new Set(tables).size, 2, 'each has its own page tables');
    });

    test('the second driver comes and goes', async () => {
      for (let round = 0; round < 3; round++) {
        assert.equal(await machine.console.command('load'), 'loaded');
        await assert.rejects(machine.console.command('load'), /c000010e/);
        assert.ok((await modulesOf(machine)).some(({ name }) => name === 'vmkondem.sys'));
        assert.equal(await machine.console.command('unload'), 'unloaded');
        assert.ok(!(await modulesOf(machine)).some(({ name }) => name === 'vmkondem.sys'));
        await assert.rejects(machine.console.command('unload'), /c0000034/);
      }
    });

    test('coming and going costs no memory', async () => {
      const available = async (): Promise<number> =>
        figures(await machine.console.command('memory')).get('available') ?? assert.fail();
      await machine.console.command('load');
      await machine.console.command('unload');
      const start = await available();
      for (let round = 0; round < 20; round++) {
        await machine.console.command('load');
        await machine.console.command('unload');
      }
      // Page tables for new random addresses stay; the driver's own pages and stacks must not.
      assert.ok(start - (await available()) <= 20 * 3, 'at most three page tables a load');
    });

    test('pageable code is out, comes in when called, and goes out again', async () => {
      await machine.console.command('trim');
      assert.equal(await machine.console.command('paged 1'), '2304, was paged out');
      assert.equal(await machine.console.command('paged 1'), '2304, was present');
      assert.equal(await machine.console.command('trim'), '2 pages');
      assert.equal(await machine.console.command('paged 2'), `${5 * 7 * 9 * 13}, was paged out`);
    });

    test('an exception finds its handler through a trap frame, and stacks end where threads begin', async () => {
      assert.equal(await machine.console.command('crash handled'), 'handled c0000005');
      const frames = (await machine.console.command('stack')).split(' ').map((frame) => BigInt(`0x${frame}`));
      const [kernel] = await modulesOf(machine);
      assert.ok(kernel !== undefined && frames.length >= 3, frames.map(hexOf).join(' '));
      for (const frame of frames) assert.ok(frame > kernel.base && frame < kernel.base + kernel.size);
    });

    test('the RAM file is the guest’s memory', async () => {
      for (const { name, base, size } of await modulesOf(machine)) {
        assert.equal(base % pageSize, 0n);
        const header = readRam(machine, await physical(machine, base), 2).toString('latin1');
        assert.equal(header, 'MZ', `${name} at ${hexOf(base)}`);
        const last = base + size - pageSize;
        const answer = await machine.console.command(`peek ${hexOf(last)}`);
        assert.equal(
          readRam(machine, await physical(machine, last), 8).readBigUInt64LE(),
          BigInt(`0x${answer}`),
        );
      }
      const ticksAt = await physical(machine, sharedData + tickCountOffset);
      const inFile = (): number => readRam(machine, ticksAt, 4).readUInt32LE();
      const [low, high] = [inFile(), Number(await machine.console.command('ticks'))];
      assert.ok(
        low <= high && inFile() >= high,
        'the tick count in the file is the one that the kernel says',
      );
      assert.equal(readRam(machine, (await physical(machine, sharedData)) + 0x260n, 4).readUInt32LE(), 19041);
    });

    test('unmapped addresses are refused, not touched', async () => {
      await assert.rejects(machine.console.command('peek 0x8000000000000000'), /not readable/);
      await assert.rejects(machine.console.command('peek 0x10'), /not readable/);
    });

    test('help names every command and knows each', async () => {
      for (const name of (await machine.console.command('help')).split(' ')) {
        assert.ok((await machine.console.command(`help ${name}`)).startsWith(name), name);
      }
    });

    test('a reset boots it again', async () => {
      await askUntil(machine, 'ticks', (answer) => Number(answer) > 64);
      await machine.reset();
      assert.ok(Number(await machine.console.command('ticks')) < 64);
    });
  });

  describe('the demo kernel, other machines', () => {
    for (const cpus of [1, 4]) {
      test(`${cpus} processors`, () =>
        withMachine({ cpus, cmdline: 'nodebug' }, async (machine) => {
          const answer = await machine.console.command('cpus');
          assert.equal(answer.split('; ').length, cpus, answer);
          await askUntil(machine, 'demo', (demo) => {
            const counts = /perCpu ([\d ]+) paged/.exec(demo)?.[1]?.split(' ').map(Number) ?? [];
            return counts.slice(0, cpus).every((count) => count > 2);
          });
        }));
    }

    test('q35 with memory above the hole', () =>
      withMachine({ machine: 'q35', memoryMiB: 3072, cmdline: 'nodebug' }, async (machine) => {
        const pages = figures(await machine.console.command('memory')).get('pages');
        assert.ok(pages !== undefined && pages > 3000 * 256, `${pages} pages`);
        assert.match(await machine.console.command('load'), /loaded/);
      }));

    test('a seed repeats where images land, and no seed means elsewhere', async () => {
      const bases = async (kaslrSeed?: number | 'off'): Promise<string> => {
        let found = '';
        await withMachine(
          { cmdline: 'nodebug', ...(kaslrSeed === undefined ? {} : { kaslrSeed }) },
          async (machine) => {
            found = (await modulesOf(machine)).map(({ base }) => hexOf(base)).join(' ');
          },
        );
        return found;
      };
      assert.equal(await bases(7), await bases(7));
      assert.match(await bases('off'), /^0xfffff80000200000 /);
      assert.notEqual(await bases(), await bases());
    });

    test('a renamed kernel is the kernel', () =>
      withMachine({ kernelName: 'ntkrnlmp.chk', cmdline: 'nodebug' }, async (machine) => {
        assert.equal((await modulesOf(machine))[0]?.name, 'ntkrnlmp.chk');
        assert.equal(await machine.console.command('load'), 'loaded');
      }));

    const stops: [string, RegExp][] = [
      ['bugcheck 0xdead 1 2 3 4', /0x0000dead \(0x0{15}1,0x0{15}2,0x0{15}3,0x0{15}4\)/],
      ['crash', /0x0000001e \(0xffffffffc0000005,0x[0-9a-f]{16},0x0{15}1,0x0{14}10\)/],
      ['crash system', /0x00000050 \(0xfffff00000000010,/],
      ['undefined', /0x0000001e \(0xffffffffc000001d,/],
      ['protection', /0x0000001e \(0xffffffffc0000005,0x[0-9a-f]{16},0x0{16},0xf{16}\)/],
      ['overflow', /0x0000007f \(0x0{15}8,/],
    ];
    for (const [command, expected] of stops) {
      test(`${command}: a blue screen`, () =>
        withMachine({ cmdline: 'nodebug' }, async (machine) => {
          const answer = assert.rejects(machine.console.command(command), /ended/);
          assert.match(await machine.console.waitFor(/\*\*\* STOP/), expected);
          await machine.stop();
          await answer;
        }));
    }

    for (const [kind, code] of [
      [1, 'c0000005'],
      [2, 'c0000096'],
      [3, '80000003'],
    ] as const) {
      test(`a user process that raises ${code} ends, and gives its memory back`, () =>
        withMachine({ cmdline: 'nodebug' }, async (machine) => {
          const available = async (): Promise<number> =>
            figures(await machine.console.command('memory')).get('available') ?? 0;
          const before = await available();
          await machine.console.command(`userfault ${kind}`);
          await machine.console.waitFor(
            new RegExp(`^user exception ${code} at [0-9A-F]{16}: the process ends$`),
          );
          await askUntil(machine, 'processes', (answer) => !answer.includes('vmkuser.exe'));
          await askUntil(
            machine,
            'memory',
            (answer) => (figures(answer).get('available') ?? 0) > before + 10,
          );
          await assert.rejects(machine.console.command('user'), /no user process/);
        }));
    }

    test('a non-maskable interrupt that nobody in the kernel sent is a hardware failure', () =>
      withMachine({ cmdline: 'nodebug' }, async (machine) => {
        await machine.qmp('inject-nmi');
        assert.match(await machine.console.waitFor(/\*\*\* STOP/), /0x00000080 /);
      }));

    test('a non-maskable interrupt in the middle of a console line gets its blue screen out', async () => {
      for (let round = 0; round < 6; round++) {
        await withMachine({ cmdline: 'nodebug' }, async (machine) => {
          // A hundred long answers in a row: nearly all the time goes into writing, with the console's lock held.
          await machine.console.command('help\n'.repeat(100));
          await machine.qmp('inject-nmi');
          assert.match(await machine.console.waitFor(/\*\*\* STOP/), /STOP: 0x0{6}80 /);
        });
      }
    });

    test('speaks KD less than 3 s after the start of QEMU', async () => {
      const millis: number[] = [];
      while (millis.length < 3 && Math.min(...millis) >= bootLimitMs) millis.push(await firstKdByte());
      assert.ok(Math.min(...millis) < bootLimitMs, `${millis.map(Math.round).join(', ')} ms`);
    });

    test('reboot resets the machine', () =>
      withMachine({ cmdline: 'nodebug', noReboot: true }, async (machine) => {
        assert.equal(await machine.console.command('reboot'), 'rebooting');
        assert.equal((await machine.exited).code, 0);
      }));
  });

  describe('the machine', () => {
    test('is gone after stop, with all its files', async () => {
      const machine = await bootDemoKernel({ cmdline: 'nodebug' });
      assert.ok(existsSync(machine.ramFile));
      await machine.stop();
      assert.ok(!existsSync(machine.ramFile) && !existsSync(machine.kdLink.slice('unix:'.length)));
      assert.throws(() => process.kill(machine.pid, 0), { code: 'ESRCH' });
      await assert.rejects(machine.console.command('ticks'), /ended/);
      await assert.rejects(machine.qmp('query-status'), { code: 'machine-monitor-lost' });
    });

    test('that cannot start says what QEMU said', async () => {
      await assert.rejects(bootDemoKernel({ qemuArgs: ['-device', 'no-such-device'] }), /no-such-device/);
    });

    test('whose loader fails says so at once', async (t) => {
      const image = join(tempFolder(t), 'text.sys');
      writeFileSync(image, 'not an image');
      await assert.rejects(bootDemoKernel({ drivers: [image] }), /loader: cannot start: text\.sys/);
    });

    test('dies with its parent', { skip: process.platform !== 'linux' && 'setpriv is Linux’s' }, async () => {
      const child = spawn(process.execPath, [process.argv[1]!], {
        env: { ...process.env, [childMode]: '1' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [pid, ...files] = await new Promise<[number, string, string]>((resolve, reject) => {
        let text = '';
        const timer = setTimeout(() => reject(new Error(`the child said only: ${text}`)), 60_000);
        child.stdout.on('data', (bytes: Buffer) => {
          text += bytes.toString();
          const match = /machine (\d+) (\S+) unix:(\S+)\n/.exec(text);
          if (match === null) return;
          clearTimeout(timer);
          resolve([Number(match[1]), match[2]!, match[3]!]);
        });
      });
      child.kill('SIGKILL');
      await ended(pid);
      // A killed process cleans nothing up; the next machine of this user does, after a while.
      for (const file of files) rmSync(dirname(file), { recursive: true, force: true });
    });
  });

  test('the PDB describes NT’s types', async () => {
    await withMachine({ cmdline: 'nodebug' }, async ({ imagesDir }) => {
      const pdb = readFileSync(join(imagesDir, 'ntoskrnl.pdb'));
      for (const name of [
        '_EPROCESS',
        '_ETHREAD',
        '_KPCR',
        '_KPRCB',
        '_KTRAP_FRAME',
        '_KLDR_DATA_TABLE_ENTRY',
      ]) {
        assert.ok(pdb.includes(`${name}\0`), name);
      }
    });
  });
}

/** Resolves when no process has this id; the system tells nobody but the parent, so it is asked. */
async function ended(pid: number): Promise<void> {
  const deadline = performance.now() + eventLimitMs;
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    if (performance.now() > deadline)
      assert.fail(`process ${pid} is alive ${eventLimitMs} ms after its parent`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function beParent(): Promise<void> {
  const machine = await bootDemoKernel({ cmdline: 'nodebug' });
  process.stdout.write(`machine ${machine.pid} ${machine.ramFile} ${machine.kdLink}\n`);
  await machine.exited;
}

if (process.env[childMode] === '1') await beParent();
else tests();
