// test-limit: 240 s
/** Running the kernel over the wire: steps, jumps, pauses, what stops it besides breakpoints, what it says meanwhile. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import {
  debugDemoKernel,
  type AdapterClient,
  type AdapterOnKernel,
  type StoppedBody,
} from '../fixtures/adapter';
import { demoSource, lineOf } from '../fixtures/demoSource';

let debugging: AdapterOnKernel;
let client: AdapterClient;

before(async () => {
  debugging = await debugDemoKernel({ timeouts: { breakIn: 3 } });
  ({ client } = debugging);
});
after(() => debugging.end());
afterEach(() => debugging.stop());

const run = (): Promise<StoppedBody> => client.stopAfter(() => client.continueRequest({ threadId: 1 }));

async function top({ threadId }: StoppedBody): Promise<P.StackFrame> {
  const { stackFrames } = (await client.stackTraceRequest({ threadId: threadId!, levels: 1 })).body;
  return stackFrames[0]!;
}

const textOf = ({ line, source }: P.StackFrame): string =>
  (readFileSync(source!.path!, 'utf8').split('\n')[line - 1] ?? '').trim();

/** Runs to a line of work.c. */
async function runTo(line: number): Promise<StoppedBody> {
  const source = { path: demoSource('work.c') };
  await client.ask('setBreakpoints', { source, breakpoints: [{ line }] });
  const stop = await run();
  await client.ask('setBreakpoints', { source, breakpoints: [] });
  assert.equal((await top(stop)).line, line);
  return stop;
}

void describe('steps', () => {
  void it('go over calls, into them, and out of them, by lines', async () => {
    // covers: next, stepIn, stepOut
    const call = lineOf('work.c', 'Total += Outer(Value & 0xFF);');
    const { threadId } = await runTo(call);
    const over = await client.stopAfter(() => client.nextRequest({ threadId: threadId! }));
    assert.deepEqual([over.reason, over.threadId], ['step', threadId]);
    assert.equal(textOf(await top(over)), 'Total += VmkDemoFibonacci(6);');
    const into = await client.stopAfter(() => client.stepInRequest({ threadId: threadId! }));
    assert.match((await top(into)).name, /^vmkdemo!VmkDemoFibonacci/);
    const out = await client.stopAfter(() => client.stepOutRequest({ threadId: threadId! }));
    const frame = await top(out);
    assert.match(frame.name, /^vmkdemo!VmkDemoWork/);
    assert.equal(textOf(frame), 'Total += VmkDemoFibonacci(6);');
  });

  void it('go by single instructions', async () => {
    // covers: supportsSteppingGranularity
    const { threadId } = await runTo(lineOf('work.c', 'Total += Outer(Value & 0xFF);'));
    const before = await top({ reason: 'step', threadId: threadId! });
    const { instructions } = (await client.ask<P.DisassembleResponse['body']>('disassemble', {
      memoryReference: before.instructionPointerReference,
      instructionCount: 2,
    }))!;
    const stop = await client.stopAfter(() =>
      client.nextRequest({ threadId: threadId!, granularity: 'instruction' }),
    );
    assert.equal((await top(stop)).instructionPointerReference, instructions[1]!.address);
    await client.stopAfter(() => client.nextRequest({ threadId: threadId!, granularity: 'statement' }));
  });

  void it('go into the one of several calls that the user chooses', async () => {
    // covers: stepInTargets, supportsStepInTargetsRequest
    const outer = lineOf('work.c', 'Sum += Node->Transform(Middle(Value + Node->Id, Node));');
    const { threadId } = await runTo(outer);
    const frame = await top({ reason: 'step', threadId: threadId! });
    const { targets } = await client.ask<P.StepInTargetsResponse['body']>('stepInTargets', {
      frameId: frame.id,
    });
    assert.match(targets.map(({ label }) => label).join(' '), /Middle/);
    const middle = targets.find(({ label }) => label.includes('Middle'))!;
    const stop = await client.stopAfter(() =>
      client.stepInRequest({ threadId: threadId!, targetId: middle.id }),
    );
    assert.match((await top(stop)).name, /^vmkdemo!Middle/);
  });

  void it('tell the client that all CPUs run', async () => {
    const { threadId } = await runTo(lineOf('work.c', 'VmkDemoWorkCalls++;'));
    const from = client.messages.length;
    await client.stopAfter(() => client.nextRequest({ threadId: threadId! }));
    const since = client.messages.slice(from).map((m) => ('event' in m ? m.event : `${m.type} ${m.command}`));
    const order = ['request next', 'response next', 'continued', 'stopped'].map((what) =>
      since.indexOf(what),
    );
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
      since.join(', '),
    );
    assert.ok(
      order.every((at) => at >= 0),
      since.join(', '),
    );
  });

  void it('of a running kernel are refused', async () => {
    await client.continueRequest({ threadId: 1 });
    for (const command of ['next', 'stepIn', 'stepOut', 'continue'])
      assert.equal((await client.refusal(command, { threadId: 1 })).message, 'notStopped');
  });
});

