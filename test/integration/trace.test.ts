/** `vmkd trace`: a session that was recorded is played again, to a debugger as the target and to a target as the debugger. */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { Bridge } from '../fixtures/bridge';
import { buildCli, vmkd } from '../fixtures/cli';
import { tempFolder } from '../fixtures/tempFolder';
import { attach, breakIn, go, read, version } from '../fixtures/windbg';
import {
  bootDemoKernel,
  withParentDeathSignal,
  type DemoKernelOptions,
  type DemoMachine,
} from '../kernel/machine';

before(buildCli);

const limit = 60_000;

async function boot(t: TestContext, options: DemoKernelOptions = {}): Promise<DemoMachine> {
  const machine = await bootDemoKernel(options);
  t.after(() => machine.stop());
  return machine;
}

async function probe(link: string, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await vmkd(['probe', link, '--json', '--wait', '30', ...args], limit);
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** What it says at its end. */
async function outputOf(child: ChildProcess): Promise<string> {
  let all = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (bytes: Buffer) => (all += bytes.toString()));
  await once(child, 'close');
  return all;
}

void describe('vmkd trace', () => {
  void it('plays the target that was recorded: another probe reports what the first did', async (t) => {
    const machine = await boot(t);
    const folder = tempFolder(t);
    const file = path.join(folder, 'probe.trace');
    // Which way memory came is the computer's doing, not the kernel's.
    const { link: _, memory: _way, ...recorded } = await probe(machine.kdLink, '--trace', file);
    const socket = path.join(folder, 'replayed');
    const [command, args] = withParentDeathSignal(process.execPath, [
      ...['dist/vmkd.js', 'trace', file, '--as-target', `unix-listen:${socket}`],
    ]);
    const replay = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => replay.kill());
    const said = outputOf(replay);
    const { link: __, memory: __way, ...replayed } = await probe(`unix:${socket}`);
    assert.deepEqual(replayed, recorded);
    assert.match(await said, /^1 stops told, \d\d+ requests answered\. The recording was at its end\.\n$/);
  });

  void it('plays the debugger that was recorded: the same kernel answers the same, another does not', async (t) => {
    const machine = await boot(t, { kaslrSeed: 1 });
    const file = path.join(tempFolder(t), 'probe.trace');
    await probe(machine.kdLink, '--leave-stopped', '--trace', file);
    const again = await vmkd(['trace', file, '--as-debugger', machine.kdLink], limit);
    assert.match(again.stdout, /^\d\d+ answers are what they were, 0 are not\n$/);
    assert.equal(again.code, 0);
    const other = await boot(t, { kaslrSeed: 2 });
    const { code, stdout } = await vmkd(['trace', file, '--as-debugger', other.kdLink], limit);
    assert.match(stdout, /^another stop\n {2}from byte \d+ on/);
    assert.match(stdout, /another answer to StateManipulate GetVersion/);
    assert.equal(code, 1);
  });

  void it('has what went by mailbox, and what passed the pipe', async (t) => {
    const machine = await boot(t, { guestModule: 'boot' });
    const folder = tempFolder(t);
    const [kernel, pipe] = [path.join(folder, 'kernel.trace'), path.join(folder, 'pipe.trace')] as const;
    const bridge = new Bridge(machine.kdLink, folder, ['--trace', kernel, '--pipe-trace', pipe]);
    t.after(() => bridge.end());
    await bridge.said(/the kernel runs/);
    const windbg = await bridge.debugger();
    await go(windbg, await attach(windbg));
    await bridge.said(/packets go by mailbox/);
    const stop = await breakIn(windbg);
    const { kernelBase } = await version(windbg);
    await read(windbg, kernelBase, 0x500);
    await go(windbg, stop);
    await bridge.end();
    const words = async (file: string): Promise<string> => (await vmkd(['trace', file])).stdout;
    const [byKernel, byPipe] = [await words(kernel), await words(pipe)];
    // The break-in of that stop, and the stop itself: without acknowledgements, as the mailbox has it.
    assert.match(
      byKernel,
      /→ break-in\n.*← 8080000[01] StateChange64 exception 80000003.*\n.*→ 8080000[01] StateManipulate/,
    );
    assert.match(byPipe, /→ 8080000[01] .*ReadVirtualMemory .*\n.*← 8080000[01] .*ReadVirtualMemory/s);
    for (const text of [byKernel, byPipe])
      assert.doesNotMatch(text, /damaged|belong to no packet|never ended/);
  });
});
