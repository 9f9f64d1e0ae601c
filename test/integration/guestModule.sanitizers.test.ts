/**
 * The parts of native/guest that do not need a kernel, for x64 and for x86, under the address and undefined-behaviour sanitizers, against hostile
 * images and hosts, and against an honest host in bad health: test/fixtures/guestModule/check.c.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { virtualAddress } from '../../src/engine/core/addresses';
import { openDisassembler } from '../../src/engine/cpu/disassembler';
import { seedFromEnvironment } from '../fixtures/random';
import { temporaryFolder } from '../fixtures/tempFolder';

const soak = process.env['VMKD_SOAK'] === 'full';
const checks = {
  pe: [soak ? 2_000_000 : 100_000, 'damaged images are read, and no byte beside them'],
  detour: [soak ? 20_000_000 : 1_000_000, 'functions of random bytes are copied whole or not at all'],
  ring: [soak ? 2_000_000 : 50_000, 'damaged messages are refused, sound ones are not'],
  hostile: [soak ? 3_000_000 : 100_000, 'whatever a host writes, every call ends, and soon'],
  honest: [
    soak ? 3_000_000 : 200_000,
    'each packet arrives once, however often its host comes, goes, and dies',
  ],
  racing: [200_000, 'nor does it matter what guest and host do at the same time'],
  announce: [1, 'VMware hears where the mailbox is'],
} as const;

const { folder, remove } = temporaryFolder();

interface Build {
  readonly program: string;
  readonly flags: readonly string[];
  readonly images: readonly string[];
  /** Why its code cannot run here. */
  readonly skip: false | string;
}
const demo = ['kdcom.dll', 'ntoskrnl.exe', 'vmkdemo.sys', 'vmkd.sys'];
const builds: Readonly<Record<'x64' | 'x86', Build>> = {
  x64: {
    program: join(folder, 'check64'),
    flags: ['-m64'],
    images: demo.map((name) => `build/kernel/images/${name}`),
    skip: false,
  },
  x86: {
    program: join(folder, 'check32'),
    flags: ['-m32'],
    images: [join(folder, 'kdcom.dll'), join(folder, 'guest', 'x86', 'vmkd.sys')],
    skip: process.platform !== 'linux' && 'not on Debian: no code of x86 runs here',
  },
};

before(() => {
  buildKdcomX86();
  run(process.execPath, ['native/guest/build.mjs', '--out', join(folder, 'guest'), '--quiet']);
  const sources = ['crc', 'ring', 'link', 'pe', 'detour', 'monitor'].map((name) => `native/guest/${name}.c`);
  const strict = ['-std=gnu17', '-O1', '-g', '-Wall', '-Wextra', '-Werror'];
  const common = [...strict, '-fno-strict-aliasing', '-pthread'];
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  for (const { program, flags, skip } of Object.values(builds)) {
    if (skip !== false) continue;
    run('gcc', [
      ...[...flags, ...common, ...sanitizers, '-o', program],
      ...['test/fixtures/guestModule/check.c', ...sources],
    ]);
  }
});

after(remove);

function run(tool: string, args: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync(tool, args, { encoding: 'utf8', input });
  assert.equal(status, 0, stderr);
}

/** As far as PE headers and exports go. The demo kernel is there for x64 only. */
function buildKdcomX86(): void {
  const exports = { KdSendPacket: 4, KdReceivePacket: 5 };
  const code = Object.entries(exports).map(
    ([name, count]) =>
      `void __stdcall ${name}(${Array.from({ length: count }, (_, i) => `int a${i}`).join()}) {}`,
  );
  const object = join(folder, 'kdcom.obj');
  const target = ['--target=i686-pc-windows-msvc', '-x', 'c', '-ffreestanding'];
  run('clang', [...target, '-c', '-', '-o', object], code.join('\n'));
  const exported = Object.entries(exports).map(([name, count]) => `/export:${name}=_${name}@${4 * count}`);
  run('lld-link', [
    ...['/dll', '/noentry', '/nodefaultlib', '/machine:x86', '/safeseh:no', '/subsystem:native'],
    ...[...exported, `/out:${join(folder, 'kdcom.dll')}`, object],
  ]);
}

for (const [machine, { program, images, skip }] of Object.entries(builds)) {
  for (const [mode, [rounds, sentence]] of Object.entries(checks)) {
    test(`${machine}: ${sentence}`, { skip }, (t) => {
      const seed = seedFromEnvironment();
      t.diagnostic(`seed ${seed}`);
      const { status, signal, stdout, stderr } = spawnSync(
        program,
        [mode, String(seed), String(rounds), ...(mode === 'pe' ? images : [])],
        { encoding: 'utf8', env: { ...process.env, ASAN_OPTIONS: 'handle_segv=0' } },
      );
      assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' }, `seed ${seed}`);
      if (stdout !== '') t.diagnostic(stdout.trim());
    });
  }
}

test('what is copied of a function is whole instructions that do the same in their new place', async (t) => {
  const seed = seedFromEnvironment();
  const rounds = soak ? 3_000_000 : 200_000;
  const { stdout } = spawnSync(builds.x64.program, ['copies', String(seed), String(rounds)], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  const [address, copyAddress] = [0xfffff80000001000n, 0xfffff80012345678n].map(virtualAddress);
  const machines = { 64: await openDisassembler('x64'), 32: await openDisassembler('x86') };
  const lines = stdout.trim().split('\n');
  for (const line of lines) {
    const [bits, code, copy] = line.split(' ');
    const [before, now] = [code!, copy!].map((hex) => Buffer.from(hex, 'hex'));
    const disassembler = machines[bits as unknown as 32 | 64];
    const original = disassembler.disassemble(before!, address!);
    assert.ok(
      original.every(({ status }) => status === 'whole'),
      `seed ${seed}: ${line}: ${original.map(({ text }) => text).join('; ')}`,
    );
    const moved = disassembler.disassemble(now!, copyAddress!);
    assert.deepEqual(
      moved.map(({ text }) => text),
      original.map(({ text }) => text),
      `seed ${seed}: ${line}`,
    );
    assert.ok(
      original.every(({ text }) => !/^(j|call|ret|loop|syscall|int)/.test(text)),
      `seed ${seed}: ${line}`,
    );
  }
  t.diagnostic(`${lines.length} of ${rounds} were copied`);
  assert.ok(lines.length > rounds / 100);
  for (const machine of Object.values(machines)) machine.dispose();
});