void describe('going elsewhere', () => {
  void it('is offered within the function, and moves the instruction pointer', async () => {
    // covers: gotoTargets, goto, supportsGotoTargetsRequest
    const from = lineOf('work.c', 'Total += TreeSum(Tree);');
    const to = lineOf('work.c', 'Total += VmkDemoFibonacci(6);');
    const { threadId } = await runTo(from);
    const source = { path: demoSource('work.c') };
    const { targets } = await client.ask<P.GotoTargetsResponse['body']>('gotoTargets', { source, line: to });
    assert.equal(targets[0]!.line, to);
    // The other CPU stands elsewhere, with another stack.
    const other = await client.refusal('goto', { threadId: 3 - threadId!, targetId: targets[0]!.id });
    assert.match(other.message, /^CPU \d does not stand in the function of this line\. .*CPU \d/);
    const stop = await client.stopAfter(() =>
      client.gotoRequest({ threadId: threadId!, targetId: targets[0]!.id }),
    );
    assert.equal(stop.reason, 'goto');
    const frame = await top(stop);
    assert.deepEqual(
      [frame.line, frame.instructionPointerReference],
      [to, targets[0]!.instructionPointerReference],
    );
    const elsewhere = await client.refusal('gotoTargets', {
      source,
      line: lineOf('work.c', 'InitializeListHead(&VmkDemoNodes);'),
    });
    assert.match(elsewhere.message, /No CPU stands in the function/);
  });
});

void describe('pausing', () => {
  void it('stops a running kernel, and does nothing to one that stands', async () => {
    // covers: pause
    await client.continueRequest({ threadId: 1 });
    const stop = await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    assert.equal(stop.reason, 'pause');
    const from = client.messages.length;
    await client.pauseRequest({ threadId: 1 });
    assert.equal(
      client.messages.slice(from).some((m) => 'event' in m),
      false,
    );
  });
});

void describe('what the kernel says', () => {
  void it('arrives as output, in order', async () => {
    await client.continueRequest({ threadId: 1 });
    await debugging.machine.console.command('print 500 order', 60_000);
    const lines = client.output().match(/demo print \d+ of 500: order\n/g) ?? [];
    assert.deepEqual(
      lines,
      Array.from({ length: 500 }, (_, i) => `demo print ${i + 1} of 500: order\n`),
    );
  });

  void it('and asks is answered from the console', async () => {
    await client.continueRequest({ threadId: 1 });
    const from = client.messages.length;
    const asked = debugging.machine.console.command('prompt your name? ', 60_000);
    await client.event<P.OutputEvent['body']>('output', from, ({ output }) => output.includes('your name? '));
    await client.event<P.OutputEvent['body']>('output', from, ({ output }) =>
      output.includes('waits for your answer'),
    );
    // Until then it does not stop, and says why.
    const started = performance.now();
    const { message } = await client.refusal('pause', { threadId: 1 });
    assert.match(message, /waits for an answer.*Type it into the debug console/);
    const [refused] = (
      await client.ask<{ breakpoints: P.Breakpoint[] }>('setFunctionBreakpoints', {
        breakpoints: [{ name: 'nt!KeSetEvent' }],
      })
    ).breakpoints as [P.Breakpoint];
    assert.match(refused.message!, /waits for an answer/);
    assert.ok(performance.now() - started < 2000);
    // What views want is no answer.
    const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
    await client.refusal('vmkd/loadSymbols', { base: modules[0]!.id });
    await client.ask('evaluate', { expression: 'Grace', context: 'repl' });
    assert.equal(await asked, 'Grace');
  });
});

