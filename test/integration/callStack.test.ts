// test-limit: 180 s
/**
 * Call stacks of the demo kernel with names and lines. What proves them is the source itself: the line of each caller
 * must hold the name of what it called.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { VirtualAddress } from '../../src/engine/core/addresses';
import { frameBodyOf } from '../../src/engine/cpu/frameBody';
import { registersOf, unwindFrame } from '../../src/engine/cpu/unwindX64';
import { callStack, frameText, type CallFrame, type SymbolicStack } from '../../src/engine/target/callStack';
import { unwindSourceOf } from '../../src/engine/target/unwindSource';
import type { KernelSymbols } from '../../src/engine/windows/kernelSymbols';
import { describeSymbolState } from '../../src/engine/windows/moduleSymbols';
import { readProcesses } from '../../src/engine/windows/processes';
import { describeThread } from '../../src/engine/windows/threads';
import { bootForDebugging, breakIn, limit, type Attached } from '../fixtures/attached';
import { liveSymbols } from '../fixtures/liveSymbols';

let attached: Attached;
before(async () => {
  attached = await bootForDebugging();
  await attached.target.attach(breakIn);
});
after(() => attached.end());

async function stackOf(symbols: KernelSymbols, processor?: number): Promise<SymbolicStack> {
  const { target } = attached;
  const registers = registersOf(await target.registers.context(processor));
  return callStack(unwindSourceOf(target.memory, symbols), symbols, registers);
}

async function runTo(address: VirtualAddress): Promise<void> {
  const { target } = attached;
  const breakpoint = await target.breakpoints.set(address);
  await target.resume();
  const { programCounter } = await target.nextStop(limit);
  assert.equal(programCounter, address);
  await target.breakpoints.remove(breakpoint);
}

const textOf = ({ frames }: SymbolicStack): string => frames.map(frameText).join('\n');
const nameOf = (frame: CallFrame): string => frame.text.replace(/^\w+!/, '').replace(/\+0x.*$/, '');
const addressOf = (symbols: KernelSymbols, name: string): VirtualAddress =>
  symbols.search(name, 1)[0]!.address;

function lineOf({ source }: CallFrame): string {
  assert.ok(source);
  return readFileSync(source.path, 'utf8').split('\n')[source.line - 1] ?? '';
}

void describe('a call stack of the demo kernel', () => {
  void it('has the functions that called each other, at the lines of the calls', async (t) => {
    const symbols = await liveSymbols(t, attached.target);
    await runTo(addressOf(symbols, 'vmkdemo!Innermost'));
    const stack = await stackOf(symbols);
    assert.equal(stack.end.kind, 'bottom');
    const [top, ...callers] = stack.frames as [CallFrame, ...CallFrame[]];
    assert.equal(top.text, 'vmkdemo!Innermost');
    const names = callers.slice(0, 4).map(nameOf);
    assert.deepEqual(names, ['Middle', 'Outer', 'VmkDemoWork', 'WorkerThread'], textOf(stack));
    for (const [i, caller] of callers.slice(0, 4).entries()) {
      assert.match(lineOf(caller), new RegExp(`\\b${nameOf(stack.frames[i]!)}\\(`), frameText(caller));
      assert.equal(caller.interrupted, false);
    }
  });

  void it('shows inlined functions between the frames, each at its own line', async (t) => {
    const symbols = await liveSymbols(t, attached.target);
    const file = symbols
      .moduleNamed('vmkdemo')!
      .pdb!.sourcePaths.find((s) => s.path.endsWith('inlines.c'))!.path;
    const line =
      readFileSync(file, 'utf8')
        .split('\n')
        .findIndex((l) => l.includes('State ^= Byte;')) + 1;
    const code = symbols.findLine({ path: file, line }).flatMap((match) => match.code);
    const inlined = code.filter(
      (c) => c.inlined && nameOfProcedure(symbols, c.address) === 'VmkDemoChecksum',
    );
    assert.ok(inlined.length > 0);
    await runTo(inlined[0]!.address);
    const stack = await stackOf(symbols);
    const [mix, checksum, caller] = stack.frames as [CallFrame, CallFrame, CallFrame];
    assert.deepEqual([mix.kind, mix.text, mix.inlineDepth], ['inline', 'vmkdemo!MixByte', 0], textOf(stack));
    assert.match(lineOf(mix), /State \^= Byte/);
    assert.deepEqual([checksum.kind, nameOf(checksum)], ['procedure', 'VmkDemoChecksum']);
    assert.match(lineOf(checksum), /MixByte\(/);
    assert.equal(mix.frame, checksum.frame);
    assert.match(lineOf(caller), /VmkDemoChecksum\(/);
  });

  void it('goes through an interrupt, and marks what was interrupted', async (t) => {
    const { target } = attached;
    await target.resume();
    await target.breakIn(limit);
    const symbols = await liveSymbols(t, target);
    const stack = await stackOf(symbols);
    assert.equal(stack.end.kind, 'bottom');
    const interrupted = stack.frames.filter((f) => f.interrupted);
    assert.equal(interrupted.length, 1, textOf(stack));
    const at = stack.frames.indexOf(interrupted[0]!);
    assert.match(stack.frames[at - 1]!.text, /Interrupt/);
    for (let processor = 0; processor < target.stopped.change.numberProcessors; processor++) {
      const other = await stackOf(symbols, processor);
      assert.equal(other.end.kind, 'bottom');
      assert.ok(
        other.frames.every((f) => f.named?.symbol !== undefined),
        textOf(other),
      );
    }
  });

  void it('needs no PDB: exports name what they can, unwind data come from memory', async (t) => {
    const symbols = await liveSymbols(t, attached.target, '');
    for (const { state } of symbols.modules)
      assert.match(describeSymbolState(state), /^exports only: No PDB/);
    const full = await liveSymbols(t, attached.target);
    const [stack, whole] = [await stackOf(symbols), await stackOf(full)];
    assert.equal(stack.end.kind, 'bottom');
    const procedures = whole.frames.filter((f) => f.kind === 'procedure');
    assert.deepEqual(
      stack.frames.map((f) => f.address),
      procedures.map((f) => f.address),
    );
    // A name is the right one or none: a function that is not exported must not get its neighbour's.
    for (const [i, { named, text }] of stack.frames.entries()) {
      if (named?.symbol === undefined) assert.match(text, /^\w+\+0x/);
      else assert.equal(text, procedures[i]!.text);
    }
    assert.ok(
      stack.frames.some((f) => f.named?.symbol !== undefined),
      textOf(stack),
    );
  });

  void it('knows where the stack pointer of a body stands while still in its prologue', async (t) => {
    const { target } = attached;
    const symbols = await liveSymbols(t, target);
    const source = unwindSourceOf(target.memory, symbols);
    const start = addressOf(symbols, 'vmkdemo!VmkDemoWork');
    await runTo(start);
    const bodies = new Set<bigint>();
    let body = 0n;
    for (let i = 0; i < 12; i++) {
      const registers = registersOf(await target.registers.context());
      const image = await source.functionAt(registers.rip);
      const { caller, method } = await unwindFrame(source, image, registers);
      bodies.add((await frameBodyOf(image!, caller.rsp))!.rsp);
      if (method === 'body') body = registers.rsp;
      if (method === 'body') break;
      await target.step(limit);
    }
    assert.deepEqual([...bodies], [body]);
  });
});

void describe('processes of the demo kernel', () => {
  void it('are read with the layout of its own PDB', async (t) => {
    const { target, machine } = attached;
    const symbols = await liveSymbols(t, target);
    const processes = await readProcesses(target.memory, symbols);
    await target.resume();
    const said = await machine.console.command('processes');
    await target.breakIn(limit);
    for (const { name, id } of processes)
      assert.match(said, new RegExp(`\\b${id}\\b.*${name}|${name}.*\\b${id}\\b`));
    assert.deepEqual(
      processes.map(({ name }) => name),
      ['System', 'vmkuser.exe'],
      said,
    );
    const special = await target.registers.special();
    assert.ok(processes.some((p) => p.directoryTableBase >> 12n === special.cr3 >> 12n));
  });
});

void describe('threads of the demo kernel', () => {
  void it('what runs on a processor is named by its thread and process', async (t) => {
    const { target } = attached;
    const symbols = await liveSymbols(t, target);
    await runTo(addressOf(symbols, 'vmkdemo!VmkDemoWork'));
    const { thread } = target.stopped.change;
    const summary = await describeThread(target.memory, symbols, thread);
    const processes = await readProcesses(target.memory, symbols);
    const system = processes.find(({ name }) => name === 'System')!;
    assert.deepEqual(
      [summary.thread, summary.processName, summary.processId, summary.process],
      [thread, 'System', system.id, system.eprocess.address],
    );
    assert.ok(summary.threadId > 0n);
  });
});

const nameOfProcedure = (symbols: KernelSymbols, address: VirtualAddress): string | undefined =>
  symbols.at(address)?.symbol?.name;
