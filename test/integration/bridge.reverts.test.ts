// test-limit: 300 s
/** A machine that is taken back to a snapshot while its link stays: the kernel says nothing of it, guest RAM does. */

import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import { readManipulateHead } from '../../src/engine/kd/manipulate/message';
import { getVersion } from '../../src/engine/kd/manipulate/version';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { Bridge } from '../fixtures/bridge';
import { buildCli } from '../fixtures/cli';
import { parked, ticksGrow } from '../fixtures/guestLife';
import { monitorsIn } from '../fixtures/monitors';
import type { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { snapshotArgs, takeBack, takeSnapshot } from '../fixtures/snapshots';
import { tempFolder } from '../fixtures/tempFolder';
import {
  attach,
  breakIn,
  go,
  hearsTheEnd,
  nextEvent,
  read,
  version,
  waitAsLookerOn,
} from '../fixtures/windbg';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const limit = 60_000;
/** Ticks. How far a machine is taken back here: it is looked at four times a second. */
const aWhile = 64;

before(buildCli);

async function bridged(t: TestContext, kernel: DemoKernelOptions = {}, args: readonly string[] = []) {
  const folder = tempFolder(t);
  const machine = await bootDemoKernel({
    memoryMiB: 64,
    ...kernel,
    qemuArgs: [...snapshotArgs(folder), ...monitorsIn(folder).qemuArgs],
  });
  t.after(() => machine.stop());
  const bridge = new Bridge(machine.kdLink, folder, args);
  t.after(() => bridge.end());
  await bridge.said(/the kernel (runs|stands)/);
  return { machine, bridge };
}

/** The kernel that is there now can be stopped, is right, and goes on. */
async function worksAgain(machine: DemoMachine, windbg: ScriptedDebugger, kernelBase: bigint): Promise<void> {
  const stop = await breakIn(windbg);
  assert.equal(stop.kind, 'exception');
  assert.equal((await version(windbg)).kernelBase, kernelBase);
  const header = Buffer.from(await read(windbg, kernelBase, 512));
  assert.equal(header.toString('latin1', 0, 2), 'MZ');
  await go(windbg, stop);
  await ticksGrow(machine, limit);
}

void describe('a bridge whose machine is taken back', () => {
  void it('G6 tells the debugger, when it waits or goes on, and goes on with the kernel of then', async (t) => {
    const { machine, bridge } = await bridged(t, {}, ['--park', '0']);
    await takeSnapshot(machine, 'running');
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    await bridge.said(/memory is read from/);
    const { kernelBase } = await version(windbg);
    await takeSnapshot(machine, 'stopped');
    await go(windbg, stop);

    await t.test('who waits is told at once', async () => {
      await ticksGrow(machine, limit, aWhile);
      await takeBack(machine, 'running');
      await hearsTheEnd(windbg, limit);
      await bridge.said(/target-replaced/);
      await worksAgain(machine, windbg, kernelBase);
    });

    await t.test('who stands is refused, and told when it goes on', async () => {
      await breakIn(windbg);
      await takeBack(machine, 'running');
      await bridge.said(/target-replaced/, 2);
      const reply = await windbg.request(windbg.compose(getVersion));
      assert.equal(readManipulateHead(reply).returnStatus, NtStatus.Unsuccessful);
      await waitAsLookerOn(windbg);
      await hearsTheEnd(windbg, limit);
      await worksAgain(machine, windbg, kernelBase);
    });

    await t.test('a kernel that stood then stands again, and shows its stop', async () => {
      await ticksGrow(machine, limit, aWhile);
      await takeBack(machine, 'stopped');
      await hearsTheEnd(windbg, limit);
      const again = await nextEvent(windbg, limit);
      assert.equal(again.kind, 'exception');
      assert.equal(again.programCounter, stop.programCounter);
      await go(windbg, again);
      await ticksGrow(machine, limit);
    });
  });

  void it('G6 comes back to the mailbox', async (t) => {
    const { machine, bridge } = await bridged(t, { guestModule: 'boot' });
    await bridge.said(/packets go by mailbox/);
    await takeSnapshot(machine, 'then');
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    await bridge.said(/memory is read from/);
    const { kernelBase } = await version(windbg);
    await go(windbg, stop);
    await ticksGrow(machine, limit, aWhile);
    await takeBack(machine, 'then');
    await hearsTheEnd(windbg, limit);
    await worksAgain(machine, windbg, kernelBase);
    await bridge.said(/packets go by mailbox/, 2);
  });

  void it('G6 a machine that rests runs again; another start of the kernel lies elsewhere, and is found', async (t) => {
    const { machine, bridge } = await bridged(t);
    await takeSnapshot(machine, 'first');
    const windbg = await bridge.debugger();
    await attach(windbg);
    const { kernelBase } = await version(windbg);
    await parked(machine, limit);
    await takeBack(machine, 'first');
    await bridge.said(/target-replaced/);
    await ticksGrow(machine, limit);
    await waitAsLookerOn(windbg);
    await hearsTheEnd(windbg, limit);

    windbg.close();
    await bridge.said(/the debugger on the pipe is gone/);
    await machine.reset();
    const other = await bridge.debugger();
    const stop = await attach(other);
    assert.notEqual((await version(other)).kernelBase, kernelBase);
    await read(other, (await version(other)).kernelBase, 512);
    await go(other, stop);
    await ticksGrow(machine, limit);
    await takeBack(machine, 'first');
    await hearsTheEnd(other, limit);
    await worksAgain(machine, other, kernelBase);
  });
});
