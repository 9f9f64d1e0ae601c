/**
 * The unwinder on the demo kernel's faults, whose machine frames have an error code: page faults in paged code (at a
 * function's first instruction) and in paged data (in its body), against what the trap entry has saved and against where
 * the function then returns; and the double fault of a full stack, which is taken on a stack of its own.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plus, virtualAddress } from '../../src/engine/core/addresses';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import { registersOf } from '../../src/engine/cpu/unwindX64';
import type { LiveTarget } from '../../src/engine/target/liveTarget';
import { at, limit, readNumber } from '../fixtures/attached';
import { onStoppedKernel, type StoppedKernel } from '../fixtures/stoppedKernel';
import { foundFrames, knownOf, trapFrame, type KnownFrame } from '../fixtures/trackedStack';

void describe('unwinding the faults of the demo kernel', () => {
  void it('page faults in paged code and data', async (t) => {
    await onStoppedKernel(t, async (kernel) => {
      const { target, machine } = kernel;
      await target.resume();
      await machine.console.command('trim');
      await target.breakIn(limit);
      let answer: Promise<string> | undefined;
      const code = await faultIn(kernel, () => {
        answer = machine.console.command('paged 1');
      });
      assert.equal(code.faulted.rip, kernel.addressOf('vmkdemo!VmkDemoPaged'));
      const callers = code.callers.map(({ rip }) => kernel.nameOf(rip));
      assert.deepEqual(callers, ['Paged', 'ConsoleThread', 'KiStartThread', 'KiThreadStartup']);

      const data = await faultIn(kernel);
      assert.notEqual(data.faulted.rip, code.faulted.rip);
      assert.deepEqual(data.callers, code.callers);
      const [caller] = code.callers as [KnownFrame];
      await target.breakpoints.set(caller.rip);
      await target.resume();
      await target.nextStop(limit);
      assert.deepEqual(knownOf(await kernel.registers()), caller, 'it returns to where the unwinder said');
      await target.resume();
      assert.match((await answer)!, /was paged out/);
    });
  });

  void it('the double fault of a full stack', async (t) => {
    await onStoppedKernel(t, async (kernel) => {
      const { target, machine } = kernel;
      await target.resume();
      const unanswered = machine.console.command('overflow').catch(() => undefined);
      await target.nextStop(limit);
      const stack = await kernel.stack(await kernel.registers());
      const frames = foundFrames(stack.frames);
      const names = frames.map(({ rip }) => kernel.nameOf(rip));
      const fault = names.indexOf('KiDoubleFaultAbort');
      const first = names.indexOf('Descend');
      const last = names.lastIndexOf('Descend');
      assert.equal(first, fault + 1, kernel.describe(stack));
      assert.deepEqual(names.slice(last + 1), [
        'Overflow',
        'ConsoleThread',
        'KiStartThread',
        'KiThreadStartup',
      ]);
      assert.ok(last - first > 10 && names.slice(first, last + 1).every((name) => name === 'Descend'));
      // All but the one that faulted are called from the same place, the outermost by the command.
      const inner = frames.slice(first + 1, last + 1);
      const distances = inner.slice(1).map(({ rsp }, i) => rsp - inner[i]!.rsp);
      assert.equal(new Set(inner.map(({ rip }) => rip)).size, 1);
      assert.ok(new Set(distances).size === 1 && distances[0]! > 8n, distances.join());
      t.diagnostic(`${names.slice(0, first).join(', ')}, then ${last - first + 1} times Descend`);
      await machine.stop();
      await unanswered;
    });
  });
});

/** Offsets in a KEXCEPTION_FRAME, which lies a return address below the trap frame. */
const exceptionFrame = { size: 0x138, xmm6: 0x30, rbx: 0x100, rdi: 0x108, rsi: 0x110, r12: 0x118 };

interface Fault {
  readonly faulted: KnownFrame;
  readonly callers: readonly KnownFrame[];
}

/**
 * The next page fault of VmkDemoPaged, seen from the handler. Its registers are those that the trap entry has saved, and
 * the unwinder finds the same.
 * @param cause Done when the target runs.
 */
async function faultIn(kernel: StoppedKernel, cause?: () => void): Promise<Fault> {
  const { target } = kernel;
  const handler = kernel.addressOf('nt!MmAccessFault');
  for (let others = 0; others < 100; others++) {
    await target.breakpoints.set(handler);
    await target.resume();
    if (others === 0) cause?.();
    assert.equal((await target.nextStop(limit)).programCounter, handler);
    const context = await target.registers.context();
    const stack = await kernel.stack(registersOf(context));
    // Off the handler's first instruction, so that a breakpoint there is for the next fault.
    await target.step(limit);
    const faulted = await savedRegisters(target, context.rcx);
    if (kernel.nameOf(faulted.rip) !== 'VmkDemoPaged') continue;
    const machine = stack.frames.findIndex((f, i) => i > 0 && f.registers.exact);
    const names = stack.frames.slice(0, machine).map((f) => kernel.nameOf(f.registers.rip));
    assert.deepEqual(names.slice(-2), ['KiExceptionDispatch', 'KiPageFault']);
    const [found, ...callers] = foundFrames(stack.frames.slice(machine));
    assert.deepEqual(found, faulted, kernel.describe(stack));
    return { faulted, callers };
  }
  throw new Error('VmkDemoPaged made no page fault');
}

/** What stood in the registers at a trap, by the layouts of NT's trap and exception frames. */
async function savedRegisters(target: LiveTarget, address: bigint): Promise<KnownFrame> {
  const frame = virtualAddress(address);
  const saved = plus(frame, -8 - exceptionFrame.size);
  const { rbx, rdi, rsi, r12, xmm6 } = exceptionFrame;
  const word = (offset: number): Promise<bigint> => readNumber(target, at(frame, offset));
  const general = [await readNumber(target, at(saved, rbx)), await word(trapFrame.rbp)];
  for (const offset of [rsi, rdi, r12, r12 + 8, r12 + 16, r12 + 24])
    general.push(await readNumber(target, at(saved, offset)));
  const xmm: string[] = [];
  for (let i = 0; i < 10; i++) {
    const bytes = await readMemory(target.memory, at(saved, xmm6 + i * 16), 16);
    xmm.push(`${i + 6} ${Buffer.from(bytes).toString('hex')}`);
  }
  return {
    rip: virtualAddress(await word(trapFrame.rip)),
    rsp: virtualAddress(await word(trapFrame.rsp)),
    general,
    xmm,
  };
}
