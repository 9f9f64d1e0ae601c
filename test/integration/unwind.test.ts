// test-limit: 180 s
/** The unwinder on the demo kernel: right at every instruction of a recursive function, down to the thread's start. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { VirtualAddress } from '../../src/engine/core/addresses';
import { findRuntimeFunction } from '../../src/engine/cpu/unwindInfo';
import { walkStack, type CallStack } from '../../src/engine/cpu/unwindStack';
import { registersOf, unwindFrame, type UnwindSource } from '../../src/engine/cpu/unwindX64';
import type { LiveTarget } from '../../src/engine/target/liveTarget';
import { bootForDebugging, breakIn, limit, readNumber } from '../fixtures/attached';
import { exceptionDirectoryOf } from '../fixtures/exceptionDirectory';

const steps = 60;

void describe('unwinding on the demo kernel', () => {
  void it(`${steps} single steps in VmkDemoFibonacci: every return address is the one that calls left`, async (t) => {
    const attached = await bootForDebugging();
    const { target } = attached;
    try {
      await target.attach(breakIn);
      await crossesInterrupt(target);
      await target.resume();
      const fibonacci = await attached.addressOf('vmkdemo.sys!VmkDemoFibonacci');
      await target.breakIn(limit);
      const source = await sourceOf(target);
      const breakpoint = await target.breakpoints.set(fibonacci);
      await target.resume();
      let { programCounter } = await target.nextStop(limit);
      assert.equal(programCounter, fibonacci);
      await target.breakpoints.remove(breakpoint);

      const first = registersOf(await target.registers.context());
      const returns = [await readNumber(target, first.rsp)];
      const outer = await walkStack(source, first);
      assert.equal(outer.end.kind, 'bottom', describeStack(outer));
      const beyond = outer.frames.slice(2).map((f) => f.registers.rip);
      const methods = new Set<string>();
      let deepest = 0;
      for (let i = 0; i < steps; i++) {
        const from = programCounter;
        const [opcode] = target.report.instructionStream;
        ({ programCounter } = await target.step(limit));
        if (opcode === 0xe8) {
          assert.equal(programCounter, fibonacci);
          returns.unshift(from + 5n);
        } else if (opcode === 0xc3) {
          assert.equal(programCounter, returns.shift());
        }
        assert.ok(returns.length > 0, 'the outermost call returned');
        deepest = Math.max(deepest, returns.length);
        const registers = registersOf(await target.registers.context());
        const image = source.functionAt(registers.rip);
        const { caller, method } = await unwindFrame(source, await image, registers);
        methods.add(method);
        const where = `step ${i} at ${programCounter.toString(16)} by ${method}`;
        assert.equal(caller.rip, returns[0], where);
        const stack = await walkStack(source, registers);
        assert.deepEqual(
          stack.frames.slice(1).map((f) => f.registers.rip),
          [...returns, ...beyond],
          where,
        );
        assert.equal(stack.end.kind, 'bottom', where);
      }
      t.diagnostic(`${deepest} calls deep, by ${[...methods].join(', ')}; ${beyond.length} frames beyond`);
      assert.ok(deepest >= 3);
      assert.deepEqual([...methods].sort(), ['body', 'epilogue', 'prologue']);
    } finally {
      await attached.end();
    }
  });
});

/** A break-in stops in the clock's interrupt: its stack goes through the machine frame to what was interrupted. */
async function crossesInterrupt(target: LiveTarget): Promise<void> {
  const source = await sourceOf(target);
  const stack = await walkStack(source, registersOf(await target.registers.context()));
  const interrupted = stack.frames.findIndex((f, i) => i > 0 && f.registers.exact);
  assert.ok(interrupted > 0 && interrupted < stack.frames.length - 1, describeStack(stack));
  assert.equal(stack.end.kind, 'bottom', describeStack(stack));
  assert.ok(stack.frames.every((f) => f.image !== undefined));
}

/** Unwind data from the images on disk, which the kernel was booted with. */
async function sourceOf(target: LiveTarget): Promise<UnwindSource> {
  const images = (await target.modules()).map(({ name, base, size }) => {
    const file = path.join('build/kernel/images', name);
    return { base, size, data: exceptionDirectoryOf(readFileSync(file), file) };
  });
  return {
    memory: target.memory,
    functionAt: (rip: VirtualAddress) => {
      const image = images.find(({ base, size }) => rip >= base && rip < base + BigInt(size));
      if (!image) return undefined;
      const row = findRuntimeFunction(image.data.pdata, Number(rip - image.base));
      return { imageBase: image.base, row, xdata: image.data };
    },
  };
}

const describeStack = ({ frames, end }: CallStack): string =>
  [...frames.map((f) => `${f.registers.rip.toString(16)} ${f.method ?? '-'}`), JSON.stringify(end)].join(
    '\n',
  );
