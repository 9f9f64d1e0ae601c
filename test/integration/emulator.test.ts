// test-limit: 240 s
/**
 * The emulator against the processor: random simple instructions are put into code of the demo kernel that nobody runs any
 * more, and run there one by one. Registers and flags must come out as the emulator says.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { VirtualAddress } from '../../src/engine/core/addresses';
import { hex, hexBytes } from '../../src/engine/core/hex';
import type { ContextX64 } from '../../src/engine/cpu/contextX64';
import { openDisassembler, type Disassembler } from '../../src/engine/cpu/disassembler';
import type { EmulatedState } from '../../src/engine/cpu/emulator';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import { bootForDebugging, breakIn, limit, type Attached } from '../fixtures/attached';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { randomInstruction, type EmulatedInstruction } from '../fixtures/simpleInstructions';

const names = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'],
  ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
] as const;
/** CF PF AF ZF SF OF. */
const flags = 0x8d5;
/** Undefined after and, or, xor, test. */
const adjust = 0x10;
const rounds = process.env['VMKD_SOAK'] === 'full' ? 200 : 12;
const perRound = 16;
const stackBytes = 1024;

let attached: Attached;
let disassembler: Disassembler;
before(async () => {
  attached = await bootForDebugging({ cpus: 1, memoryMiB: 256 });
  disassembler = await openDisassembler('x64');
  await attached.target.attach(breakIn);
});
after(async () => {
  disassembler.dispose();
  await attached.end();
});

const stateOf = (context: ContextX64): EmulatedState => ({
  rip: context.rip,
  eflags: context.eflags,
  general: names.map((name) => context[name]),
});

const same = (a: number, b: number, code: Uint8Array): boolean => {
  const logic = disassembler.simple(code, 0n as VirtualAddress);
  const undefinedFlags =
    logic?.kind === 'arithmetic' && logic.operation !== 'add' && logic.operation !== 'subtract' ? adjust : 0;
  return (a & flags & ~undefinedFlags) === (b & flags & ~undefinedFlags);
};

void describe('simple instructions', () => {
  void it('come out as on the processor', async (t) => {
    const { target } = attached;
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    await target.resume();
    const shared = await attached.addressOf('vmkdemo.sys!VmkDemoShared');
    const memory = await attached.machine.console.command('memory');
    const window = BigInt(`0x${/window ([0-9a-f]+)/i.exec(memory)![1]!}`);
    await target.breakIn(limit);
    // A thread of the driver, at PASSIVE_LEVEL, with a stack of its own.
    await target.breakpoints.set(shared);
    await target.resume();
    await target.nextStop(limit);
    const original = await target.registers.context();
    // It ran once, when the driver was loaded.
    const scratch = (await target.modules()).find(({ name }) => name === 'vmkdemo.sys')!.entryPoint;
    const code = await readMemory(target.memory, scratch, perRound * 15);
    // RAM that nobody has taken yet, as the kernel sees all of it: traps need room below a stack pointer.
    const stacks = window + 0xe00_0000n;
    let count = 0;
    for (let round = 0; round < rounds; round++) {
      // While we look, KD stands on the one of the round before.
      const home = stacks + (round % 2 === 0 ? 0n : 0x10000n);
      const stack = random.bytes(stackBytes);
      const bottom = home - BigInt(stackBytes / 2);
      // Below rsp traps write what they like.
      let lowest = home;
      const model = {
        read: (at: VirtualAddress, length: number) =>
          at >= lowest && at + BigInt(length) <= bottom + BigInt(stackBytes)
            ? stack.slice(Number(at - bottom), Number(at - bottom) + length)
            : undefined,
        write: (at: VirtualAddress, bytes: Uint8Array) => stack.set(bytes, Number(at - bottom)),
      };
      let state: EmulatedState = {
        rip: scratch,
        eflags: (original.eflags & ~flags) | (random.next() & flags),
        general: names.map((name) => (name === 'rsp' ? home : randomValue(random))),
      };
      const first = state;
      await target.memory.write(bottom as VirtualAddress, stack);
      const instructions: EmulatedInstruction[] = [];
      for (let i = 0; i < perRound; i++) {
        const one = await randomInstruction(random, disassembler, state, model, home);
        const { store } = one.result;
        if (store) model.write(store.address, store.bytes);
        const rsp = one.result.state.general[4]!;
        const pushed = store?.address === rsp && rsp === lowest - 8n;
        if (rsp > lowest || pushed) lowest = rsp;
        instructions.push(one);
        state = one.result.state;
      }
      await target.memory.write(scratch, Buffer.concat(instructions.map((one) => one.code)));
      await target.registers.context();
      await setGeneral(first);
      let now = first;
      for (const { code: bytes, result } of instructions) {
        await target.step(limit);
        // The flags that a traced pushf pushes are those of a traced thread.
        if (result.store && disassembler.inspect(bytes, now.rip)?.pushesFlags)
          await target.memory.write(result.store.address, result.store.bytes);
        const real = stateOf(await target.registers.context());
        const what = `${hexBytes(bytes)} from ${describeState(now)}`;
        assert.equal(hex(real.rip), hex(result.state.rip), what);
        assert.deepEqual(
          real.general.map((value) => hex(value)),
          result.state.general.map((value) => hex(value)),
          what,
        );
        assert.ok(
          same(real.eflags, result.state.eflags, bytes),
          `${what}: ${hex(real.eflags)} ≠ ${hex(result.state.eflags)}`,
        );
        // What is undefined is what the processor says from here on; no instruction here reads it.
        now = real;
        count++;
      }
      const top = Number(bottom) + stackBytes - Number(lowest);
      const left = await readMemory(target.memory, lowest as VirtualAddress, top);
      assert.deepEqual(left, stack.subarray(stackBytes - top));
    }
    t.diagnostic(`${count} instructions`);
    await target.memory.write(scratch, code);
    await setGeneral(stateOf(original));
    await target.resume();
    await target.breakIn(limit);
  });
});

async function setGeneral(state: EmulatedState): Promise<void> {
  const { target } = attached;
  const { processor } = target.stopped.change;
  const image = await target.registers.contextImage(processor, false);
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  state.general.forEach((value, i) => view.setBigUint64(0x78 + 8 * i, value, true));
  view.setBigUint64(0xf8, state.rip, true);
  view.setUint32(0x44, state.eflags, true);
  await target.registers.setContextImage(image, processor);
}

/** Small ones, the edges, and any. */
function randomValue(random: ReturnType<typeof randomFrom>): bigint {
  const any = (BigInt(random.next()) << 32n) | BigInt(random.next());
  return random.pick([
    any,
    any,
    BigInt(random.below(256)),
    0n,
    0xffff_ffff_ffff_ffffn,
    0x7fff_ffffn,
    1n << 63n,
  ]);
}

const describeState = ({ general, eflags }: EmulatedState): string =>
  `${names.map((name, i) => `${name} ${hex(general[i]!)}`).join(' ')} eflags ${hex(eflags)}`;
