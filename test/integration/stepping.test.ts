// test-limit: 600 s
// test-processors: at once
/**
 * Steps on the demo kernel. What proves them is the source: the lines that follow each other are those that the compiler
 * was given, whatever else runs through the same code.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { plus } from '../../src/engine/core/addresses';
import type { CallFrame } from '../../src/engine/target/callStack';
import type { Stop, StepOptions, UserBreakpoint } from '../../src/engine/target/target';
import { bootAndDebug, limit, type Debugging } from '../fixtures/debugging';

let session: Debugging;
const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
before(async () => {
  session = await bootAndDebug(folder);
});
after(async () => {
  await session.end();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  const { target } = session;
  for (const breakpoint of target.breakpoints.all) await target.breakpoints.remove(breakpoint);
  await target.execution.pause(limit);
  await target.memory.write(session.addressOf('vmkdemo!VmkDemoHammer'), new Uint8Array(16));
  session.errors.length = 0;
});

const files = new Map<string, string[]>();

function textAt(file: string, line: number): string {
  if (!files.has(file)) files.set(file, readFileSync(file, 'utf8').split('\n'));
  return files.get(file)![line - 1]!.trim();
}

interface Where {
  readonly frame: CallFrame;
  /** Without its module and displacement. */
  readonly name: string;
  readonly text: string;
}

async function where(stop: Stop): Promise<Where> {
  const [frame] = (await session.target.processors[stop.processor]!.stack(1)).frames;
  const { source } = frame!;
  return {
    frame: frame!,
    name: frame!.text.replace(/^\w+!/, '').replace(/\+0x.*$/, ''),
    text: source === undefined ? '' : textAt(source.path, source.line),
  };
}

/** Runs to a function's body, and leaves no breakpoint there. */
async function runTo(name: string): Promise<Stop> {
  const breakpoint = await session.target.breakpoints.add({ place: { kind: 'function', name } });
  const stop = await session.run();
  assert.equal(stop.reason.kind, 'breakpoint');
  await session.target.breakpoints.remove(breakpoint);
  return stop;
}

async function step(
  stop: Stop,
  kind: StepOptions['kind'],
  more: Partial<StepOptions> = {},
): Promise<{ readonly stop: Stop } & Where> {
  const { target } = session;
  await target.execution.step({ kind, granularity: 'line', processor: stop.processor, ...more });
  const next = await session.stopped();
  assert.equal(next.reason.kind, 'step', JSON.stringify(next.reason.kind));
  return { stop: next, ...(await where(next)) };
}

