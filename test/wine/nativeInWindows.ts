/**
 * Guest RAM by native code in Windows: a process named vmware-vmx.exe maps a .vmem file, and is found, read, and written
 * through a window; and pipes that only their user may open. Runs in Windows' Node (native.test.ts starts it there).
 *
 * Not here, for Wine 8 cannot: a process that may not be opened, and SeDebugPrivilege, which everybody has there.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { pageFrame, physicalAddress } from '../../src/engine/core/addresses';
import { systemClock } from '../../src/engine/core/clock';
import { VmkdError } from '../../src/engine/core/errors';
import { createEndpoint } from '../../src/engine/link/endpoint';
import type { ByteLink } from '../../src/engine/link/link';
import type { GuestRam, RamWindow } from '../../src/engine/machine/ram/guestRam';
import { fileOffset, pageSize, physicalAt } from '../../src/engine/machine/ram/layout';
import { nativePart } from '../../src/engine/core/nativeHost';
import { openGuestRam } from '../../src/engine/machine/ram/openGuestRam';
import { holeAt3GiB } from '../fixtures/physicalLayout';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { StandIn } from '../fixtures/standIn';
import { WindowChanges } from '../fixtures/windowChanges';
import { runScenarios, type Scenarios } from './scenarios';

const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;
const layout = holeAt3GiB(5 * gibibyte);
const stride = 64 * mebibyte;
/** The stand-in copies the first to the second. */
const [ping, pong] = [0x1000, 0x2000];

const toEnd: (() => unknown)[] = [];

const fails =
  (code: string, message = /./) =>
  (thrown: unknown) =>
    thrown instanceof VmkdError && thrown.code === code && message.test(thrown.message);

function read(ram: GuestRam, at: number, length: number): Buffer {
  const into = Buffer.alloc(length);
  ram.read([{ address: physicalAddress(BigInt(at)), length }], into);
  return into;
}

/** A sparse file that has its offset at each stride. */
function memoryFile(name: string, bytes: number): string {
  const file = openSync(name, 'w+');
  ftruncateSync(file, bytes);
  const word = Buffer.alloc(8);
  for (let offset = 0; offset < bytes; offset += stride) {
    word.writeBigUInt64LE(BigInt(offset));
    writeSync(file, word, 0, 8, offset);
  }
  closeSync(file);
  return resolve(name);
}

/** Bytes of a file, by another way than its mapping. */
function fileBytes(name: string, at: number, length: number): Buffer {
  const file = openSync(name, 'r');
  const bytes = Buffer.alloc(length);
  readSync(file, bytes, 0, length, at);
  closeSync(file);
  return bytes;
}

const patience = { waitMilliseconds: 20_000 };

const firstBytes = (link: ByteLink): Promise<Uint8Array> =>
  new Promise((resolve) =>
    link.attach({ onBytes: (chunk) => resolve(chunk.slice()), onClosed: () => undefined }),
  );

/** Who may do what with a pipe, as SDDL. Who asks is a client of it. */
function accessOf(pipe: string): string {
  const { status, error } = spawnSync(resolve('pipe-access.exe'), [pipe, 'access.txt'], { timeout: 20_000 });
  assert.equal(status, 0, String(error));
  return readFileSync('access.txt', 'latin1');
}

async function machine(...args: string[]): Promise<StandIn> {
  const standIn = await StandIn.start(resolve('vmware-vmx.exe'), args);
  toEnd.push(() => standIn.kill());
  return standIn;
}

function processRam(standIn: StandIn, vmem?: string, of = layout): GuestRam {
  const ram = openGuestRam({
    kind: 'process',
    pid: standIn.pid,
    layout: of,
    ...(vmem !== undefined && { vmem }),
  });
  toEnd.push(() => ram.close());
  return ram;
}

const ramFile = (path: string, bytes: number): GuestRam => {
  const ram = openGuestRam({ kind: 'file', path, layout: holeAt3GiB(bytes) });
  toEnd.push(() => ram.close());
  return ram;
};

/** Random writes and reads, compared with what they must come to. @returns the window's bytes */
function exercise(window: RamWindow, initial: Uint8Array): Uint8Array {
  const random = randomFrom(seedFromEnvironment());
  const area = Uint8Array.from(initial);
  for (let i = 0; i < 100; i++) {
    const at = random.below(window.length);
    const part = random.bytes(random.below(Math.min(window.length - at, 6000)));
    window.write(at, part);
    area.set(part, at);
    const from = random.below(window.length);
    const into = new Uint8Array(random.below(window.length - from));
    window.read(from, into);
    assert.deepEqual(into, area.slice(from, from + into.length), `seed ${random.seed}`);
  }
  window.writeU32(8188, 0xfedcba98);
  assert.equal(window.readU32(8188), 0xfedcba98);
  area.set([0x98, 0xba, 0xdc, 0xfe], 8188);
  for (const [at, length] of [
    [-1, 1],
    [window.length, 1],
    [window.length - 3, 4],
    [0.5, 1],
  ] as const)
    assert.throws(() => window.write(at, new Uint8Array(length)), fails('ram-out-of-range'));
  assert.throws(() => window.readU32(2), fails('ram-out-of-range'));
  return area;
}

