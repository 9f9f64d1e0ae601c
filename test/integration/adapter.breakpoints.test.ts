// test-limit: 240 s
/** Breakpoints of every kind over the wire, hit by a running kernel. */

import assert from 'node:assert/strict';
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
  debugging = await debugDemoKernel();
  ({ client } = debugging);
});
after(() => debugging.end());

type Breakpoints = { breakpoints: P.Breakpoint[] };

const source = (breakpoints: P.SourceBreakpoint[], file = demoSource('work.c')): Promise<Breakpoints> =>
  client.ask('setBreakpoints', { source: { path: file }, breakpoints });
const functions = (...breakpoints: P.FunctionBreakpoint[]): Promise<Breakpoints> =>
  client.ask('setFunctionBreakpoints', { breakpoints });
const instructions = (...breakpoints: P.InstructionBreakpoint[]): Promise<Breakpoints> =>
  client.ask('setInstructionBreakpoints', { breakpoints });
const data = (...breakpoints: P.DataBreakpoint[]): Promise<Breakpoints> =>
  client.ask('setDataBreakpoints', { breakpoints });

/** Nothing of one test is left for the next, and the kernel stands. */
afterEach(async () => {
  await source([]);
  await functions();
  await instructions();
  await data();
  await debugging.stop();
});

const run = (): Promise<StoppedBody> => client.stopAfter(() => client.continueRequest({ threadId: 1 }));

async function top({ threadId }: StoppedBody): Promise<P.StackFrame> {
  const { stackFrames } = (await client.stackTraceRequest({ threadId: threadId!, levels: 1 })).body;
  return stackFrames[0]!;
}

const evaluate = async (expression: string): Promise<string> =>
  (await client.ask<P.EvaluateResponse['body']>('evaluate', { expression, context: 'watch' })).result;