void describe('steps by line', () => {
  void it('over: the statements of a function one after the other, whatever they call', async () => {
    let stop = await runTo('vmkdemo!VmkDemoWork');
    const thread = stop.thread;
    const seen = [(await where(stop)).text];
    for (;;) {
      const next = await step(stop, 'over');
      stop = next.stop;
      assert.equal(stop.thread, thread);
      if (next.name !== 'VmkDemoWork') {
        assert.equal(next.name, 'WorkerThread');
        break;
      }
      seen.push(next.text);
    }
    assert.deepEqual(seen, [
      'ULONG Total = 0;',
      'VmkDemoWorkCalls++;',
      'for (ULONG I = 0; I < sizeof(Bytes); I++) Bytes[I] = (UCHAR)(Value + I);',
      'Total += VmkDemoChecksum(Bytes, sizeof(Bytes));',
      'Total += Outer(Value & 0xFF);',
      'Total += VmkDemoFibonacci(6);',
      'Total += TreeSum(Tree);',
      'VmkDemoLarge.Alpha0 = Value;',
      'VmkDemoLarge.Lima9 = Total;',
      'return Total;',
    ]);
  });

  void it('into: behind the prologue of what is called, and back behind the call', async () => {
    let stop = await runTo('vmkdemo!VmkDemoWork');
    while (!(await where(stop)).text.includes('VmkDemoFibonacci(6)')) stop = (await step(stop, 'over')).stop;
    const entered = await step(stop, 'into');
    assert.equal(entered.name, 'VmkDemoFibonacci');
    assert.equal(entered.text, 'if (N < 2) return N;');
    const { frames } = await session.target.processors[stop.processor]!.stack(2);
    assert.match(frames[1]!.text, /VmkDemoWork/);
    const second = await step(entered.stop, 'over');
    assert.equal(second.text, 'return VmkDemoFibonacci(N - 1) + VmkDemoFibonacci(N - 2);');
    // Recursion runs through the very place where this step ends, deeper.
    const third = await step(second.stop, 'over');
    assert.equal(third.frame.callerRsp, second.frame.callerRsp);
    assert.equal(third.name, 'VmkDemoFibonacci');
    const back = await step(third.stop, 'out');
    assert.equal(back.name, 'VmkDemoWork');
    assert.match(back.text, /VmkDemoFibonacci\(6\)/);
  });

  void it('into the call that was chosen, not into those before it', async () => {
    let stop = await runTo('vmkdemo!Outer');
    while (!(await where(stop)).text.includes('Node->Transform(')) stop = (await step(stop, 'over')).stop;
    const calls = await session.target.execution.callsAhead(stop.processor);
    assert.deepEqual(
      calls.map(({ name }) => name.replace(/^vmkdemo!/, '')),
      ['Middle', 'a function through a pointer'],
    );
    const first = await step(stop, 'into', { intoCall: calls[1]!.address });
    assert.match(first.name, /^(Twice|Negate)$/);
  });

  void it('in inlined functions, which are frames like any', async () => {
    const { target } = session;
    const file = path.resolve('test/kernel/drivers/vmkdemo/inlines.c');
    const line =
      readFileSync(file, 'utf8')
        .split('\n')
        .findIndex((one) => one.includes('State ^= Byte;')) + 1;
    const breakpoint = await target.breakpoints.add({ place: { kind: 'source', path: file, line } });
    const stop = await session.run();
    await target.breakpoints.remove(breakpoint);
    assert.deepEqual([(await where(stop)).name, (await where(stop)).frame.kind], ['MixByte', 'inline']);
    const out = await step(stop, 'out');
    assert.equal(out.name, 'VmkDemoChecksum');
    const further = await step(stop, 'out');
    assert.equal(further.name, 'VmkDemoWork');
  });

  void it('out of several frames at once', async () => {
    const stop = await runTo('vmkdemo!Innermost');
    const { frames } = await session.target.processors[stop.processor]!.stack(8);
    const wanted = frames.findIndex(({ text }) => text.includes('VmkDemoWork'));
    const out = await step(stop, 'out', { frame: wanted });
    assert.equal(out.name, 'VmkDemoWork');
    assert.equal(out.frame.address, frames[wanted]!.address);
    await assert.rejects(
      session.target.execution.step({
        kind: 'out',
        granularity: 'line',
        processor: stop.processor,
        frame: 99,
      }),
      { code: 'value-out-of-range' },
    );
  });

  void it('end at a breakpoint that comes first', async () => {
    const { target } = session;
    let stop = await runTo('vmkdemo!VmkDemoWork');
    while (!(await where(stop)).text.includes('Outer(')) stop = (await step(stop, 'over')).stop;
    const breakpoint = await target.breakpoints.add({
      place: { kind: 'function', name: 'vmkdemo!Innermost' },
    });
    await target.execution.step({ kind: 'over', granularity: 'line', processor: stop.processor });
    const hit = await session.stopped();
    assert.deepEqual(hit.reason, { kind: 'breakpoint', breakpoints: [breakpoint] });
    // The step is over: its places stop nobody any more.
    await target.breakpoints.remove(breakpoint);
    await target.execution.resume();
    await session.machine.console.command('ticks');
    assert.equal(target.state.kind, 'running');
  });

  void it('end where an exception goes on that is caught', async () => {
    const { target, machine } = session;
    const breakpoint = await target.breakpoints.add({ place: { kind: 'function', name: 'nt!Crash' } });
    await target.execution.resume();
    const answer = machine.console.command('crash handled', 60_000);
    let stop = await session.stopped();
    await target.breakpoints.remove(breakpoint);
    while (!(await where(stop)).text.includes('WriteTo(0x10);')) stop = (await step(stop, 'over')).stop;
    const caught = await step(stop, 'over');
    assert.equal(caught.name, 'Crash');
    assert.match(caught.text, /handled %08lx|__except/);
    await target.execution.resume();
    assert.match(await answer, /handled c0000005/i);
  });
});