async function echoes(window: RamWindow): Promise<void> {
  const changes = new WindowChanges();
  const watch = window.waiting!.watch([pong], changes.changed);
  for (let i = 1; i <= 100; i++) {
    const told = changes.next();
    window.writeU32(ping, i);
    if (i % 2 === 0) watch.hurry();
    assert.equal(await told, undefined);
    assert.equal(window.readU32(pong), i);
  }
  assert.equal(changes.count, 100);
  watch.stop();
}

export const scenarios: Scenarios = {
  'the native part is there': async () => {
    assert.equal(process.platform, 'win32');
    const part = nativePart();
    assert.equal(part.kind, 'loaded', part.kind === 'absent' ? part.reason.message : '');
  },
  'it loads in a Node that is called otherwise, as Electron’s is': async () => {
    copyFileSync(process.execPath, 'Code.exe');
    const addon = JSON.stringify(resolve('prebuilds/win32-x64/vmkd-host.napi.node'));
    const script = `process.exit(typeof require(${addon}).openProcess === 'function' ? 42 : 1)`;
    const child = spawn(resolve('Code.exe'), ['-e', script], { stdio: 'inherit' });
    assert.deepEqual(await once(child, 'exit'), [42, null]);
  },
  'a pipe that is served is its user’s and the system’s, whoever comes and goes': async () => {
    const path = `\\\\.\\pipe\\vmkd-private-${process.pid}`;
    const exposures: VmkdError[] = [];
    const onExposed = (why: VmkdError): void => void exposures.push(why);
    const listener = createEndpoint(`pipe-listen:${path}`, systemClock, { onExposed });
    toEnd.push(() => listener.dispose());
    // Node makes another instance of the pipe for each that comes.
    for (let round = 0; round < 6; round++) {
      const connector = createEndpoint(`pipe:${path}`);
      const [served, client] = await Promise.all([listener.open(patience), connector.open(patience)]);
      client.write(Uint8Array.of(round));
      assert.deepEqual(await firstBytes(served), Uint8Array.of(round));
      client.close();
      served.close();
      await connector.dispose();
    }
    const opening = listener.open(patience);
    const access = accessOf(path);
    (await opening).close();
    // Who has logged on from elsewhere; this user, whoever that is; the system. All rights, and nothing inherited.
    assert.match(
      access,
      /^D:P?(\(D;;(FA|0x1f01ff);;;NU\))?\(A;;(FA|0x1f01ff);;;(S-1-5-21-[\d-]+|LA)\)\(A;;(FA|0x1f01ff);;;SY\)$/,
    );
    assert.deepEqual(exposures, []);
  },
  'what is no pipe cannot be kept private': async () => {
    const part = nativePart();
    assert.ok(part.kind === 'loaded');
    assert.throws(() => part.host.keepPrivate('C:\\nowhere\\x'), /CreateNamedPipe/);
    assert.throws(() => part.host.keepPrivate(''), { code: 'argument' });
  },
  'a file is mapped, read, and written through a window': async () => {
    const bytes = randomFrom(7).bytes(300 * pageSize);
    writeFileSync('small.vmem', bytes);
    const ram = ramFile('small.vmem', bytes.length);
    assert.equal(ram.way, 'backing file small.vmem, mapped');
    assert.ok(read(ram, 0, bytes.length).equals(bytes));
    // Views begin at multiples of 64 KiB: pages at and off them.
    const frames = [16, 3, 299, 33];
    const window = ram.window(frames.map(pageFrame));
    const pageOf = (frame: number): Uint8Array => bytes.subarray(frame * pageSize, (frame + 1) * pageSize);
    const area = exercise(window, Buffer.concat(frames.map(pageOf)));
    frames.forEach((frame, i) => pageOf(frame).set(area.subarray(i * pageSize, (i + 1) * pageSize)));
    assert.ok(fileBytes('small.vmem', 0, bytes.length).equals(bytes));
    assert.ok(read(ram, 0, bytes.length).equals(bytes));
    window.close();
    assert.throws(() => window.readU32(0), fails('ram-lost'));
    ram.close();
    assert.throws(() => read(ram, 0, 1), fails('ram-lost'));
    assert.throws(() => ramFile('small.vmem', bytes.length + 1), fails('ram-truncated'));
    assert.throws(
      () => ramFile('none.vmem', 1),
      fails('ram-unreadable', /^none\.vmem: CreateFile: .*error 2\)/),
    );
  },
  'the machine’s mapping is found among others, by its file’s name or by its size': async () => {
    const files = [
      memoryFile('decoy.vmem', 3 * gibibyte),
      memoryFile('larger.nvram', 6 * gibibyte),
      memoryFile('Machine.vmem', layout.totalBytes),
      memoryFile('larger.vmem', 7 * gibibyte),
    ];
    const standIn = await machine(...files);
    for (const vmem of ['Q:\\elsewhere\\machine.VMEM', undefined]) {
      const ram = processRam(standIn, vmem);
      assert.match(ram.way, new RegExp(`^ReadProcessMemory of ${standIn.pid}, .*Machine\\.vmem$`, 'i'));
      ram.check();
    }
    assert.throws(
      () => processRam(standIn, 'decoy.vmem'),
      fails('ram-truncated', /decoy\.vmem has 3221225472 bytes/),
    );
    const other = processRam(standIn, undefined, holeAt3GiB(3 * gibibyte + 1));
    assert.match(other.way, /larger\.vmem$/);
  },
  'both sides of the hole are where they belong, beyond 4 GiB too': async () => {
    const standIn = await machine(memoryFile('machine.vmem', layout.totalBytes));
    const ram = processRam(standIn);
    const offsets = Array.from({ length: layout.totalBytes / stride }, (_, i) => i * stride);
    const into = Buffer.alloc(8 * offsets.length);
    ram.read(
      offsets.map((offset) => ({ address: physicalAddress(BigInt(physicalAt(layout, offset))), length: 8 })),
      into,
    );
    assert.deepEqual(
      offsets.map((_, i) => Number(into.readBigUInt64LE(8 * i))),
      offsets,
    );
    assert.equal(read(ram, 4 * gibibyte, 8).readBigUInt64LE(), BigInt(3 * gibibyte));
    assert.throws(() => read(ram, 3 * gibibyte, 8), fails('ram-out-of-range'));
    assert.throws(() => read(ram, 6 * gibibyte, 1), fails('ram-out-of-range'));
  },
  'thousands of ranges in one call': async () => {
    const bytes = randomFrom(8).bytes(4 * mebibyte);
    writeFileSync('many.vmem', bytes);
    const ram = processRam(await machine(resolve('many.vmem')), undefined, holeAt3GiB(bytes.length));
    const random = randomFrom(seedFromEnvironment());
    const ranges = Array.from({ length: 5000 }, () => {
      const at = random.below(bytes.length);
      return { at, length: Math.min(random.below(3000), bytes.length - at) };
    });
    const into = new Uint8Array(ranges.reduce((sum, { length }) => sum + length, 0));
    ram.read(
      ranges.map(({ at, length }) => ({ address: physicalAddress(BigInt(at)), length })),
      into,
    );
    const expected = Buffer.concat(ranges.map(({ at, length }) => bytes.subarray(at, at + length)));
    assert.ok(expected.equals(into), `seed ${random.seed}`);
  },
  'a window of the process writes its pages, which its file then has': async () => {
    const name = memoryFile('machine.vmem', layout.totalBytes);
    const ram = processRam(await machine(name));
    const frames = [0x140000, 7, 0x100001, 8];
    const window = ram.window(frames.map(pageFrame));
    const area = exercise(
      window,
      Buffer.concat(frames.map((frame) => read(ram, frame * pageSize, pageSize))),
    );
    for (const [i, frame] of frames.entries()) {
      const page = area.subarray(i * pageSize, (i + 1) * pageSize);
      assert.ok(read(ram, frame * pageSize, pageSize).equals(page));
      assert.ok(fileBytes(name, fileOffset(layout, frame * pageSize)!, pageSize).equals(page));
    }
    assert.throws(() => ram.window([pageFrame(0xc0000)]), fails('ram-out-of-range'));
    window.close();
  },
  'a watch sees every answer, of a process and of a file': async () => {
    writeFileSync('echo.vmem', Buffer.alloc(mebibyte));
    const standIn = await machine('echo', resolve('echo.vmem'));
    const frames = [0, 1, 2].map(pageFrame);
    await echoes(processRam(standIn, undefined, holeAt3GiB(mebibyte)).window(frames));
    const file = ramFile('echo.vmem', mebibyte).window(frames);
    file.writeU32(ping, 0);
    while (file.readU32(pong) !== 0) continue;
    await echoes(file);
    file.close();
  },
  'when the process is gone all of it is lost': async () => {
    const standIn = await machine(memoryFile('machine.vmem', layout.totalBytes));
    const ram = processRam(standIn);
    const window = ram.window([pageFrame(5)]);
    const changes = new WindowChanges();
    const told = changes.next();
    window.waiting!.watch([8], changes.changed);
    await standIn.kill();
    assert.equal((await told)?.code, 'ram-lost');
    assert.throws(() => read(ram, 0, 8), fails('ram-lost', /the process has ended/));
    assert.throws(() => ram.check(), fails('ram-lost'));
    assert.throws(() => window.write(0, new Uint8Array(8)), fails('ram-lost'));
    assert.throws(() => window.readU32(0), fails('ram-lost'));
    assert.throws(() => ram.window([pageFrame(5)]), fails('ram-lost'));
    window.close();
    ram.close();
    assert.throws(() => processRam(standIn), fails('ram-unreadable', /there is no such process/));
  },
  'a process without such a mapping: ram-unmapped': async () => {
    const standIn = await machine(memoryFile('machine.nvram', layout.totalBytes));
    assert.throws(() => processRam(standIn), fails('ram-unmapped'));
  },
};

await runScenarios(scenarios, async () => {
  for (const end of toEnd.splice(0)) await end();
});