void describe('source breakpoints', () => {
  void it('stop in their line, again and again', async () => {
    // covers: setBreakpoints, continue
    const line = lineOf('work.c', 'Union.Bytes[1] ^= 0x5A;');
    const { breakpoints } = await source([{ line }]);
    const [set] = breakpoints as [P.Breakpoint];
    assert.deepEqual(
      [set.verified, set.line, set.source?.path],
      [true, line, demoSource('work.c')],
      set.message,
    );
    for (let i = 0; i < 3; i++) {
      const stop = await run();
      assert.deepEqual([stop.reason, stop.hitBreakpointIds], ['breakpoint', [set.id]]);
      const frame = await top(stop);
      assert.deepEqual([frame.line, frame.source?.path], [line, demoSource('work.c')]);
    }
  });

  void it('keep their identity when the client sends its list again, and go when it does not', async () => {
    const lines = [lineOf('work.c', 'Total += TreeSum(Tree);'), lineOf('work.c', 'VmkDemoWorkCalls++;')];
    const first = (await source(lines.map((line) => ({ line })))).breakpoints;
    const again = (await source([{ line: lines[1]! }])).breakpoints;
    assert.deepEqual(again, [first[1]]);
    const stop = await run();
    assert.deepEqual(stop.hitBreakpointIds, [first[1]!.id]);
    const next = await run();
    assert.deepEqual(next.hitBreakpointIds, [first[1]!.id]);
  });

  void it('move to the next line that has code, and say so', async () => {
    const comment = lineOf('work.c', '/*');
    const [moved] = (await source([{ line: comment }])).breakpoints as [P.Breakpoint];
    assert.equal(moved.verified, true);
    assert.ok(moved.line! > comment);
    assert.match(moved.message!, new RegExp(`line ${comment} has no code`));
  });

  void it('in a file that no symbols know wait for it', async () => {
    const [set] = (await source([{ line: 1 }], '/nowhere/else.c')).breakpoints as [P.Breakpoint];
    assert.deepEqual([set.verified, set.reason], [false, 'pending']);
    assert.match(set.message!, /No loaded symbols have code of else\.c/);
    await source([], '/nowhere/else.c');
  });

  void it('hold if their condition does, and only then', async () => {
    // covers: supportsConditionalBreakpoints
    const line = lineOf('work.c', 'return VmkDemoFibonacci(N - 1)');
    await source([{ line, condition: 'N == 3' }]);
    await run();
    assert.equal(await evaluate('N'), '3');
    const [bad] = (await source([{ line, condition: 'N ==' }])).breakpoints as [P.Breakpoint];
    assert.deepEqual([bad.verified, bad.reason], [false, 'failed']);
    assert.match(bad.message!, /, at its end\. /);
    // What only turns out when it is hit stops, and says why.
    const from = client.messages.length;
    await source([{ line, condition: '3 == Nobody' }]);
    await run();
    const { output } = await client.event<P.OutputEvent['body']>(
      'output',
      from,
      ({ category }) => category === 'important',
    );
    assert.match(output, /Nobody.*, at character 6\. /);
  });

  void it('count their hits', async () => {
    // covers: supportsHitConditionalBreakpoints
    const line = lineOf('work.c', 'return VmkDemoFibonacci(N - 1)');
    await functions({ name: 'VmkDemoFibonacci', condition: 'N == 6' });
    await run();
    await functions();
    await source([{ line, hitCondition: '4' }]);
    await run();
    // Of 6, 5, 4, 3, 2, 2, …
    assert.equal(await evaluate('N'), '3');
    const [bad] = (await source([{ line, hitCondition: 'often' }])).breakpoints as [P.Breakpoint];
    assert.match(bad.message!, /is no number of hits.*>=5/);
  });

  void it('tell instead of stopping, as log points', async () => {
    // covers: supportsLogPoints
    const line = lineOf('work.c', 'Total += VmkDemoFibonacci(6);');
    await source([{ line, logMessage: 'work {Value} makes {Total,x}' }]);
    const from = client.messages.length;
    await client.continueRequest({ threadId: 1 });
    await client.until(
      () => (client.output('console').match(/work \d+ makes 0x[0-9a-f]+\n/g) ?? []).length >= 3,
      'messages',
    );
    assert.ok(!client.messages.slice(from).some((m) => 'event' in m && m.event === 'stopped'));
    const values = [...client.output('console').matchAll(/work (\d+) makes/g)].map(([, value]) =>
      Number(value),
    );
    assert.deepEqual(values.slice(0, 3), [values[0], values[0]! + 1, values[0]! + 2]);
    const said = client.events.find(
      ({ event, body }) => event === 'output' && /^work /.test((body as P.OutputEvent['body']).output),
    );
    const { source: where, line: at } = said!.body as P.OutputEvent['body'];
    assert.deepEqual([where?.path, at], [demoSource('work.c'), line]);
  });

  void it('are set while the kernel runs', async () => {
    await client.continueRequest({ threadId: 1 });
    const line = lineOf('driver.c', 'VmkDemoCounter++;');
    const stop = await client.stopAfter(async () => {
      const [set] = (await source([{ line }], demoSource('driver.c'))).breakpoints as [P.Breakpoint];
      assert.equal(set.verified, true);
    });
    assert.equal((await top(stop)).line, line);
    await source([], demoSource('driver.c'));
  });

  void it('may be hardware', async () => {
    // covers: breakpointModes
    const line = lineOf('work.c', 'Total += Outer(Value & 0xFF);');
    const [set] = (await source([{ line, mode: 'hardware' }])).breakpoints as [P.Breakpoint];
    assert.match(set.message!, /hardware slot \d/);
    const stop = await run();
    assert.deepEqual([stop.reason, stop.hitBreakpointIds], ['breakpoint', [set.id]]);
    const [bad] = (await source([{ line, mode: 'magic' }])).breakpoints as [P.Breakpoint];
    assert.match(bad.message!, /no breakpoint mode “magic”/);
  });
});