void describe('steps of one thread among others', () => {
  /** Threads on both processors run through it, without a pause. */
  const shared = 'vmkdemo!VmkDemoShared';

  /** InterlockedIncrement is a function of its own, inlined there. */
  async function outOfShared(stop: Stop): Promise<Stop> {
    let now = await step(stop, 'out');
    if (now.name === 'VmkDemoShared') now = await step(now.stop, 'out');
    assert.equal(now.name, 'SharedThread');
    return now.stop;
  }

  void it('over and out wait for their own thread', async () => {
    const { target, machine } = session;
    await target.execution.resume();
    await machine.console.command('hammer 100000', 60_000);
    await target.execution.pause(limit);
    for (let i = 0; i < 3; i++) {
      let stop = await runTo(shared);
      const { thread } = stop;
      const number = textOf(await where(stop));
      assert.match(number, /KeGetCurrentProcessorNumber/);
      for (const text of [/PerProcessor\[Number\]\+\+/, /InterlockedIncrement/]) {
        const next = await step(stop, 'over');
        stop = next.stop;
        assert.equal(stop.thread, thread);
        assert.match(next.text, text);
      }
      stop = await outOfShared(stop);
      assert.equal(stop.thread, thread);
    }
  });

  void it('with a breakpoint in the same code, each of its hits is told once', async () => {
    const { target } = session;
    const hits = new Map<bigint, number>();
    const rule = {
      condition: async (processor: { thread(): Promise<bigint> }): Promise<boolean> => {
        const thread = await processor.thread();
        hits.set(thread, (hits.get(thread) ?? 0) + 1);
        return false;
      },
    };
    let stop = await runTo(shared);
    const { thread } = stop;
    const breakpoint: UserBreakpoint = await target.breakpoints.add({
      place: { kind: 'function', name: shared },
      rule,
    });
    // The step begins on the breakpoint, and is not a hit of it.
    stop = (await step(stop, 'over')).stop;
    stop = (await step(stop, 'over')).stop;
    stop = await outOfShared(stop);
    assert.equal(stop.thread, thread);
    assert.equal(hits.get(thread), undefined);
    // Once round, which takes it there again.
    while ((await where(stop)).name !== 'VmkDemoShared') stop = (await step(stop, 'into')).stop;
    assert.equal(hits.get(thread), 1);
    await target.breakpoints.remove(breakpoint);
  });
});

