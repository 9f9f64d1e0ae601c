/** `vmkd bridge` in front of a real kernel, with a scripted debugger on its pipe, through the day. */

import assert from 'node:assert/strict';
import { existsSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { virtualAddress } from '../../src/engine/core/addresses';
import { continueApi } from '../../src/engine/kd/manipulate/execution';
import { writeVirtualMemory } from '../../src/engine/kd/manipulate/memory';
import { readManipulateHead } from '../../src/engine/kd/manipulate/message';
import { getVersion } from '../../src/engine/kd/manipulate/version';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { decodeStateChange } from '../../src/engine/kd/stateChange';
import { Bridge } from '../fixtures/bridge';
import { buildCli, vmkd } from '../fixtures/cli';
import type { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { tempFolder } from '../fixtures/tempFolder';
import { attach, breakIn, go, nextEvent, read, version } from '../fixtures/windbg';
import { ticksGrow } from '../fixtures/guestLife';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const limit = 30_000;

before(buildCli);

interface Bridged {
  readonly machine: DemoMachine;
  readonly bridge: Bridge;
  readonly folder: string;
}

async function bridged(
  t: TestContext,
  kernel: DemoKernelOptions = {},
  args: readonly string[] = [],
): Promise<Bridged> {
  const folder = tempFolder(t);
  const machine = await bootDemoKernel(kernel);
  t.after(() => machine.stop());
  const bridge = new Bridge(machine.kdLink, folder, args);
  t.after(() => bridge.end());
  await bridge.said(/the kernel (runs|stands)/);
  return { machine, bridge, folder };
}

/** Goes on from the notices of modules until it is told to end. */
function takeNotices(windbg: ScriptedDebugger): { end(): Promise<string[]> } {
  let ending = false;
  const work = async (): Promise<string[]> => {
    for (const names: string[] = []; ;) {
      await windbg.until(() => ending || windbg.pending > 0, 'a notice', limit);
      if (windbg.pending === 0) return names;
      const stop = decodeStateChange(await windbg.nextStop());
      assert.equal(stop.kind, 'loadSymbols');
      names.push(path.win32.basename(stop.path));
      await go(windbg, stop);
    }
  };
  const done = work();
  return {
    end: () => {
      ending = true;
      windbg.wake();
      return done;
    },
  };
}

async function appears(file: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (!existsSync(file)) return;
      watcher.close();
      resolve();
    };
    const watcher = watch(path.dirname(file), look);
    look();
  });
}