void describe('function breakpoints', () => {
  void it('stop behind the prologue, by module and name', async () => {
    // covers: setFunctionBreakpoints, supportsFunctionBreakpoints
    const [set] = (await functions({ name: 'vmkdemo!VmkDemoFibonacci', condition: 'N == 6' }))
      .breakpoints as [P.Breakpoint];
    assert.equal(set.verified, true);
    const stop = await run();
    assert.deepEqual([stop.reason, stop.hitBreakpointIds], ['function breakpoint', [set.id]]);
    assert.match((await top(stop)).name, /^vmkdemo!VmkDemoFibonacci/);
    assert.equal(await evaluate('N'), '6');
  });

  void it('take wildcards, and functions of the kernel', async () => {
    const [wild] = (await functions({ name: 'vmkdemo!VmkDemoW*' })).breakpoints as [P.Breakpoint];
    assert.match((await top(await run())).name, /^vmkdemo!VmkDemoWork/);
    const [kernel] = (await functions({ name: 'nt!KeSetEvent' }, { name: 'vmkdemo!Nobody' })).breakpoints as [
      P.Breakpoint,
    ];
    assert.ok(wild.verified && kernel.verified);
  });

  void it('wait for drivers that are not loaded, and are hit when they are', async () => {
    const [set] = (await functions({ name: 'vmkondem!VmkOnDemandHello' })).breakpoints as [P.Breakpoint];
    assert.deepEqual([set.verified, set.reason], [false, 'pending']);
    const from = client.messages.length;
    await client.continueRequest({ threadId: 1 });
    const loading = debugging.machine.console.command('load', 60_000);
    const { breakpoint } = await client.event<P.BreakpointEvent['body']>(
      'breakpoint',
      from,
      (b) => b.breakpoint.verified,
    );
    assert.equal(breakpoint.id, set.id);
    const stop = await client.event<StoppedBody>('stopped', from);
    assert.match((await top(stop)).name, /^vmkondem!VmkOnDemandHello/);
    const { module } = await client.event<P.ModuleEvent['body']>(
      'module',
      from,
      ({ reason }) => reason === 'new',
    );
    assert.equal(module.name, 'vmkondem.sys');
    await functions();
    await client.continueRequest({ threadId: 1 });
    await loading;
    await debugging.machine.console.command('unload', 20_000);
    await client.event<P.ModuleEvent['body']>('module', from, ({ reason }) => reason === 'removed');
  });
});

void describe('breakpoints in other languages than C', () => {
  const mixing = '../vmkondem/mixing.cpp';
  const turning = '../vmkondem/turning.S';

  void it('wait for the driver, and are hit: in C++, in assembly', async () => {
    const mix = lineOf(mixing, 'return Mixer.Mix(');
    const turn = lineOf(turning, 'rol eax, 3');
    for (const [file, line] of [
      [mixing, mix],
      [turning, turn],
    ] as const) {
      const [set] = (await source([{ line }], demoSource(file))).breakpoints as [P.Breakpoint];
      assert.deepEqual([set.verified, set.reason], [false, 'pending']);
    }
    const from = client.messages.length;
    await client.continueRequest({ threadId: 1 });
    const loading = debugging.machine.console.command('load', 60_000);
    const outer = await top(await client.event<StoppedBody>('stopped', from));
    assert.deepEqual([outer.line, outer.source?.path], [mix, demoSource(mixing)]);
    assert.match(outer.name, /^vmkondem!VmkOnDemandMix/);
    const inner = await run();
    const { stackFrames } = (await client.stackTraceRequest({ threadId: inner.threadId! })).body;
    assert.deepEqual([stackFrames[0]!.line, stackFrames[0]!.source?.path], [turn, demoSource(turning)]);
    assert.deepEqual(
      stackFrames.slice(0, 3).map(({ name }) => name.replace(/\+0x.*/, '')),
      ['vmkondem!VmkOnDemandTurn', 'vmkondem!vmk::Mixer<unsigned long,3>::Mix', 'vmkondem!VmkOnDemandMix'],
    );
    const step = await client.stopAfter(() => client.nextRequest({ threadId: inner.threadId! }));
    assert.equal((await top(step)).line, turn + 1);
    for (const file of [mixing, turning]) await source([], demoSource(file));
    await client.continueRequest({ threadId: 1 });
    await loading;
    await debugging.machine.console.command('unload', 20_000);
  });
});