void describe('exceptions', () => {
  const filters = (...filterOptions: P.ExceptionFilterOptions[]): Promise<{ breakpoints: P.Breakpoint[] }> =>
    client.ask('setExceptionBreakpoints', { filters: [], filterOptions });

  void it('stop at the first chance if that is wanted, by code', async () => {
    // covers: setExceptionBreakpoints, exceptionInfo, exceptionBreakpointFilters, supportsExceptionFilterOptions, supportsExceptionInfoRequest
    const [set] = (await filters({ filterId: 'firstChance', condition: '0xc0000005' })).breakpoints as [
      P.Breakpoint,
    ];
    assert.equal(set.verified, true);
    await client.continueRequest({ threadId: 1 });
    // NT tells a debugger of first chances only with FLG_STOP_ON_EXCEPTION in NtGlobalFlag.
    await debugging.machine.console.command('soe on');
    const handled = debugging.machine.console.command('crash handled', 60_000);
    const stop = await client.event<StoppedBody>('stopped', client.messages.length);
    assert.deepEqual([stop.reason, stop.description], ['exception', 'Paused on STATUS_ACCESS_VIOLATION']);
    const info = (await client.exceptionInfoRequest({ threadId: stop.threadId! })).body;
    assert.equal(info.exceptionId, 'STATUS_ACCESS_VIOLATION (0xc0000005)');
    assert.match(
      info.description!,
      /The code wrote to 0x0000000000000010, at 0x[0-9a-f]{16} \(nt!WriteTo.*\) \(first chance\)/,
    );
    assert.equal(info.breakMode, 'always');
    // Nobody has handled it really: the instruction fails again.
    const again = await client.stopAfter(() => client.ask('evaluate', { expression: 'gh', context: 'repl' }));
    assert.deepEqual([again.reason, again.description], [stop.reason, stop.description]);
    await client.ask('evaluate', { expression: 'gn', context: 'repl' });
    assert.match(await handled, /handled c0000005/i);
    await debugging.machine.console.command('soe off');
  });

  void it('that handlers see stay unseen if it is not', async () => {
    await filters();
    await client.continueRequest({ threadId: 1 });
    assert.match(await debugging.machine.console.command('crash handled', 20_000), /handled c0000005/i);
    const [bad] = (await filters({ filterId: 'firstChance', condition: 'all of them' })).breakpoints as [
      P.Breakpoint,
    ];
    assert.match(bad.message!, /“all” is no NTSTATUS\. Write the values in hexadecimal/);
    const [none] = (await filters({ filterId: 'nobody' })).breakpoints as [P.Breakpoint];
    assert.equal(none.verified, false);
  });

  void it('have no information where there was none', async () => {
    assert.match(
      (await client.refusal('exceptionInfo', { threadId: 1 })).message,
      /did not stop for an exception\. Ask/,
    );
  });

  void it('of the code itself stop at its int3', async () => {
    await client.ask('setExceptionBreakpoints', { filters: ['codeBreakpoint'] });
    await client.continueRequest({ threadId: 1 });
    const broken = debugging.machine.console.command('break', 60_000);
    const stop = await client.event<StoppedBody>('stopped', client.messages.length);
    assert.deepEqual([stop.reason, stop.description], ['breakpoint', 'Paused on an int3 of the code']);
    await client.continueRequest({ threadId: 1 });
    assert.equal(await broken, 'continued');
  });

  void it('include the load of a driver, before its first instruction, and its unload', async () => {
    const { machine } = debugging;
    const next = async (command: string, ...wanted: P.ExceptionFilterOptions[]): Promise<string> => {
      await filters(...wanted);
      const from = client.messages.length;
      await client.continueRequest({ threadId: 1 });
      const answer = machine.console.command(command, 60_000);
      const stop = await Promise.race([client.event<StoppedBody>('stopped', from), answer]);
      if (typeof stop === 'string') {
        await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
        return 'no stop';
      }
      await filters();
      await client.continueRequest({ threadId: 1 });
      await answer;
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      return `${stop.reason}: ${stop.description}`;
    };
    const load = { filterId: 'moduleLoad', condition: 'other*, vmkon*' };
    const unload = { filterId: 'moduleUnload' };
    assert.equal(await next('load', load), 'module load: Paused on the load of vmkondem.sys');
    assert.equal(await next('unload', load), 'no stop');
    assert.equal(await next('load', unload), 'no stop');
    assert.equal(await next('unload', unload), 'module unload: Paused on the unload of vmkondem.sys');
  });

  void it('that are the end say which bugcheck it is, and a restart begins anew', async () => {
    // covers: restart, supportsRestartRequest, supportsANSIStyling
    await client.ask('setExceptionBreakpoints', { filters: ['bugcheck'] });
    await client.continueRequest({ threadId: 1 });
    const from = client.messages.length;
    debugging.machine.console
      .command('bugcheck 0xd1 0x10 2 1 0xfffff80000001234', 1000)
      .catch(() => undefined);
    const stop = await client.event<StoppedBody>('stopped', from);
    assert.deepEqual(
      [stop.reason, stop.description],
      ['exception', 'Paused on bugcheck DRIVER_IRQL_NOT_LESS_OR_EQUAL'],
    );
    const info = (await client.exceptionInfoRequest({ threadId: stop.threadId! })).body;
    assert.match(info.exceptionId, /^DRIVER_IRQL_NOT_LESS_OR_EQUAL \(0x000000d1\)$/);
    assert.match(
      info.description!,
      /1: 0x0000000000000010 {2}memory referenced\n {2}2: 0x0000000000000002 {2}IRQL/,
    );
    const important = await client.event<P.OutputEvent['body']>(
      'output',
      from,
      ({ category }) => category === 'important',
    );
    assert.ok(important.output.startsWith('\x1b[31mBugcheck 0x000000d1'), important.output);
    const rebooting = debugging.machine.console.lines.length;
    await client.ask('restart');
    await debugging.machine.console.waitFor(/^console ready$/, 60_000, rebooting);
    const again = await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    assert.equal(again.reason, 'pause');
  });
});