void describe('the bridge', () => {
  void it('lets a debugger stop, look at, step and leave the kernel; memory comes from guest RAM', async (t) => {
    const all = await bridged(t);
    const { bridge, folder } = all;
    assert.equal(statSync(path.join(folder, 'pipe')).mode & 0o777, 0o600);
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    assert.equal(stop.kind, 'exception');
    await bridge.said(/memory is read from the backing file/);
    const { kernelBase } = await version(windbg);
    const header = Buffer.from(await read(windbg, kernelBase, 3944));
    assert.equal(header.toString('latin1', 0, 2), 'MZ');
    await go(windbg, stop, 1);
    const stepped = await nextEvent(windbg);
    assert.notEqual(stepped.programCounter, stop.programCounter);
    await go(windbg, stepped);
    await ticksGrow(all.machine, limit);
    await go(windbg, await breakIn(windbg));
    await ticksGrow(all.machine, limit);
    windbg.close();
    await bridge.said(/the debugger on the pipe is gone/);
    await ticksGrow(all.machine, limit);
    const again = await bridge.debugger();
    await go(again, await attach(again));
    await ticksGrow(all.machine, limit);
    assert.equal(await bridge.end(), 0);
    assert.ok(!existsSync(path.join(folder, 'pipe')));
    await ticksGrow(all.machine, limit);
  });

  void it('A6 tells a second debugger why not, and the first does not notice', async (t) => {
    const { bridge } = await bridged(t);
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    const second = await bridge.debugger();
    await second.until(() => second.ended !== undefined, 'its end', limit, false);
    assert.deepEqual(second.prints, ['vmkd: another debugger is attached to this pipe\n']);
    assert.ok(second.ended);
    assert.equal((await version(windbg)).machineType, 0x8664);
    await go(windbg, stop);
  });

  void it('G1 a reset of the guest is a good-bye, and the next kernel comes by itself', async (t) => {
    const all = await bridged(t);
    const { machine, bridge } = all;
    const windbg = await bridge.debugger();
    const before = await attach(windbg);
    const { kernelBase } = await version(windbg);
    await go(windbg, before);
    const reset = machine.reset();
    const goodBye = await nextEvent(windbg);
    assert.equal(goodBye.kind, 'targetGone');
    await go(windbg, goodBye);
    // Its modules come one by one, and each notice is taken.
    const notices = takeNotices(windbg);
    await reset;
    for (const name of ['ntoskrnl.exe', 'kdcom.dll', 'vmkdemo.sys'])
      assert.ok((await notices.end()).includes(name), name);
    const stop = await breakIn(windbg);
    assert.equal(stop.kind, 'exception');
    assert.notEqual((await version(windbg)).kernelBase, kernelBase);
    await go(windbg, stop);
    await ticksGrow(all.machine, limit);
  });

  void it('G1 G2 power-off is a good-bye, at once or when the debugger goes on', async (t) => {
    for (const atStop of [false, true]) {
      const { machine, bridge } = await bridged(t);
      const windbg = await bridge.debugger();
      const stop = await attach(windbg);
      if (!atStop) await go(windbg, stop);
      await machine.stop();
      await bridge.said(/link-lost/);
      if (atStop) {
        const reply = await windbg.request(windbg.compose(getVersion));
        assert.equal(readManipulateHead(reply).returnStatus, NtStatus.Unsuccessful);
        await windbg.order(windbg.compose(continueApi, { continueStatus: NtStatus.DbgContinue }));
      }
      assert.equal((await nextEvent(windbg)).kind, 'targetGone');
      await bridge.end();
    }
  });

  void it('G4 the guest may come last, and come back', async (t) => {
    const folder = tempFolder(t);
    const port = path.join(folder, 'port');
    const bridge = new Bridge(`unix-listen:${port}`, folder);
    t.after(() => bridge.end());
    const windbg = await bridge.debugger();
    for (let boot = 0; boot < 2; boot++) {
      await appears(port);
      const machine = await bootDemoKernel({ kd: { kind: 'unix-client', path: port }, until: 'start' });
      t.after(() => machine.stop());
      windbg.breakIn();
      const stop = await nextEvent(windbg);
      assert.equal(stop.kind, 'exception');
      assert.equal((await version(windbg)).machineType, 0x8664);
      await go(windbg, stop);
      await machine.stop();
      const goodBye = await nextEvent(windbg);
      assert.equal(goodBye.kind, 'targetGone');
      await go(windbg, goodBye);
    }
  });

  void it('H1 H3 the terminal takes the kernel and gives it back, by keys', async (t) => {
    const all = await bridged(t);
    const { bridge } = all;
    const windbg = await bridge.debugger();
    await go(windbg, await attach(windbg));
    bridge.press('h');
    await bridge.said(/this terminal drives/);
    windbg.breakIn();
    await bridge.said(/wants the kernel to stop/);
    await ticksGrow(all.machine, limit);
    bridge.press('b');
    await bridge.said(/stopped: exception/);
    const shown = await nextEvent(windbg);
    assert.equal(shown.kind, 'exception');
    const { kernelBase } = await version(windbg);
    await read(windbg, kernelBase, 64);
    const write = windbg.compose(
      writeVirtualMemory,
      { address: virtualAddress(kernelBase) },
      Uint8Array.of(1),
    );
    assert.equal(readManipulateHead(await windbg.request(write)).returnStatus, NtStatus.Unsuccessful);
    bridge.press('g');
    await bridge.said(/the kernel runs/, 2);
    await ticksGrow(all.machine, limit);
    await windbg.order(windbg.compose(continueApi, { continueStatus: NtStatus.DbgContinue }));
    bridge.press('b');
    await bridge.said(/stopped: exception/, 2);
    const stop = await nextEvent(windbg);
    bridge.press('h');
    await bridge.said(/the debugger on the pipe drives/);
    await go(windbg, stop);
    await ticksGrow(all.machine, limit);
    bridge.press('q');
    assert.equal(await bridge.exited, 0);
  });

  void it('records what passes, on either side', async (t) => {
    const folder = tempFolder(t);
    const [kernel, pipe] = [path.join(folder, 'kernel.trace'), path.join(folder, 'pipe.trace')] as const;
    const { bridge } = await bridged(t, {}, ['--trace', kernel, '--pipe-trace', pipe]);
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    await version(windbg);
    await go(windbg, stop);
    await bridge.end();
    for (const file of [kernel, pipe]) {
      const { code, stdout } = await vmkd(['trace', file]);
      assert.equal(code, 0);
      assert.match(stdout, /→ .*GetVersion/);
      assert.match(stdout, /← .*GetVersion 0x00000000 \(Success\).*minorVersion \d+/);
      assert.match(stdout, /← .*StateChange64 exception 80000003/);
    }
  });

  void it('lets the kernel run when it is ended at a stop, and takes breakpoints out', async (t) => {
    const all = await bridged(t);
    const windbg = await all.bridge.debugger();
    await attach(windbg);
    assert.equal(await all.bridge.end(), 0);
    await ticksGrow(all.machine, limit);
  });
});
