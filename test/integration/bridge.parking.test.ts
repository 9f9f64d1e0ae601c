/** A bridge parks its machine while only memory is asked for; one that is killed leaves a kernel that runs. */

import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import { virtualAddress, type VirtualAddress } from '../../src/engine/core/addresses';
import { writeBreakPoint } from '../../src/engine/kd/manipulate/breakpoint';
import { readManipulateHead } from '../../src/engine/kd/manipulate/message';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { decodeStateChange } from '../../src/engine/kd/stateChange';
import { Bridge } from '../fixtures/bridge';
import { buildCli, vmkd } from '../fixtures/cli';
import { gone, guardianOf } from '../fixtures/guardian';
import { monitorsIn } from '../fixtures/monitors';
import type { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { tempFolder } from '../fixtures/tempFolder';
import { attach, breakIn, go, read, version } from '../fixtures/windbg';
import { parked, statusOf, ticksGrow } from '../fixtures/guestLife';
import { bootDemoKernel, type DemoKernelOptions, type DemoMachine } from '../kernel/machine';

const limit = 60_000;

before(buildCli);

async function bridged(t: TestContext, kernel: DemoKernelOptions = {}, args: readonly string[] = []) {
  const folder = tempFolder(t);
  const machine = await bootDemoKernel({ ...kernel, qemuArgs: monitorsIn(folder).qemuArgs });
  t.after(() => machine.stop());
  const bridge = new Bridge(machine.kdLink, folder, args);
  t.after(() => bridge.end());
  await bridge.said(/the kernel (runs|stands)/);
  return { machine, bridge };
}

interface Place {
  readonly address: VirtualAddress;
  readonly code: Uint8Array;
}

/** Where it is not run into. */
async function setBreakpoint(windbg: ScriptedDebugger): Promise<Place> {
  const address = virtualAddress((await version(windbg)).kernelBase + 0x1000n);
  const code = await read(windbg, address, 16);
  const reply = await windbg.request(windbg.compose(writeBreakPoint, { address }));
  assert.equal(readManipulateHead(reply).returnStatus, NtStatus.Success);
  assert.equal((await read(windbg, address, 1))[0], 0xcc);
  return { address, code };
}

/** Another bridge and another debugger find no breakpoint. */
async function isAsItWas(t: TestContext, machine: DemoMachine, { address, code }: Place): Promise<void> {
  const next = new Bridge(machine.kdLink, tempFolder(t));
  t.after(() => next.end());
  await next.said(/the kernel (runs|stands)/);
  const windbg = await next.debugger();
  const stop = await attach(windbg);
  assert.deepEqual(await read(windbg, address, 16), code);
  await go(windbg, stop);
  await ticksGrow(machine, limit);
}

void describe('a bridge', () => {
  for (const guestModule of [undefined, 'boot'] as const) {
    const way = guestModule === undefined ? 'serial port' : 'mailbox';
    void it(`G5 parks the machine; memory is read on, what needs the kernel wakes it (${way})`, async (t) => {
      const { machine, bridge } = await bridged(t, { ...(guestModule && { guestModule }) });
      if (guestModule) await bridge.said(/packets go by mailbox/);
      const windbg = await bridge.debugger();
      let stop = await attach(windbg);
      await bridge.said(/memory is read from/);
      const { kernelBase } = await version(windbg);
      for (let i = 0; i < 3; i++) {
        await parked(machine, limit);
        for (let page = 0; page < 16; page++) {
          const bytes = await read(windbg, kernelBase, 512);
          assert.equal(Buffer.from(bytes.subarray(0, 2)).toString(), 'MZ');
        }
        assert.equal(await statusOf(machine), 'paused');
        // This the kernel has to answer.
        assert.equal((await version(windbg)).kernelBase, kernelBase);
        await parked(machine, limit);
        await go(windbg, stop);
        await ticksGrow(machine, limit);
        stop = await breakIn(windbg);
      }
      await go(windbg, stop);
      await ticksGrow(machine, limit);
      assert.match(bridge.stderr, /the machine rests/);
      assert.equal(await bridge.end(), 0);
      assert.equal(await statusOf(machine), 'running');
    });
  }

  for (const stands of [true, false])
    void it(`ends while the kernel ${stands ? 'stands, parked' : 'runs'}, and it runs on without breakpoints`, async (t) => {
      const { machine, bridge } = await bridged(t);
      const windbg = await bridge.debugger();
      const stop = await attach(windbg);
      const place = await setBreakpoint(windbg);
      if (stands) await parked(machine, limit);
      else await go(windbg, stop);
      assert.equal(await bridge.end(), 0);
      await ticksGrow(machine, limit);
      await isAsItWas(t, machine, place);
    });

  void it('D6 that is killed leaves a kernel that runs, without breakpoints: a guardian sees to it', async (t) => {
    const { machine, bridge } = await bridged(t);
    const guardian = await guardianOf(bridge.pid);
    const windbg = await bridge.debugger();
    await attach(windbg);
    const place = await setBreakpoint(windbg);
    await parked(machine, limit);
    bridge.kill();
    await gone(guardian);
    await ticksGrow(machine, limit);
    await isAsItWas(t, machine, place);
  });

  void it('D6 that is killed and shall leave the kernel stopped leaves it so, in a machine that runs', async (t) => {
    const { machine, bridge } = await bridged(t, {}, ['--leave-stopped']);
    const guardian = await guardianOf(bridge.pid);
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    const { address } = await setBreakpoint(windbg);
    await parked(machine, limit);
    bridge.kill();
    await gone(guardian);
    assert.equal(await statusOf(machine), 'running');
    const next = new Bridge(machine.kdLink, tempFolder(t));
    t.after(() => next.end());
    await next.said(/the kernel stands/);
    const other = await next.debugger();
    const same = decodeStateChange(await other.attach(false));
    assert.equal(same.programCounter, stop.programCounter);
    assert.equal((await read(other, address, 1))[0], 0xcc, 'it is as it was left');
    await go(other, same);
    await ticksGrow(machine, limit);
  });

  void it('does not park if it shall not, and says what of that makes no sense', async (t) => {
    const { machine, bridge } = await bridged(t, {}, ['--park', '0']);
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    await bridge.said(/memory is read from/);
    const { kernelBase } = await version(windbg);
    // Longer than it takes to park.
    for (const end = Date.now() + 2000; Date.now() < end;) {
      await read(windbg, kernelBase, 512);
      assert.equal(await statusOf(machine), 'running');
    }
    await go(windbg, stop);
    for (const seconds of ['-1', 'soon', ''])
      assert.match(
        (await vmkd(['bridge', machine.kdLink, `--park=${seconds}`])).stderr,
        /--park wants seconds/,
      );
  });
});