/** The last ones: what is sent to a machine that rests is there when it goes on. */
void describe('what takes long', () => {
  /** The machine rests: nobody answers. */
  async function meanwhileResting(action: (from: number) => Promise<void>): Promise<void> {
    const { machine } = debugging;
    await machine.qmp('stop');
    try {
      await action(client.messages.length);
    } finally {
      await machine.qmp('cont');
    }
  }

  /** A break-in that came too late for whoever wanted it may stop it once more. */
  afterEach(async () => {
    await debugging.stop();
    await client.ask('setFunctionBreakpoints', { breakpoints: [] });
  });

  const progress = (from: number): Promise<P.ProgressStartEvent['body']> =>
    client.event<P.ProgressStartEvent['body']>('progressStart', from);

  void it('is shown, with what it is, and can be given up', async () => {
    await client.continueRequest({ threadId: 1 });
    await meanwhileResting(async (from) => {
      const pausing = client.refusal('pause', { threadId: 1 });
      const { progressId, title, cancellable } = await progress(from);
      assert.deepEqual([title, cancellable], ['Stopping the kernel', true]);
      await client.ask('cancel', { progressId });
      assert.equal((await pausing).message, 'cancelled');
      const ended = await client.event<P.ProgressEndEvent['body']>('progressEnd', from);
      assert.equal(ended.progressId, progressId);
    });
  });

  void it('for longer than the configuration allows is given up: also a breakpoint in a kernel that does not stop', async () => {
    await client.continueRequest({ threadId: 1 });
    await meanwhileResting(async () => {
      const name = 'vmkdemo!VmkDemoWork';
      const [refused] = (
        await client.ask<{ breakpoints: P.Breakpoint[] }>('setFunctionBreakpoints', {
          breakpoints: [{ name }],
        })
      ).breakpoints as [P.Breakpoint];
      assert.equal(refused.verified, false);
      assert.match(refused.message!, /did not stop within 3000 ms/);
      const { message } = await client.refusal('restart');
      assert.match(message, /did not stop within 3000 ms/);
    });
  });

  void it('and only looks is answered as soon as nobody wants it any more', async () => {
    // The registers of the other CPU are not known yet at a fresh stop.
    await client.continueRequest({ threadId: 1 });
    const running = client.messages.length;
    await debugging.stop();
    const stop = await client.event<StoppedBody>('stopped', running);
    await meanwhileResting(async (from) => {
      const walking = client.refusal('stackTrace', { threadId: 3 - stop.threadId! });
      const { seq } = client.messages.slice(from).findLast((m) => m.type === 'request')!;
      await client.ask('cancel', { requestId: seq });
      assert.equal((await walking).message, 'cancelled');
      const reading = client.refusal('scopes', { frameId: 1 });
      assert.match((await reading).message, /belongs to an earlier stop/);
    });
    const { stackFrames } = (await client.stackTraceRequest({ threadId: 1 })).body;
    assert.ok(stackFrames.length > 0);
  });
});
