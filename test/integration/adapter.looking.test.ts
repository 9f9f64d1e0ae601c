// test-limit: 180 s
/** Looking at a stopped kernel over the wire: CPUs, stacks, variables, registers, memory, code, modules, sources. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { preserved, readRegisters } from '../../src/extension/registers/readRegisters';
import type { OwnRequests } from '../../src/protocol/ownRequests';
import { debugDemoKernel, type AdapterClient, type AdapterOnKernel } from '../fixtures/adapter';
import { demoSource, lineOf } from '../fixtures/demoSource';

let debugging: AdapterOnKernel;
let client: AdapterClient;
let frames: P.StackFrame[];

before(async () => {
  debugging = await debugDemoKernel();
  ({ client } = debugging);
  // In the middle of work: three calls deep, with locals of every sort.
  const line = lineOf('work.c', 'return Sum;', 'Middle');
  await client.ask('setBreakpoints', { source: { path: demoSource('work.c') }, breakpoints: [{ line }] });
  const stop = await client.stopAfter(() => client.continueRequest({ threadId: 1 }));
  await client.ask('setBreakpoints', { source: { path: demoSource('work.c') }, breakpoints: [] });
  frames = (await client.stackTraceRequest({ threadId: stop.threadId! })).body.stackFrames;
});
after(() => debugging.end());

const frame = (): P.StackFrame => frames[0]!;

async function scope(name: string, of = frame()): Promise<P.Scope> {
  const { scopes } = (await client.scopesRequest({ frameId: of.id })).body;
  const found = scopes.find((candidate) => candidate.name.startsWith(name));
  assert.ok(found, `${name} in ${scopes.map((s) => s.name).join(', ')}`);
  return found;
}

async function inside(
  of: { variablesReference: number },
  more: Partial<P.VariablesArguments> = {},
): Promise<P.Variable[]> {
  assert.notEqual(of.variablesReference, 0);
  return (await client.variablesRequest({ variablesReference: of.variablesReference, ...more })).body
    .variables;
}

const named = (variables: readonly P.Variable[], name: string): P.Variable => {
  const found = variables.find((variable) => variable.name === name);
  assert.ok(found, `${name} in ${variables.map((v) => v.name).join(', ')}`);
  return found;
};

const evaluate = (
  expression: string,
  more: Partial<P.EvaluateArguments> = {},
): Promise<P.EvaluateResponse['body']> =>
  client.ask('evaluate', { expression, frameId: frame().id, context: 'watch', ...more });

void describe('CPUs and stacks', () => {
  void it('are named by what runs on them', async () => {
    // covers: threads
    const { threads } = (await client.threadsRequest()).body;
    assert.equal(threads.length, 2);
    assert.ok(
      threads.some(({ name }) => /^CPU \d: System \(4\), thread \d+ at 0xffff/.test(name)),
      JSON.stringify(threads),
    );
  });

  void it('come frame by frame, with source, module and what kind of frame it is', async () => {
    // covers: stackTrace
    const names = frames.slice(0, 4).map(({ name }) => name.replace(/\+0x.*/, ''));
    assert.deepEqual(names, [
      'vmkdemo!Middle',
      'vmkdemo!Outer',
      'vmkdemo!VmkDemoWork',
      'vmkdemo!WorkerThread',
    ]);
    assert.equal(frame().source?.path, demoSource('work.c'));
    assert.match(frame().instructionPointerReference!, /^0x[0-9a-f]{16}$/);
    const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
    assert.equal(modules.find(({ id }) => id === frame().moduleId)?.name, 'vmkdemo.sys');
    const last = frames.at(-1)!;
    assert.deepEqual(
      [last.name.split('+')[0], last.presentationHint, last.line],
      ['nt!KiThreadStartup', 'normal', 0],
    );
  });

  void it('come in parts, the top frame first, and keep their numbers', async () => {
    // covers: supportsDelayedStackTraceLoading
    const threadId = await threadOfFrames();
    const top = (await client.stackTraceRequest({ threadId, startFrame: 0, levels: 1 })).body;
    assert.equal(top.stackFrames.length, 1);
    assert.equal(top.stackFrames[0]!.id, frame().id);
    assert.ok(top.totalFrames! >= frames.length);
    const rest = (await client.stackTraceRequest({ threadId, startFrame: 1, levels: 20 })).body;
    assert.deepEqual(
      rest.stackFrames.map(({ id }) => id),
      frames.slice(1, 21).map(({ id }) => id),
    );
    assert.equal(rest.totalFrames, frames.length);
    // VS Code would load so many as are missing, one click a frame.
    const some = (await client.stackTraceRequest({ threadId, startFrame: 1, levels: 2 })).body;
    assert.equal(some.stackFrames.length, 2);
    assert.ok(some.totalFrames! >= frames.length);
  });

  void it('have an error for a CPU that does not exist', async () => {
    assert.match(
      (await client.refusal('stackTrace', { threadId: 9 })).message,
      /There is no CPU 8: this machine has 2/,
    );
  });
});

async function threadOfFrames(): Promise<number> {
  const { threads } = (await client.threadsRequest()).body;
  return threads.find(({ name }) => name.includes('System'))!.id;
}