void describe('steps by instruction', () => {
  void it('into and over: calls are entered or not, the rest is one instruction', async () => {
    const { target } = session;
    let stop = await runTo('vmkdemo!VmkDemoFibonacci');
    const instruction = { granularity: 'instruction' } as const;
    let calls = 0;
    for (let i = 0; i < 60 && calls < 2; i++) {
      const at = stop.programCounter;
      const info = (await target.code.inspect(at))!;
      if (info.flow.kind === 'call' && calls === 0) {
        stop = (await step(stop, 'over', instruction)).stop;
        assert.equal(stop.programCounter, plus(at, info.length));
        calls++;
      } else if (info.flow.kind === 'call') {
        stop = (await step(stop, 'into', instruction)).stop;
        assert.equal(stop.programCounter, info.flow.target);
        calls++;
      } else {
        stop = (await step(stop, 'into', instruction)).stop;
        const taken = 'target' in info.flow && stop.programCounter === info.flow.target;
        assert.ok(taken || stop.programCounter === plus(at, info.length));
      }
    }
    assert.equal(calls, 2);
  });

  void it('never into an interrupt, though one is due after every stop', async () => {
    let stop = await runTo('vmkdemo!VmkDemoFloat');
    for (let i = 0; i < 40; i++) {
      stop = (await step(stop, 'over', { granularity: 'instruction' })).stop;
      assert.match(session.target.symbols.nameOf(stop.programCounter) ?? '', /^vmkdemo!/);
    }
  });

  void it('from a breakpoint to the next one: both are hit, once each', async () => {
    const { target } = session;
    const counts = [0, 0];
    const start = session.addressOf('vmkdemo!VmkDemoWork');
    const first = (await target.code.inspect(start))!;
    const places = [start, plus(start, first.length)];
    const all = [];
    for (const [i, address] of places.entries()) {
      const condition = (): Promise<boolean> => {
        counts[i]!++;
        return Promise.resolve(false);
      };
      all.push(
        await target.breakpoints.add({ place: { kind: 'instruction', address }, rule: { condition } }),
      );
    }
    await runTo('vmkdemo!Innermost');
    const before = [...counts];
    const third = await target.breakpoints.add({ place: { kind: 'instruction', address: start } });
    let now = await session.run();
    assert.deepEqual(now.reason, { kind: 'breakpoint', breakpoints: [third] });
    assert.deepEqual(counts, [before[0]! + 1, before[1]]);
    now = (await step(now, 'into', { granularity: 'instruction' })).stop;
    assert.equal(now.programCounter, places[1]);
    assert.deepEqual(counts, [before[0]! + 1, before[1]! + 1]);
    await step(now, 'into', { granularity: 'instruction' });
    assert.deepEqual(counts, [before[0]! + 1, before[1]! + 1]);
  });

  void it('on another processor than the one that stopped', async () => {
    const { target } = session;
    const { stop } = target.state.kind === 'stopped' ? target.state : assert.fail('it runs');
    const other = 1 - stop.processor;
    const thread = await target.processors[other]!.thread();
    const before = (await target.processors[other]!.context()).rip;
    await target.execution.step({ kind: 'into', granularity: 'instruction', processor: other });
    const next = await session.stopped();
    assert.equal(next.reason.kind, 'step');
    assert.equal(next.thread, thread);
    assert.notEqual(next.programCounter, before);
  });
});

void describe('going elsewhere', () => {
  void it('sets the instruction pointer, and announces it', async () => {
    const { target } = session;
    const stop = await runTo('vmkdemo!VmkDemoWork');
    const line = (await where(stop)).frame.source!;
    const later = target.symbols
      .findLine({ path: line.path, line: line.line + 2 })
      .flatMap(({ code }) => code)
      .find(({ first }) => first)!;
    await target.execution.goto(stop.processor, later.address);
    const moved = await session.stopped();
    assert.deepEqual(moved.reason, { kind: 'goto' });
    assert.equal(moved.programCounter, later.address);
    assert.match((await where(moved)).text, /^for \(ULONG I/);
    // The counter was jumped over: the guest never saw it.
    const next = await step(moved, 'over');
    assert.match(next.text, /VmkDemoChecksum/);
  });

  void it('makes a step in few requests, all that is shown included', async (t) => {
    const { target } = session;
    let stop = await runTo('vmkdemo!VmkDemoWork');
    let most = 0;
    for (let i = 0; i < 6; i++) {
      const before = target.live.client.statistics!.packetsSent;
      stop = (await step(stop, 'over')).stop;
      const processor = target.processors[stop.processor]!;
      const context = await processor.context();
      await processor.special();
      await processor.stack(20);
      // Locals: what lies between the stack pointer and the caller's frame.
      const { callerRsp } = (await processor.stack(1)).frames[0]!;
      await target.memory.readPartial(context.rsp as never, Number(callerRsp! - context.rsp));
      await target.memory.readPartial(stop.programCounter, 64);
      most = Math.max(most, target.live.client.statistics!.packetsSent - before);
    }
    t.diagnostic(`at most ${most} packets a step`);
    assert.ok(most <= 12, `${most} packets`);
  });
});

const textOf = ({ text }: Where): string => text;