void describe('instruction breakpoints', () => {
  void it('stop at an address', async () => {
    // covers: setInstructionBreakpoints, supportsInstructionBreakpoints
    const { memoryReference } = await client.ask<P.EvaluateResponse['body']>('evaluate', {
      expression: '&VmkDemoChecksum',
      context: 'watch',
    });
    const [set] = (await instructions({ instructionReference: memoryReference!, offset: 0 })).breakpoints as [
      P.Breakpoint,
    ];
    assert.deepEqual([set.verified, set.instructionReference], [true, memoryReference]);
    const stop = await run();
    assert.deepEqual([stop.reason, stop.hitBreakpointIds], ['instruction breakpoint', [set.id]]);
    assert.equal((await top(stop)).instructionPointerReference, memoryReference);
  });

  void it('that cannot be say why', async () => {
    const { breakpoints } = await instructions(
      { instructionReference: '0x10' },
      { instructionReference: 'main' },
      { instructionReference: '0xfffff80000000000' },
    );
    assert.ok(breakpoints.every(({ verified }) => !verified));
    assert.match(breakpoints[1]!.message!, /“main” is no address/);
    const { memoryReference } = await client.ask<P.EvaluateResponse['body']>('evaluate', {
      expression: '&VmkDemoCounter',
      context: 'watch',
    });
    const [inData] = (await instructions({ instructionReference: memoryReference! })).breakpoints as [
      P.Breakpoint,
    ];
    assert.deepEqual([inData.verified, inData.reason], [false, 'failed'], inData.message);
    assert.match(breakpoints[0]!.message!, /No memory is at 00000000`00000010\. Give an address/);
    const [empty] = (await functions({ name: ' ' })).breakpoints as [P.Breakpoint];
    assert.match(empty.message!, /has no name\. Write/);
  });
});

void describe('data breakpoints', () => {
  const info = (args: P.DataBreakpointInfoArguments): Promise<P.DataBreakpointInfoResponse['body']> =>
    client.ask('dataBreakpointInfo', args);

  void it('stop when a variable is written', async () => {
    // covers: dataBreakpointInfo, setDataBreakpoints, supportsDataBreakpoints
    const { dataId, accessTypes, description } = await info({ name: 'vmkdemo!VmkDemoWatched' });
    assert.deepEqual(accessTypes, ['write', 'readWrite']);
    assert.match(description, /^8 bytes at vmkdemo!VmkDemoWatched$/);
    const [set] = (await data({ dataId: dataId!, accessType: 'write' })).breakpoints as [P.Breakpoint];
    assert.equal(set.verified, true, set.message);
    const before = BigInt(await evaluate('VmkDemoWatched'));
    const stop = await run();
    assert.deepEqual([stop.reason, stop.hitBreakpointIds], ['data breakpoint', [set.id]]);
    assert.equal(BigInt(await evaluate('VmkDemoWatched')), before + 1n);
    assert.match((await top(stop)).name, /^vmkdemo!WorkerThread/);
  });

  void it('are offered for what the variables view shows, without asking the kernel', async () => {
    await functions({ name: 'vmkdemo!Middle' });
    const frame = await top(await run());
    const { scopes } = (await client.scopesRequest({ frameId: frame.id })).body;
    const locals = scopes[0]!.variablesReference;
    await client.variablesRequest({ variablesReference: locals });
    const { dataId, description } = await info({ name: 'Value', variablesReference: locals });
    assert.match(dataId!, /^0x[0-9a-f]{16},4$/);
    assert.equal(description, '4 bytes at Value');
    const registers = scopes.find(({ name }) => name === 'Registers')!.variablesReference;
    assert.equal((await info({ name: 'General', variablesReference: registers })).dataId, null);
  });

  void it('watch as many bytes of any address as the processor can', async () => {
    // covers: supportsDataBreakpointBytes
    const { memoryReference } = await client.ask<P.EvaluateResponse['body']>('evaluate', {
      expression: '&VmkDemoCounter',
      context: 'watch',
    });
    const found = await info({ name: memoryReference!, asAddress: true, bytes: 4 });
    await data({ dataId: found.dataId!, accessType: 'readWrite' });
    assert.equal((await run()).reason, 'data breakpoint');
    // What is not one aligned piece takes several registers, as long as there are any.
    const odd = `0x${(BigInt(memoryReference!) - 3n).toString(16)}`;
    const across = await info({ name: odd, asAddress: true, bytes: 5 });
    assert.match(across.description, /^5 bytes at 0x[0-9a-f]{16}, by 3 debug registers$/);
    const [wide] = (await data({ dataId: across.dataId!, accessType: 'write' })).breakpoints as [
      P.Breakpoint,
    ];
    assert.match(wide.message!, /hardware slot 0; hardware slot 1; hardware slot 2/);
    assert.deepEqual((await run()).hitBreakpointIds, [wide.id]);
    // VS Code says nothing when it gets no id for an address, but shows errors.
    const most = await client.refusal('dataBreakpointInfo', { name: odd, asAddress: true, bytes: 64 });
    assert.match(most.message, /^64 bytes there cannot be watched by the 4 debug registers.*\. Watch less/);
    const nowhere = await client.refusal('dataBreakpointInfo', { name: 'there', asAddress: true, bytes: 4 });
    assert.match(nowhere.message, /“there” is no address\. Write an address in hexadecimal/);
  });

  void it('are refused with a reason, never with an error that would cost the client its menu', async () => {
    for (const [args, reason] of [
      [{ name: 'Nobody' }, /“Nobody” is not known here/],
      [{ name: 'VmkDemoCounter +' }, /not complete, at its end/],
      [{ name: '1 + 1' }, /lies in no memory/],
      [{ name: 'Value', variablesReference: 999_999 }, /belongs to an earlier stop/],
      [{ name: 'vmkdemo!VmkDemoLarge' }, /bytes there cannot be watched by the 4 debug registers/],
    ] as const) {
      const { dataId, description } = await info(args);
      assert.equal(dataId, null);
      assert.match(description, reason);
    }
  });

  void it('are four, and the fifth says who has the slots', async () => {
    const { memoryReference } = await client.ask<P.EvaluateResponse['body']>('evaluate', {
      expression: '&VmkDemoLarge',
      context: 'watch',
    });
    const base = BigInt(memoryReference!);
    const { breakpoints } = await data(
      ...[0n, 8n, 16n, 24n, 32n].map((offset) => ({
        dataId: `0x${(base + offset).toString(16)},4`,
        accessType: 'write' as const,
      })),
    );
    assert.deepEqual(
      breakpoints.map(({ verified }) => verified),
      [true, true, true, true, false],
    );
    assert.match(breakpoints[4]!.message!, /0 of 4 are free/);
    const [read] = (await data({ dataId: `${memoryReference},4`, accessType: 'read' })).breakpoints as [
      P.Breakpoint,
    ];
    assert.match(read.message!, /cannot watch for reads alone/);
  });
});

void describe('breakpoints at the end', () => {
  void it('are gone from the kernel’s code when the client disconnects', async () => {
    const { machine } = debugging;
    const names = ['VmkDemoWork', 'VmkDemoFibonacci', 'VmkDemoChecksum', 'VmkDemoFloat'];
    const code: { name: string; address: string; bytes: string }[] = [];
    for (const name of names) {
      const { memoryReference } = await client.ask<P.EvaluateResponse['body']>('evaluate', {
        expression: `&vmkdemo!${name}`,
        context: 'watch',
      });
      const memory = await client.ask<P.ReadMemoryResponse['body']>('readMemory', {
        memoryReference,
        count: 8,
      });
      code.push({
        name,
        address: memoryReference!,
        bytes: Buffer.from(memory!.data!, 'base64').reverse().toString('hex'),
      });
    }
    await instructions(...code.map(({ address }) => ({ instructionReference: address, condition: '0' })));
    await client.continueRequest({ threadId: 1 });
    await client.disconnectRequest();
    for (const { name, address, bytes } of code) {
      const seen = await machine.console.command(`peek ${address}`);
      assert.ok(seen.replace(/`/g, '').includes(bytes), `${name}: ${seen}, not ${bytes}`);
    }
    // The rest of the file has a new session.
    await client.end();
    debugging = await debugging.again();
    ({ client } = debugging);
  });
});
