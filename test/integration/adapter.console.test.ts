// test-limit: 120 s
/** The debug console over the wire: commands, expressions, completion, and commands of the launch configuration. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { debugDemoKernel, type AdapterClient, type AdapterOnKernel } from '../fixtures/adapter';
import { kernelImages } from '../fixtures/liveSymbols';

let debugging: AdapterOnKernel;
let client: AdapterClient;
let frameId: number;

before(async () => {
  debugging = await debugDemoKernel({
    initCommands: ['lm nt', '? 6 * 7', 'nonsense + 1', '.reload vmkdemo'],
  });
  ({ client } = debugging);
  await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'vmkdemo!Middle' }] });
  const { threadId } = await client.stopAfter(() => client.continueRequest({ threadId: 1 }));
  const { stackFrames } = (await client.stackTraceRequest({ threadId: threadId! })).body;
  frameId = stackFrames[0]!.id;
});
after(() => debugging.end());

const type = async (expression: string): Promise<P.EvaluateResponse['body']> =>
  client.ask('evaluate', { expression, context: 'repl', frameId });

const says = async (expression: string, pattern: RegExp): Promise<void> =>
  assert.match((await type(expression)).result, pattern, expression);

const refuses = async (expression: string, pattern: RegExp): Promise<void> =>
  assert.match((await client.refusal('evaluate', { expression, context: 'repl', frameId })).message, pattern);

const address = '[0-9a-f]{8}`[0-9a-f]{8}';

void describe('the console', () => {
  void it('has run the commands of the launch configuration before the first stop, and outlives a bad one', () => {
    const text = client.output('console');
    assert.match(text, /> lm nt\nfffff\S+ \S+ {2}nt +private symbols/);
    assert.match(text, /> \? 6 \* 7\n42\n/);
    assert.match(text, /> \.reload vmkdemo\nvmkdemo: private symbols/);
    assert.match(client.output('stderr'), /nonsense/);
    const stopped = client.messages.findIndex((m) => 'event' in m && m.event === 'stopped');
    const said = client.messages.findIndex(
      (m) => 'event' in m && m.event === 'output' && JSON.stringify(m).includes('vmkdemo: private'),
    );
    assert.ok(said >= 0 && said < stopped);
  });

  void it('helps', async () => {
    await says('help', /^help \[COMMAND\] .*\n.*\nk \[COUNT\]/);
    await says('help db', /^db \[ADDRESS\] \[L COUNT\]\n {2}Shows memory as bytes/);
    await refuses('help nobody', /There is no command “nobody”/);
  });

  void it('shows memory in the forms that people read', async () => {
    await says('db vmkdemo!Nodes L 32', new RegExp(`^(${address} {2}([0-9a-f]{2} ?){16} {2}.{16}\\n?){2}$`));
    await says('dd vmkdemo!Nodes L 4', new RegExp(`^${address} {2}([0-9a-f]{8} ?){4}$`));
    await says('dw vmkdemo!Nodes L 8', new RegExp(`^${address} {2}([0-9a-f]{4} ?){8}$`));
    await says('dq vmkdemo!Nodes L 2', new RegExp(`^${address} {2}(${address} ?){2}$`));
    const { result: first } = await type('db vmkdemo!Nodes L 16');
    const { result: second } = await type('db');
    const start = (text: string): bigint => BigInt(`0x${text.slice(0, 17).replace('`', '')}`);
    assert.equal(start(second), start(first) + 16n);
    await says('da &vmkdemo!Nodes[0].Name', /"alpha"$/);
    await says('du &vmkdemo!Nodes[0].WideName', /"alpha"$/);
    await says('dps', /vmkdemo!Outer\+0x/);
    await refuses('db 0x10', /No memory at 00000000`00000010/);
    await refuses('db @rsp L 100000', /not between 1 and 4096/);
  });

  void it('shows code, and goes on where it ended', async () => {
    const { result } = await type('u vmkdemo!Middle L 4');
    assert.match(result, new RegExp(`^${address} {2}4883ec38 +sub {5}rsp,38h +; vmkdemo!Middle\\n`));
    assert.equal(result.split('\n').length, 4);
    assert.notEqual((await type('u L 1')).result, result.split('\n')[0]);
  });

  void it('knows symbols, types, modules', async () => {
    await says('x vmkdemo!VmkDemoW*', /vmkdemo!VmkDemoWork \(procedure\)/);
    await says('ln vmkdemo!VmkDemoWork+5', /vmkdemo!VmkDemoWork\+0x5\n {2}.*work\.c:\d+$/);
    await says(
      'dt _VMK_NODE',
      /^vmkdemo!_VMK_NODE, 0x[0-9a-f]+ bytes\n {2}\+0x000 Link +: _LIST_ENTRY\n {2}\+0x010 Id/,
    );
    const node = await type('dt vmkdemo!_VMK_NODE vmkdemo!Nodes');
    const members = (await client.variablesRequest({ variablesReference: node.variablesReference })).body
      .variables;
    assert.equal(members.find(({ name }) => name === 'Id')?.value, '1');
    await says('lm vmk*', /vmkdemo +private symbols from .*vmkdemo\.pdb$/);
    await refuses('x vmkdemo!Nobody*', /No loaded symbol matches.*“lm” shows/);
    await refuses('dt Nobody', /No loaded symbols have a type Nobody/);
    await refuses('ln', /Write: ln ADDRESS/);
    await refuses('.reload nobody', /No module matches nobody/);
  });

  void it('knows where the CPUs stand', async () => {
    await says('k', new RegExp(`^${address} vmkdemo!Middle.*\\[work\\.c:\\d+\\]\\n${address} vmkdemo!Outer`));
    await says('k 1', new RegExp(`^${address} vmkdemo!Middle[^\\n]*$`));
    await says('r', /^rax=[0-9a-f]{16} rbx=.*\n.*\n.*\n.*\nrip=[0-9a-f]{16} vmkdemo!Middle/);
    await says('r rip', /^0xfffff/);
    const before = (await type('r r10')).result.split(' ')[0]!;
    await says('r r10 = @r10 + 1', new RegExp(`^0x0*${(BigInt(before) + 1n).toString(16)}`));
    await type(`r r10 = ${before}`);
    await says('~', /^CPU 0: .*\nCPU 1: /);
    await says('bl', /^\d+ {2}0xfffff[0-9a-f]{11} bound .*, hit 1 times$/);
  });

  void it('evaluates what is no command, and lets it change the kernel', async () => {
    await says('Value + 0', /^\d+$/);
    const { result } = await type('Value');
    const from = client.messages.length;
    await says('Value = 77', /^77$/);
    await client.event('invalidated', from);
    await says('?? Value', /^77$/);
    await says('n 16', /in hexadecimal$/);
    await says('Value', /^0x4d$/);
    await says('n 10', /in decimal$/);
    await refuses('n 7', /Write: n 10\|16/);
    await type(`Value = ${result}`);
    await says('', /^$/);
    await refuses('lmm', /Did you mean the command “lm”\?/);
    await refuses('Value->x', /\w/);
    await refuses('? Value + Nobody', /“Nobody” is not known here, at character 9\. /);
    await refuses('db @rsp + Nobody', /“Nobody” is not known here, at character 8\. /);
  });

  void it('tells views of every assignment, whatever it looks like', async () => {
    const { memoryReference } = await type('&Value');
    await client.ask('readMemory', { memoryReference, count: 4 });
    for (const assignment of ['Value <<= 1', 'Value >>= 1', 'Value++', 'Value -= 1', '(Value ^= 1) + 1']) {
      const from = client.messages.length;
      await type(assignment);
      const event = await client.event<P.MemoryEvent['body']>('memory', from);
      assert.deepEqual(event, { memoryReference, offset: 0, count: 4 }, assignment);
      await client.event('invalidated', from);
    }
    await type('Value ^= 1');
    const from = client.messages.length;
    await type('@r11 = @r11');
    await client.event('invalidated', from);
    await type('Value == 1');
    assert.equal(client.messages.slice(from).filter((m) => 'event' in m && m.event === 'memory').length, 0);
  });

  void it('steps and runs', async () => {
    const step = await client.stopAfter(() => type('p'));
    assert.equal(step.reason, 'step');
    const out = await client.stopAfter(() => client.ask('evaluate', { expression: 'gu', context: 'repl' }));
    assert.match(
      (await client.stackTraceRequest({ threadId: out.threadId!, levels: 1 })).body.stackFrames[0]!.name,
      /^vmkdemo!Outer/,
    );
    const into = await client.stopAfter(() => client.ask('evaluate', { expression: 't', context: 'repl' }));
    assert.equal(into.reason, 'step');
    const hit = await client.stopAfter(() => client.ask('evaluate', { expression: 'g', context: 'repl' }));
    assert.equal(hit.reason, 'function breakpoint');
    frameId = (await client.stackTraceRequest({ threadId: hit.threadId! })).body.stackFrames[0]!.id;
  });
});

void describe('completion', () => {
  const complete = async (text: string): Promise<string[]> => {
    const { targets } = await client.ask<P.CompletionsResponse['body']>('completions', {
      text,
      column: text.length + 1,
      frameId,
    });
    for (const { start, length } of targets) assert.equal(start! + length!, text.length + 1);
    return targets.map(({ label }) => label);
  };

  void it('offers commands, variables, symbols, members, registers, modules', async () => {
    // covers: completions, supportsCompletionsRequest, completionTriggerCharacters
    assert.ok((await complete('.re')).includes('.reload'));
    assert.ok((await complete('Val')).includes('Value'));
    assert.ok((await complete('vmkdemo!VmkDemoWor')).includes('vmkdemo!VmkDemoWork'));
    assert.deepEqual(await complete('Node->Fl'), ['Flags']);
    assert.ok((await complete('1 + Node->Flags.')).includes('Priority'));
    assert.ok((await complete('@ra')).includes('@rax'));
    assert.deepEqual(await complete('r eip'), []);
    assert.deepEqual(await complete('lm vmk'), ['vmkdemo']);
    assert.ok((await complete('u nt!KeSetEv')).includes('nt!KeSetEvent'));
    assert.ok((await complete('help d')).includes('dps'));
  });
});

void describe('symbols', () => {
  void it('are not downloaded unless somebody asks, and what is missing says why', async () => {
    await client.disconnectRequest();
    await client.end();
    const next = await debugging.withOptions({ symbolPath: `${kernelImages}/nowhere` });
    const { modules } = await next.client.ask<P.ModulesResponse['body']>('modules');
    assert.ok(
      modules.every(({ symbolStatus }) => /^(exports only|no symbols): No PDB \w+\.pdb/.test(symbolStatus!)),
    );
    const { stackFrames } = (await next.client.stackTraceRequest({ threadId: 1, levels: 1 })).body;
    assert.match(stackFrames[0]!.name, /^nt[!+]/);
    await next.client.disconnectRequest();
    await next.client.end();
  });
});
