// test-limit: 300 s
/**
 * The unwinder on the demo kernel. Chosen functions are stepped from their first instruction to their return while the
 * clock interrupts them; before and in each of these interrupts, the unwound stack is the one that calls and returns
 * have left, every caller's rip, rsp and preserved registers included.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { virtualAddress } from '../../src/engine/core/addresses';
import { registersOf, type FrameRegisters, type UnwindMethod } from '../../src/engine/cpu/unwindX64';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { at, limit, readNumber } from '../fixtures/attached';
import { onStoppedKernel, type StoppedKernel } from '../fixtures/stoppedKernel';
import { foundFrames, knownOf, trapFrame, TrackedStack } from '../fixtures/trackedStack';

/** A function to step through, and ways in which some of its instructions have to be unwound. */
interface Chosen {
  readonly symbol: string;
  readonly what: string;
  readonly atLeast: number;
  readonly deepest: number;
  readonly methods: readonly UnwindMethod[];
}

const chosen: readonly Chosen[] = [
  {
    symbol: 'vmkdemo!VmkDemoFibonacci',
    what: 'unoptimised, recursive',
    atLeast: 200,
    deepest: 6,
    methods: ['body', 'epilogue', 'prologue'],
  },
  {
    symbol: 'vmkdemo!VmkDemoFrames',
    what: 'saved registers, SSE saves, frame register and alloca, large frame, tail calls, leaves',
    atLeast: 350,
    deepest: 4,
    methods: ['body', 'epilogue', 'leaf', 'prologue'],
  },
  {
    symbol: 'vmkdemo!VmkDemoShared',
    what: 'optimised, with a call into the kernel',
    atLeast: 10,
    deepest: 2,
    methods: ['body', 'epilogue', 'prologue'],
  },
];

/** Where the clock is to have interrupted a function. */
const places = ['prologue', 'body', 'epilogue', 'leaf'];
const enough = 15;
const mostRounds = 20;

void describe('unwinding on the demo kernel', () => {
  void it('at every instruction of chosen functions, and through the interrupts that hit them', async (t) => {
    const interrupted = new Map<string, number>();
    let steps = 0;
    await onStoppedKernel(t, async (kernel) => {
      // Which instructions the clock hits is chance.
      const isEnough = (): boolean => places.every((where) => (interrupted.get(where) ?? 0) >= enough);
      for (let round = 0; round < mostRounds && !isEnough(); round++)
        for (const one of chosen) {
          const counts = await stepThrough(kernel, one, interrupted);
          steps += counts.steps;
          t.diagnostic(
            `${one.symbol} (${one.what}): ${counts.steps} instructions, ${counts.deepest} calls deep, by ${counts.methods.join(', ')}`,
          );
          assert.ok(counts.steps >= one.atLeast, `${one.symbol}: ${counts.steps}`);
          assert.ok(counts.deepest >= one.deepest, `${one.symbol}: ${counts.deepest}`);
          for (const method of one.methods)
            assert.ok(counts.methods.includes(method), `${one.symbol}: ${method}`);
        }
    });
    t.diagnostic(`interrupted in ${[...interrupted].map(([where, n]) => `${where} ${n}`).join(', ')}`);
    assert.ok(steps >= 600, `${steps} instructions`);
    for (const where of places)
      assert.ok((interrupted.get(where) ?? 0) >= enough, `${where}: ${interrupted.get(where)}`);
  });
});

/** Steps a function from its first instruction until it has returned. The target is stopped before and after. */
async function stepThrough(
  kernel: StoppedKernel,
  { symbol }: Chosen,
  interrupted: Map<string, number>,
): Promise<{ steps: number; deepest: number; methods: UnwindMethod[] }> {
  const { target } = kernel;
  const begin = kernel.addressOf(symbol);
  const clock = kernel.addressOf('nt!KiClockInterrupt');
  await target.breakpoints.set(begin);
  await target.resume();
  assert.equal((await target.nextStop(limit)).programCounter, begin);

  let registers = await kernel.registers();
  // At a function's first instruction nothing is to be undone but the call.
  const tracked = new TrackedStack(foundFrames((await kernel.stack(registers)).frames.slice(1)));
  const outermost = tracked.callers.length;
  const methods = new Set<UnwindMethod>();
  let deepest = 1;
  let steps = 0;
  while (tracked.callers.length >= outermost) {
    const code = target.report.instructionStream;
    const breakpoint = await target.breakpoints.set(clock);
    let stop = await target.step(limit);
    if (stop.programCounter === clock) {
      const where = await checkInterrupt(kernel, registers, tracked);
      interrupted.set(where, (interrupted.get(where) ?? 0) + 1);
      // The step is still owed, and NT has forgotten the breakpoint.
      await target.resume();
      stop = await target.nextStop(limit);
    } else await target.breakpoints.remove(breakpoint);
    assert.ok(stop.kind === 'exception' && stop.code === NtStatus.SingleStep);

    const after = await kernel.registers();
    tracked.step(registers, code, after);
    registers = after;
    steps++;
    const depth = tracked.callers.length - outermost + 1;
    deepest = Math.max(deepest, depth);
    const stack = await kernel.stack(registers);
    assert.deepEqual(foundFrames(stack.frames.slice(1)), tracked.callers, kernel.describe(stack));
    if (depth > 0) methods.add(stack.frames[0]!.method!);
  }
  return { steps, deepest, methods: [...methods].sort() };
}

/**
 * In the clock's handler, whose argument is the trap frame: the stack goes through a machine frame to the very
 * instruction, and on as tracked. Threads take turns, so that it may be another's; then only its first frame is known.
 * @returns How the interrupted function was unwound, or 'another thread'.
 */
async function checkInterrupt(
  kernel: StoppedKernel,
  ours: FrameRegisters,
  tracked: TrackedStack,
): Promise<UnwindMethod | 'another thread'> {
  const { target } = kernel;
  const context = await target.registers.context();
  const frame = virtualAddress(context.rcx);
  const rip = await readNumber(target, at(frame, trapFrame.rip));
  const rsp = await readNumber(target, at(frame, trapFrame.rsp));
  const stack = await kernel.stack(registersOf(context));
  const where = kernel.describe(stack);
  const machine = stack.frames.findIndex((f, i) => i > 0 && f.registers.exact);
  assert.deepEqual(
    stack.frames.slice(0, machine).map((f) => kernel.nameOf(f.registers.rip)),
    ['KiClockInterrupt', 'KiHandleInterrupt', 'HalpTimerClockInterrupt'],
    where,
  );
  const { registers: found, method } = stack.frames[machine]!;
  assert.deepEqual([found.rip, found.rsp], [rip, rsp], where);
  if (rsp !== ours.rsp) return 'another thread';
  assert.deepEqual(foundFrames(stack.frames.slice(machine)), [knownOf(ours), ...tracked.callers], where);
  return method!;
}