void describe('variables', () => {
  void it('are those of the frame, with types and expressions', async () => {
    // covers: scopes, variables
    const locals = await inside(await scope('Locals'));
    assert.deepEqual(locals.map(({ name }) => name).sort(), ['Node', 'Sum', 'Value']);
    const sum = named(locals, 'Sum');
    assert.deepEqual([sum.type, sum.evaluateName], ['unsigned long', 'Sum']);
    assert.equal((await evaluate('Sum')).result, sum.value);
    const caller = await inside(await scope('Locals', frames[1]));
    assert.deepEqual(caller.map(({ name }) => name).sort(), ['Link', 'Node', 'Sum', 'Value']);
  });

  void it('unfold: members, bit fields, enums, functions with their source', async () => {
    // covers: locations
    const node = await inside(named(await inside(await scope('Locals')), 'Node'));
    assert.match(named(node, 'Colour').value, /^Vmk\w+ \(-?\d+\)$/);
    const flags = await inside(named(node, 'Flags'));
    assert.equal(named(flags, 'Tail').value, '43981');
    const transform = named(node, 'Transform');
    assert.match(transform.value, /vmkdemo!(Twice|Negate)/);
    const place = await client.ask<P.LocationsResponse['body']>('locations', {
      locationReference: transform.valueLocationReference,
    });
    assert.ok(place);
    assert.equal(place.source.path, demoSource('work.c'));
    const text = readFileSync(demoSource('work.c'), 'utf8').split('\n')[place.line - 1];
    assert.match(text!, /static ULONG (Twice|Negate)\(/);
  });

  void it('come in pages where there are many', async () => {
    const large = named(await inside(await scope('Globals of vmkdemo')), 'VmkDemoLarge');
    assert.equal((await inside(large)).length, 125);
    const middle = await inside(large, { filter: 'named', start: 100, count: 5 });
    assert.deepEqual(
      middle.map(({ name }) => name),
      (await inside(large)).slice(100, 105).map(({ name }) => name),
    );
    const corners = named(await inside(named(await inside(large), 'Node')), 'Corners');
    assert.equal(corners.indexedVariables, 4);
    const page = await inside(corners, { filter: 'indexed', start: 1, count: 2 });
    assert.deepEqual(
      page.map(({ name }) => name),
      ['[1]', '[2]'],
    );
  });

  void it('are not more than a client can bear that does not page', async () => {
    const many = await inside(await evaluate('(char *)vmkdemo!Nodes,3000'));
    assert.deepEqual([many.length, many.at(-1)!.name], [2001, '…']);
    const page = await inside(await evaluate('(char *)vmkdemo!Nodes,3000'), {
      filter: 'indexed',
      start: 2500,
      count: 100,
    });
    assert.equal(page[0]!.name, '[2500]');
  });

  void it('of the module are there, in alphabetical order, and in hexadecimal if that is wanted', async () => {
    // covers: supportsValueFormattingOptions
    const globals = await scope('Globals of vmkdemo');
    assert.equal(globals.expensive, true);
    const all = await inside(globals, { filter: 'indexed', start: 0, count: globals.indexedVariables! });
    const names = all.map(({ name }) => name);
    assert.deepEqual(names, [...names].sort());
    const [plain, inHex] = [
      named(all, 'VmkDemoWorkCalls'),
      named(await inside(globals, { format: { hex: true } }), 'VmkDemoWorkCalls'),
    ];
    assert.equal(BigInt(inHex.value), BigInt(plain.value));
    assert.match(inHex.value, /^0x/);
  });

  void it('that everybody reads as one thing are shown as that', async () => {
    for (const [expression, text] of [
      ['vmkdemo!VmkDemoInterface', '{4d36e978-e325-11ce-bfc1-08002be10318}'],
      ['vmkdemo!VmkDemoNodes', '{list of 5 entries}'],
      ['-1073741819,status', 'STATUS_ACCESS_VIOLATION'],
    ] as const)
      assert.ok((await evaluate(expression)).result.includes(text), (await evaluate(expression)).result);
    const { variablesReference } = await evaluate('vmkdemo!VmkDemoInterface');
    assert.equal(named(await inside({ variablesReference }), 'Data2').value, String(0xe325));
  });

  void it('can be set, in memory, and the client hears what has changed', async () => {
    // covers: setVariable, supportsSetVariable
    const locals = await scope('Locals');
    const sum = named(await inside(locals), 'Sum');
    const from = client.messages.length;
    const set = await client.ask<P.SetVariableResponse['body']>('setVariable', {
      variablesReference: locals.variablesReference,
      name: 'Sum',
      value: 'Value * 2 + 1',
    });
    assert.equal(set.value, (await evaluate('Value * 2 + 1')).result);
    await client.event('invalidated', from);
    assert.equal((await evaluate('Sum')).result, set.value);
    await client.ask('setVariable', {
      variablesReference: locals.variablesReference,
      name: 'Sum',
      value: sum.value,
    });
    const { error } = await client.refusal('setVariable', {
      variablesReference: locals.variablesReference,
      name: 'Sum',
      value: 'Nobody',
    });
    assert.match(error.format, /“?Nobody/);
    assert.equal(error.showUser, false);
  });

  void it('that are registers can be set without the stacks being asked for anew, unless these are others', async () => {
    const [top, caller] = frames as [P.StackFrame, P.StackFrame];
    const set = async (expression: string, value: string): Promise<P.InvalidatedAreas[]> => {
      const from = client.messages.length;
      await client.ask('setExpression', { expression, value, frameId: top.id });
      return (await client.event<P.InvalidatedEvent['body']>('invalidated', from)).areas!;
    };
    const before = (await evaluate('@rbx')).result;
    assert.deepEqual(await set('@rbx', '0x1234'), ['variables']);
    // The function has not saved it: its caller has it, too.
    assert.equal((await evaluate('@rbx', { frameId: caller.id, format: { hex: true } })).result, '0x1234');
    const { stackFrames } = (await client.stackTraceRequest({ threadId: await threadOfFrames() })).body;
    assert.deepEqual(
      stackFrames.map(({ id }) => id),
      frames.map(({ id }) => id),
    );
    await set('@rbx', before);
    const rip = (await evaluate('@rip')).result;
    assert.deepEqual(await set('@rip', '@rip + 1'), ['stacks', 'variables']);
    await set('@rip', rip);
  });

  void it('can be set by changing a part of what is shown', async () => {
    // Clients offer the whole text for editing, with the name behind the number.
    const locals = await scope('Locals');
    const { variablesReference } = locals;
    const node = named(await inside(locals), 'Node');
    const [number, name] = node.value.split(' ');
    assert.match(name!, /^vmkdemo!Nodes/);
    const other = `0x${(BigInt(number!) + 1n).toString(16)} ${name}`;
    const set = await client.ask<P.SetVariableResponse['body']>('setVariable', {
      variablesReference,
      name: 'Node',
      value: other,
    });
    assert.equal(set.value.split(' ')[0], other.split(' ')[0]);
    await client.ask('setVariable', {
      variablesReference,
      name: 'Node',
      value: `${number} ${set.value.split(' ')[1]}`,
    });
    assert.equal(named(await inside(locals), 'Node').value, node.value);
    const colour = await evaluate('Node->Colour');
    const changed = await client.ask<P.SetExpressionResponse['body']>('setExpression', {
      expression: 'Node->Colour',
      value: colour.result.replace(/^\w+/, 'VmkBlue'),
      frameId: frame().id,
    });
    assert.match(changed.value, /^VmkBlue \(/);
    await client.ask('setExpression', {
      expression: 'Node->Colour',
      value: colour.result.split(' ')[0],
      frameId: frame().id,
    });
  });

  void it('of an earlier number are refused', async () => {
    assert.match(
      (await client.refusal('variables', { variablesReference: 999_999 })).message,
      /belongs to an earlier stop/,
    );
    assert.match(
      (await client.refusal('scopes', { frameId: 999_999 })).message,
      /belongs to an earlier stop/,
    );
    assert.match(
      (await client.refusal('locations', { locationReference: 1 })).message,
      /belongs to an earlier stop/,
    );
  });
});

void describe('registers', () => {
  const group = async (name: string): Promise<P.Variable> =>
    named(await inside(await scope('Registers')), name);

  void it('of the CPU are there by groups, and the instruction pointer has a name', async () => {
    const general = await inside(await group('General'));
    assert.equal(general.length, 17);
    assert.equal(named(general, 'rip').value, `${frame().instructionPointerReference} ${frame().name}`);
    assert.match(named(await inside(await group('Control')), 'cr0').value, /^0x[0-9a-f]{16} pe .*wp .*pg/);
    assert.equal((await inside(await group('Segments')))[0]!.value, '0x0010');
    assert.match(named(await inside(await group('Tables')), 'idtr').value, /^0xffff/);
    assert.equal((await inside(await group('Debug'))).length, 6);
  });

  void it('can be set as a whole and bit by bit', async () => {
    const general = await group('General');
    const before = named(await inside(general), 'r11').value;
    const { variablesReference } = general;
    const set = (value: string): Promise<P.SetVariableResponse['body']> =>
      client.ask('setVariable', { variablesReference, name: 'r11', value });
    assert.equal(
      (await set('@rip + 1')).value.split(' ')[0],
      `0x${(BigInt(frame().instructionPointerReference!) + 1n).toString(16)}`,
    );
    assert.equal(BigInt((await set('-1')).value), 0xffff_ffff_ffff_ffffn);
    await set(before.split(' ')[0]!);
    const flags = named(await inside(await group('Flags')), 'eflags');
    const bits = { variablesReference: flags.variablesReference, name: 'cf' };
    const carry = named(await inside(flags), 'cf');
    const flipped = String(1 - Number(carry.value));
    await client.ask('setVariable', { ...bits, value: flipped });
    assert.equal((BigInt((await evaluate('@eflags')).result) & 1n).toString(), flipped);
    await client.ask('setVariable', { ...bits, value: carry.value });
    assert.match((await client.refusal('setVariable', { ...bits, value: '2' })).message, /cf has 1 bit/);
  });

  void it('that are set change the stack, and what its frames mean', async () => {
    const general = await group('General');
    const { variablesReference } = general;
    const threadId = await threadOfFrames();
    const goTo = (value: string): Promise<unknown> =>
      client.ask('setVariable', { variablesReference, name: 'rip', value });
    const top = async (): Promise<P.StackFrame> =>
      (await client.stackTraceRequest({ threadId, levels: 1 })).body.stackFrames[0]!;
    await goTo('&nt!KeSetEvent');
    const there = await top();
    assert.equal(there.name, 'nt!KeSetEvent');
    const names = (await inside(await scope('Locals', there))).map(({ name }) => name);
    assert.ok(!names.includes('Sum') && names.includes('Event'), names.join());
    await goTo(frame().instructionPointerReference!);
    const back = await top();
    assert.equal(back.name, frame().name);
    assert.ok((await inside(await scope('Locals', back))).some(({ name }) => name === 'Sum'));
    // The tests that follow want the frames as they are numbered now.
    frames = (await client.stackTraceRequest({ threadId })).body.stackFrames;
  });

  void it('that lead nowhere end the stack, which says where and why', async () => {
    const { variablesReference } = await group('General');
    const threadId = await threadOfFrames();
    const before = named(await inside({ variablesReference }), 'rsp').value.split(' ')[0]!;
    const set = (value: string): Promise<unknown> =>
      client.ask('setVariable', { variablesReference, name: 'rsp', value });
    await set('0x10');
    const { stackFrames, totalFrames } = (await client.stackTraceRequest({ threadId })).body;
    const last = stackFrames.at(-1)!;
    assert.deepEqual([last.presentationHint, totalFrames], ['label', stackFrames.length]);
    assert.match(last.name, /^\[the stack ends here: .*00000000`000000/);
    const top = (await client.stackTraceRequest({ threadId, startFrame: 0, levels: 1 })).body;
    assert.deepEqual([top.stackFrames.length, top.totalFrames], [1, 2], 'it is known to its end');
    await set(before);
    frames = (await client.stackTraceRequest({ threadId })).body.stackFrames;
    assert.equal(frames.at(-1)!.presentationHint, 'normal');
  });

  void it('of debugging are vmkd’s own, and say so', async () => {
    const { variablesReference } = await group('Debug');
    for (const name of ['dr0', 'dr7']) {
      const refused = await client.refusal('setVariable', { variablesReference, name, value: '1' });
      assert.match(refused.message, new RegExp(`${name} is shared out by vmkd.*set a data breakpoint`));
      const typed = await client.refusal('evaluate', { expression: `@${name} = 1`, context: 'repl' });
      assert.match(typed.message, /is shared out by vmkd/);
    }
    await client.ask('setVariable', { variablesReference, name: 'dr6', value: '0xffff0ff0' });
  });

  void it('of every group can be set', async () => {
    for (const [name, register] of [
      ['Control', 'cr2'],
      ['Segments', 'fs'],
      ['Tables', 'ldtr'],
      ['SSE', 'mxcsr'],
      ['x87', 'fpcw'],
    ] as const) {
      const { variablesReference } = await group(name);
      const before = named(await inside({ variablesReference }), register).value.split(' ')[0]!;
      const value = `0x${(BigInt(before) ^ 4n).toString(16)}`;
      await client.ask('setVariable', { variablesReference, name: register, value });
      const now = named(await inside({ variablesReference }), register).value.split(' ')[0]!;
      assert.equal(BigInt(now), BigInt(value), register);
      await client.ask('setVariable', { variablesReference, name: register, value: before });
    }
    const { variablesReference } = await group('MSRs');
    const set = await client.ask<P.SetVariableResponse['body']>('setVariable', {
      variablesReference,
      name: 'tsc_aux',
      value: '5',
    });
    assert.equal(set.value, '0x0000000000000005');
    await client.ask('setVariable', { variablesReference, name: 'tsc_aux', value: '0' });
  });

  void it('of SSE and x87 are floating point and integers, and can be set as either', async () => {
    const sse = await group('SSE');
    const upper = named(await inside(sse), 'ymm0 … ymm15');
    assert.match(upper.value, /does not tell the upper halves/);
    assert.ok(upper.presentationHint?.attributes?.includes('readOnly'));
    const xmm5 = named(await inside(sse), 'xmm5');
    const doubles = named(await inside(xmm5), 'double');
    const { variablesReference } = doubles;
    await client.ask('setVariable', { variablesReference, name: '[1]', value: '-2.5' });
    assert.match(named(await inside(sse), 'xmm5').value, /^0xc004000000000000/);
    assert.equal(
      named(await inside(named(await inside(named(await inside(sse), 'xmm5')), 'uint64')), '[1]').value,
      '0xc004000000000000',
    );
    await client.ask('setVariable', {
      variablesReference: sse.variablesReference,
      name: 'xmm5',
      value: xmm5.value,
    });
    assert.equal(named(await inside(sse), 'xmm5').value, xmm5.value);
    const x87 = await group('x87');
    const { value } = await client.ask<P.SetVariableResponse['body']>('setVariable', {
      variablesReference: x87.variablesReference,
      name: 'st0',
      value: '0.5',
    });
    assert.match(value, /^0\.5 \(0x3ffe8000000000000000\)$/);
  });

  void it('of the model are read when somebody asks', async () => {
    const msrs = await inside(await group('MSRs'));
    const lstar = named(msrs, 'lstar');
    assert.deepEqual([lstar.value, lstar.presentationHint?.lazy], ['', true]);
    const [value] = await inside(lstar);
    assert.match(value!.value, /^0xffff[0-9a-f]{12} nt!\w+/);
  });

  void it('of a caller are those that the unwinder knows, and cannot be set', async () => {
    const registers = await scope('Registers', frames[1]);
    const known = await inside(registers);
    assert.ok(known.some(({ name }) => name === 'rbx') && !known.some(({ name }) => name === 'rcx'));
    assert.match(
      (
        await client.refusal('setVariable', {
          variablesReference: registers.variablesReference,
          name: 'rbx',
          value: '1',
        })
      ).message,
      /cannot be changed here/,
    );
  });
});

void describe('expressions', () => {
  void it('are evaluated for watches and hovers, and leave the kernel alone', async () => {
    // covers: evaluate, supportsEvaluateForHovers
    const node = await evaluate('Node->Name', { context: 'hover' });
    assert.match(node.result, /^"(alpha|bravo|chuck|delta|echo)"$/);
    const refused = await client.refusal('evaluate', {
      expression: 'Sum = 1',
      frameId: frame().id,
      context: 'watch',
    });
    assert.match(refused.message, /would change the target/);
    assert.equal(refused.error.showUser, false);
    assert.match((await client.refusal('evaluate', { expression: 'Sum +', context: 'hover' })).message, /\w/);
  });

  void it('that are wrong say where, unless it is all of them', async () => {
    const says = async (expression: string): Promise<string> =>
      (await client.refusal('evaluate', { expression, frameId: frame().id, context: 'watch' })).message;
    assert.match(await says('Sum + Nobody * 2'), /^“Nobody” is not known here, at character 7\. /);
    assert.match(await says('Sum +'), /^The expression is not complete, at its end\. /);
    assert.match(await says('Nobody'), /^“Nobody” is not known here\. /);
    const { message } = await client.refusal('setExpression', {
      expression: 'Sum',
      value: 'Value + 1 Value',
      frameId: frame().id,
    });
    assert.match(message, /, at character 11\. /);
  });

  void it('without a frame mean where the kernel stands', async () => {
    const { result } = await client.ask<P.EvaluateResponse['body']>('evaluate', {
      expression: 'Sum',
      context: 'watch',
    });
    assert.equal(result, (await evaluate('Sum')).result);
  });

  void it('go to the clipboard as a whole', async () => {
    // covers: supportsClipboardContext
    const { result } = await evaluate('*Node', { context: 'clipboard' });
    assert.match(result, /^\{\n {2}Link = /);
    assert.match(result, /\n {2}Corners = \{\n {4}\[0\] = \{\n {6}X = /);
  });

  void it('can be assigned to', async () => {
    // covers: setExpression, supportsSetExpression
    const before = (await evaluate('Node->Flags.Priority')).result;
    const set = await client.ask<P.SetExpressionResponse['body']>('setExpression', {
      expression: 'Node->Flags.Priority',
      value: '21',
      frameId: frame().id,
    });
    assert.equal(set.value, '21');
    assert.equal((await evaluate('Node->Flags.Priority')).result, '21');
    await client.ask('setExpression', {
      expression: 'Node->Flags.Priority',
      value: before,
      frameId: frame().id,
    });
    assert.match(
      (await client.refusal('setExpression', { expression: '1 + 1', value: '2', frameId: frame().id }))
        .message,
      /cannot be assigned/,
    );
  });

  void it('of functions lead to their source, of registers are hexadecimal', async () => {
    const { valueLocationReference, memoryReference } = await evaluate('nt!KeSetEvent');
    assert.match(memoryReference!, /^0x[0-9a-f]{16}$/);
    const place = await client.ask<P.LocationsResponse['body']>('locations', {
      locationReference: valueLocationReference,
    });
    assert.match(place!.source.path!, /\.c$/);
    assert.equal((await evaluate('@rip')).result, frame().instructionPointerReference);
    assert.match((await evaluate('@rip,u')).result, /^\d+$/);
    assert.match((await evaluate('@rip & 0')).result, /^0$/);
  });

  void it('point at memory with one reference for one address', async () => {
    const { memoryReference } = await evaluate('Node');
    assert.match(memoryReference!, /^0x[0-9a-f]{16}$/);
    assert.equal((await evaluate('&Node->Link')).memoryReference, memoryReference);
  });
});

void describe('memory', () => {
  const read = (memoryReference: string, count: number, offset = 0): Promise<P.ReadMemoryResponse['body']> =>
    client.ask('readMemory', { memoryReference, count, offset });

  void it('is read as far as it is there, and absent bytes are counted', async () => {
    // covers: readMemory, supportsReadMemoryRequest
    const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
    const nt = modules.find(({ name }) => name === 'ntoskrnl.exe')!;
    const whole = await read(String(nt.id), 64);
    assert.equal(Buffer.from(whole!.data!, 'base64').subarray(0, 2).toString(), 'MZ');
    assert.equal(whole!.unreadableBytes, undefined);
    // The page below the image is no memory.
    const before = await read(String(nt.id), 0x1010, -0x1000);
    assert.deepEqual([before!.data, before!.unreadableBytes], [undefined, 0x1000]);
    assert.equal(before!.address, `0x${(BigInt(String(nt.id)) - 0x1000n).toString(16)}`);
    const nothing = await read('0x10', 32);
    assert.deepEqual([nothing!.data, nothing!.unreadableBytes], [undefined, 32]);
    assert.deepEqual(await read(String(nt.id), 0), { address: nt.id });
    assert.equal((await read('0xffffffffffffffff', 16))!.unreadableBytes, 1);
  });

  void it('is written, and the panes that show it hear of it', async () => {
    // covers: writeMemory, supportsWriteMemoryRequest
    const { memoryReference } = await evaluate('&Sum');
    const before = (await read(memoryReference!, 4))!.data!;
    const from = client.messages.length;
    const written = await client.ask<P.WriteMemoryResponse['body']>('writeMemory', {
      memoryReference,
      data: Buffer.from([0x78, 0x56, 0x34, 0x12]).toString('base64'),
    });
    assert.equal(written!.bytesWritten, 4);
    const event = await client.event<P.MemoryEvent['body']>('memory', from);
    assert.deepEqual(event, { memoryReference, offset: 0, count: 4 });
    const own = await client.event('vmkd/memoryWritten', from);
    assert.deepEqual(own, { address: memoryReference, count: 4 });
    // A local, beside which a function returns to where it did before.
    const { areas } = await client.event<P.InvalidatedEvent['body']>('invalidated', from);
    assert.deepEqual(areas, ['variables']);
    assert.equal((await evaluate('Sum', { format: { hex: true } })).result, '0x12345678');
    await client.ask('writeMemory', { memoryReference, data: before });
  });

  void it('that is written beside all stacks leaves them as they are', async () => {
    const { memoryReference } = await evaluate('&vmkdemo!VmkDemoLarge');
    const from = client.messages.length;
    const { data } = (await read(memoryReference!, 1))!;
    await client.ask('writeMemory', { memoryReference, data });
    const { areas } = await client.event<P.InvalidatedEvent['body']>('invalidated', from);
    assert.deepEqual(areas, ['variables']);
  });

  void it('that is written where a function returns to makes another stack', async () => {
    const stack = async (): Promise<P.StackFrame[]> =>
      (await client.stackTraceRequest({ threadId: await threadOfFrames() })).body.stackFrames;
    const caller = (await stack())[1]!;
    const slot = (await evaluate('(char *)@rsp - 8', { frameId: caller.id })).memoryReference!;
    const before = (await read(slot, 8))!.data!;
    assert.equal(
      Buffer.from(before, 'base64').readBigUInt64LE(),
      BigInt(caller.instructionPointerReference!),
    );
    const elsewhere = Buffer.alloc(8);
    elsewhere.writeBigUInt64LE(BigInt((await evaluate('&vmkdemo!VmkDemoWork')).memoryReference!) + 4n);
    for (const [data, name] of [
      [elsewhere.toString('base64'), /VmkDemoWork/],
      [before, new RegExp(caller.name.replace(/[+].*/, ''))],
    ] as const) {
      const from = client.messages.length;
      await client.ask('writeMemory', { memoryReference: slot, data });
      const { areas } = await client.event<P.InvalidatedEvent['body']>('invalidated', from);
      assert.deepEqual(areas, ['stacks', 'variables']);
      assert.match((await stack())[1]!.name, name);
    }
  });

  void it('that is absent or is no address is refused with a reason', async () => {
    const data = Buffer.from([1]).toString('base64');
    const absent = await client.refusal('writeMemory', { memoryReference: '0x10', data });
    assert.match(absent.message, /refused to write at 00000000`00000010.*Read it first/);
    assert.equal(absent.error.showUser, true);
    assert.match(
      (await client.refusal('readMemory', { memoryReference: 'rsp', count: 1 })).message,
      /“rsp” is no address/,
    );
    const partial = await client.ask<P.WriteMemoryResponse['body']>('writeMemory', {
      memoryReference: '0x10',
      data,
      allowPartial: true,
    });
    assert.equal(partial!.bytesWritten, 0);
  });
});

void describe('disassembly', () => {
  const rows = async (memoryReference: string, instructionOffset: number, instructionCount: number) =>
    (await client.ask<P.DisassembleResponse['body']>('disassemble', {
      memoryReference,
      instructionOffset,
      instructionCount,
      resolveSymbols: true,
    }))!.instructions;

  void it('has exactly as many rows as were asked for, the address where it belongs', async () => {
    // covers: disassemble, supportsDisassembleRequest
    const { instructionPointerReference: rip } = frame();
    const found = await rows(rip!, -200, 400);
    assert.equal(found.length, 400);
    assert.equal(found[200]!.address, rip);
    const addresses = found.map(({ address }) => BigInt(address));
    assert.deepEqual(
      addresses,
      [...new Set(addresses)].sort((a, b) => (a < b ? -1 : 1)),
    );
    // Each row begins where the one before it ends.
    for (const [i, row] of found.entries()) {
      const length = row.instructionBytes?.split(' ').length ?? 1;
      if (i < 399) assert.equal(addresses[i + 1], addresses[i]! + BigInt(length), JSON.stringify(row));
    }
    const start = found.find(({ symbol }) => symbol === 'vmkdemo!Middle')!;
    assert.match(start.instruction, /^sub {5}rsp,38h .*; vmkdemo!Middle$/);
    assert.equal(start.location?.path, demoSource('work.c'));
    assert.ok(found.some(({ instruction }) => /call {4}vmkdemo!Innermost \(/.test(instruction)));
  });

  void it('pads where there is no memory', async () => {
    const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
    const base = String(modules[0]!.id);
    const found = await rows(base, -10, 20);
    assert.equal(found.length, 20);
    assert.equal(found[10]!.address, base);
    assert.ok(found.slice(0, 10).every(({ presentationHint }) => presentationHint === 'invalid'));
    assert.equal((await rows('0x0', -5, 10)).length, 10);
    assert.equal((await rows('0xffffffffffffffff', 0, 10)).length, 10);
    assert.equal((await rows(base, 5, 3)).length, 3);
    assert.equal((await rows(base, -30, 10)).length, 10);
  });

  void it('does not show our breakpoints', async () => {
    const { instructionPointerReference: rip } = frame();
    const before = await rows(rip!, 1, 3);
    const instructionReference = before[0]!.address;
    await client.ask('setInstructionBreakpoints', {
      breakpoints: [{ instructionReference, mode: 'software' }],
    });
    assert.deepEqual(await rows(rip!, 1, 3), before);
    await client.ask('setInstructionBreakpoints', { breakpoints: [] });
  });
});

void describe('modules and sources', () => {
  void it('are listed, with the state of their symbols', async () => {
    // covers: modules, supportsModulesRequest
    const { modules, totalModules } = await client.ask<P.ModulesResponse['body']>('modules');
    assert.equal(totalModules, 3);
    const nt = modules.find(({ name }) => name === 'ntoskrnl.exe')!;
    assert.match(nt.symbolStatus!, /^private symbols from .*ntoskrnl\.pdb$/);
    assert.match(nt.addressRange!, /^0x[0-9a-f]{16}-0x[0-9a-f]{16}$/);
    const part = await client.ask<P.ModulesResponse['body']>('modules', { startModule: 1, moduleCount: 1 });
    assert.deepEqual(
      part.modules.map(({ id }) => id),
      [modules[1]!.id],
    );
  });

  void it('get their symbols by their address, which is no pattern', async () => {
    // covers: vmkd/loadSymbols
    const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
    for (const { id, symbolStatus } of modules)
      assert.deepEqual(
        await client.ask<OwnRequests['vmkd/loadSymbols']['body']>('vmkd/loadSymbols', { base: id }),
        { isLoaded: true, symbolStatus },
      );
    for (const base of ['0x1000', '*', 'nt'])
      assert.match((await client.refusal('vmkd/loadSymbols', { base })).message, /There is no module at/);
  });

  void it('know their source files, and give the text of those that are here', async () => {
    // covers: loadedSources, source, supportsLoadedSourcesRequest
    const { sources } = await client.ask<P.LoadedSourcesResponse['body']>('loadedSources');
    const work = sources.find(({ path: file }) => file === demoSource('work.c'));
    assert.ok(work && sources.length > 40);
    const { content } = await client.ask<P.SourceResponse['body']>('source', {
      source: work,
      sourceReference: 0,
    });
    assert.equal(content, readFileSync(demoSource('work.c'), 'utf8'));
    const secret = await client.refusal('source', { source: { path: '/etc/passwd' }, sourceReference: 0 });
    assert.match(secret.message, /passwd is not on this machine/);
    const missing = await client.refusal('source', {
      source: { path: path.resolve('nowhere.c') },
      sourceReference: 0,
    });
    assert.match(missing.message, /not on this machine\. Map its folder/);
  });

  void it('tell where breakpoints can be', async () => {
    // covers: breakpointLocations, supportsBreakpointLocationsRequest
    const source = { path: demoSource('work.c') };
    const line = lineOf('work.c', 'ULONG Sum = Innermost(Value);');
    const { breakpoints } = await client.ask<P.BreakpointLocationsResponse['body']>('breakpointLocations', {
      source,
      line: line - 2,
      endLine: line + 3,
    });
    const lines = breakpoints.map((place) => place.line);
    assert.ok(lines.includes(line) && !lines.includes(line - 2), lines.join(' '));
  });
});

void describe('what views ask beyond DAP', () => {
  type Body<Name extends keyof OwnRequests> = OwnRequests[Name]['body'];

  void it('lists processes with the CPUs that are in them, and their threads', async () => {
    // covers: vmkd/processes, vmkd/threads
    const { processes } = await client.ask<Body<'vmkd/processes'>>('vmkd/processes');
    assert.equal(processes[0]!.name, 'System');
    assert.equal(processes[0]!.id, 4);
    assert.ok(processes.some(({ cpus }) => cpus.length > 0));
    const { threads } = await client.ask<Body<'vmkd/threads'>>('vmkd/threads', {
      eprocess: processes[0]!.eprocess,
    });
    const running = threads.find(({ cpu }) => cpu !== undefined);
    assert.match(running!.start!, /^vmkdemo!WorkerThread/);
    const { result } = await evaluate('@$thread,x');
    assert.ok(result.includes(running!.ethread.slice(2)), `${result} is ${running!.ethread}`);
    const { error } = await client.refusal('vmkd/threads', { eprocess: '0xffffffffffff0000' });
    assert.equal(error.showUser, false);
  });

  void it('finds the address that an expression means, and names of addresses', async () => {
    // covers: vmkd/locate, vmkd/symbolize
    const locate = async (expression: string): Promise<string> =>
      (await client.ask<Body<'vmkd/locate'>>('vmkd/locate', { expression, frameId: frame().id }))
        .memoryReference;
    const list = await locate('nt!PsLoadedModuleList');
    assert.equal(list, await locate('&nt!PsLoadedModuleList'));
    assert.equal(await locate('poi(&nt!PsLoadedModuleList)'), await locate('nt!PsLoadedModuleList.Flink'));
    const { names } = await client.ask<Body<'vmkd/symbolize'>>('vmkd/symbolize', {
      addresses: [list, '0x0000000000001000'],
    });
    assert.deepEqual(names, ['nt!PsLoadedModuleList', null]);
    assert.equal((await client.refusal('vmkd/locate', { expression: 'nope' })).error.showUser, false);
    assert.equal((await client.refusal('vmkd/symbolize', { addresses: 'nope' })).error.showUser, false);
  });

  void it('finds the code of a source line', async () => {
    // covers: vmkd/locateLine
    const path = demoSource('work.c');
    const line = lineOf('work.c', 'ULONG Sum = Innermost(Value);');
    const at = await client.ask<Body<'vmkd/locateLine'>>('vmkd/locateLine', { path, line });
    const { instructions } = await client.ask<P.DisassembleResponse['body'] & object>('disassemble', {
      memoryReference: at.memoryReference,
      instructionCount: 1,
    });
    assert.equal(instructions[0]!.location?.path, path);
    assert.equal(instructions[0]!.line, line);
    const none = await client.refusal('vmkd/locateLine', { path: demoSource('nope.c'), line: 1 });
    assert.match(none.message, /No code is known of line 1 of .*nope\.c/);
  });

  void it('translates an address, and reads it where it is', async () => {
    // covers: vmkd/pageTables, vmkd/readMemory
    const { memoryReference: address } = await client.ask<Body<'vmkd/locate'>>('vmkd/locate', {
      expression: 'vmkdemo!VmkDemoNodes',
    });
    const walk = await client.ask<Body<'vmkd/pageTables'>>('vmkd/pageTables', { address });
    assert.equal(walk.entries[0]!.name, 'PML4E');
    assert.ok(walk.entries.at(-1)!.flags.includes('kernel'), JSON.stringify(walk));
    const virtual = (await client.ask<P.ReadMemoryResponse['body']>('readMemory', {
      memoryReference: address,
      count: 16,
    }))!.data;
    const there = await client.ask<Body<'vmkd/readMemory'>>('vmkd/readMemory', {
      space: { kind: 'physical' },
      address: walk.physical!,
      count: 16,
    });
    assert.deepEqual(there, { data: virtual, unreadableBytes: 0 });
    const nowhere = await client.ask<Body<'vmkd/pageTables'>>('vmkd/pageTables', {
      address: '0x0000700000000000',
    });
    assert.match(nowhere.why!, /is zero/);
    const beyond = await client.ask<Body<'vmkd/readMemory'>>('vmkd/readMemory', {
      space: { kind: 'physical' },
      address: '0x0000ff0000000000',
      count: 8192,
    });
    assert.deepEqual(beyond, { data: '', unreadableBytes: 4096 });
  });

  void it('reads for views of ours, and keeps nothing of that in mind', async () => {
    const { memoryReference } = await client.ask<Body<'vmkd/locate'>>('vmkd/locate', {
      expression: '&vmkdemo!VmkDemoLarge',
    });
    const at = (offset: number): string => `0x${(BigInt(memoryReference) + BigInt(offset)).toString(16)}`;
    const { data } = (await client.ask<P.ReadMemoryResponse['body']>('readMemory', {
      memoryReference,
      count: 8,
    }))!;
    // More than there are panes that would be remembered.
    for (let view = 0; view < 100; view++)
      await client.ask('vmkd/readMemory', { space: { kind: 'virtual' }, address: at(8 * view), count: 8 });
    const there = await client.ask<Body<'vmkd/readMemory'>>('vmkd/readMemory', {
      ...{ space: { kind: 'virtual' }, address: memoryReference, count: 8 },
    });
    assert.deepEqual(there, { data, unreadableBytes: 0 });
    const absent = await client.ask<Body<'vmkd/readMemory'>>('vmkd/readMemory', {
      ...{ space: { kind: 'virtual' }, address: '0x10', count: 32 },
    });
    assert.deepEqual(absent, { data: '', unreadableBytes: 32 });
    const from = client.messages.length;
    await client.ask('writeMemory', { memoryReference: at(8), data: data! });
    await client.ask('writeMemory', { memoryReference, data: data! });
    await client.event('invalidated', from);
    const told = client.messages
      .slice(from)
      .flatMap((m) =>
        'event' in m && m.event === 'memory' ? [(m.body as P.MemoryEvent['body']).memoryReference] : [],
      );
    assert.deepEqual(told, [memoryReference], 'of the pane alone');
  });

  void it('reads the memory of a process', async () => {
    const { processes } = await client.ask<Body<'vmkd/processes'>>('vmkd/processes');
    const { eprocess } = processes.at(-1)!;
    const space = { kind: 'process', eprocess };
    const { memoryReference: address } = await client.ask<Body<'vmkd/locate'>>('vmkd/locate', {
      expression: 'nt!PsActiveProcessHead',
    });
    const { data } = await client.ask<Body<'vmkd/readMemory'>>('vmkd/readMemory', {
      ...{ space, address, count: 8 },
    });
    assert.notEqual(data, '');
    // The user half of another process: by its own tables.
    const walk = await client.ask<Body<'vmkd/pageTables'>>('vmkd/pageTables', {
      ...{ address: '0x0000000000010000', eprocess },
    });
    const user = await client.ask<Body<'vmkd/readMemory'>>('vmkd/readMemory', {
      ...{ space, address: '0x0000000000010000', count: 8 },
    });
    assert.equal(user.data === '', walk.physical === undefined);
    // Neither what cannot be read is a process, nor what can: one that there was, before.
    for (const none of ['0x0000000000000010', address])
      for (const [command, args] of [
        ['vmkd/readMemory', { space: { kind: 'process', eprocess: none }, address, count: 8 }],
        ['vmkd/pageTables', { eprocess: none, address }],
      ] as const) {
        const { message, error } = await client.refusal(command, args);
        assert.match(message, new RegExp(`There is no process at ${none}`));
        assert.equal(error.showUser, false);
      }
  });

  void it('tells the registers view of groups, and of what is in them if that is unfolded', async () => {
    const open = new Set(['Flags', 'Flags/eflags', 'x87']);
    const { groups, references } = await readRegisters(client, await threadOfFrames(), (path) =>
      open.has(path),
    );
    const lines = (group: string) => groups.find(({ name }) => name === group)!.lines;
    assert.equal(lines('General'), undefined);
    assert.equal(lines('x87')![0]!.parts, undefined);
    const [eflags] = lines('Flags')!;
    const carry = eflags!.parts!.lines!.find(({ name }) => name === 'cf')!;
    assert.deepEqual([carry.canSet, /^[01]$/.test(carry.value)], [true, true]);
    const set = (value: string): Promise<{ value: string }> =>
      client.ask('setVariable', {
        ...{ variablesReference: references.get('Flags/eflags')!, name: 'cf', value },
      });
    const other = carry.value === '1' ? '0' : '1';
    assert.equal((await set(other)).value, other);
    assert.equal((await set(carry.value)).value, carry.value);
  });

  void it('shows where a thread sleeps, as one of DAP’s threads', async () => {
    // covers: vmkd/visitThread
    const [system] = (await client.ask<Body<'vmkd/processes'>>('vmkd/processes')).processes;
    const { threads } = await client.ask<Body<'vmkd/threads'>>('vmkd/threads', {
      eprocess: system!.eprocess,
    });
    const asleep = threads.find(({ cpu, start }) => cpu === undefined && start?.startsWith('vmkdemo!'))!;
    const visit = (ethread: string): Promise<Body<'vmkd/visitThread'>> =>
      client.ask('vmkd/visitThread', { ethread });
    const { threadId } = await visit(asleep.ethread);
    assert.deepEqual(await visit(asleep.ethread), { threadId });
    assert.equal((await client.threadsRequest()).body.threads.length, 2);
    const from = client.messages.length;
    await client.ask('vmkd/visitThread', { ethread: asleep.ethread, listed: true });
    await client.event<{ threadId: number; asleep?: boolean }>(
      'stopped',
      from,
      (body) => body.asleep === true && body.threadId === threadId,
    );
    const { stackFrames } = (await client.stackTraceRequest({ threadId })).body;
    const text = stackFrames.map(({ name }) => name).join('\n');
    assert.match(text, /nt!KiSwapThread/);
    assert.ok(text.includes(asleep.start!.replace(/\+.*/, '')), text);
    const known = (await client.threadsRequest()).body.threads;
    assert.match(known.find(({ id }) => id === threadId)!.name, /^Asleep: System \(4\), thread /);
    // Its frames have variables, and its registers are those that calls preserve.
    const caller = stackFrames.find(({ name }) => name.startsWith('vmkdemo!'))!;
    assert.notDeepEqual(await inside(await scope('Registers', caller)), []);
    await inside(await scope('Locals', caller));
    const { groups } = await readRegisters(client, threadId, () => true);
    assert.deepEqual(
      groups.map(({ name }) => name),
      [preserved],
    );
    assert.ok(groups[0]!.lines!.some(({ name, canSet }) => name === 'rip' && !canSet));
    assert.match((await client.refusal('next', { threadId })).error.format, /cannot be stepped/);
    const running = threads.find(({ cpu }) => cpu !== undefined)!;
    assert.ok((await visit(running.ethread)).threadId <= 2);
    await client.refusal('vmkd/visitThread', { ethread: '0xffffffffffff0000' });
  });
});
