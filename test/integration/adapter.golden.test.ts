// test-limit: 120 s
/** The main flows over the wire, word for word. One CPU, so that nothing depends on which one is first. */

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AdapterClient } from '../fixtures/adapter';
import { demoSource, lineOf } from '../fixtures/demoSource';
import { kernelImages } from '../fixtures/liveSymbols';
import { compareGolden } from '../fixtures/transcript';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

let machine: DemoMachine;
before(async () => {
  machine = await bootDemoKernel({ cpus: 1, kaslrSeed: 11 });
});
after(() => machine.stop());

const masks = (): [string, string][] => [
  [machine.kdLink, '<link>'],
  // Native code, where it was built, maps the file.
  [`${machine.ramFile}, mapped`, '<ram>'],
  [machine.ramFile, '<ram>'],
  [kernelImages, '<images>'],
  [path.resolve('.'), '<repository>'],
];

/** A plain client: no progress, no refreshing. */
async function attach(client: AdapterClient): Promise<void> {
  await client.initializeRequest({ adapterID: 'vmkd', pathFormat: 'path', supportsVariableType: true });
  const initialized = client.event('initialized');
  await client.attachRequest({ link: machine.kdLink, symbolPath: kernelImages } as never);
  await initialized;
  // Symbols of the driver come in the background; from here on nothing depends on when.
  const { result } = await client.ask<{ result: string }>('evaluate', {
    expression: '.reload vmkdemo',
    context: 'repl',
  });
  assert.match(result, /private symbols/);
}

void describe('golden transcripts', () => {
  void it('attach, break, look, step, leave', async (t) => {
    const client = new AdapterClient();
    t.after(() => client.end());
    await attach(client);
    const source = { path: demoSource('work.c') };
    const line = lineOf('work.c', 'ULONG Sum = Innermost(Value);');
    await client.ask('setBreakpoints', { source, breakpoints: [{ line, condition: 'Node->Id == 3' }] });
    await client.ask('setExceptionBreakpoints', { filters: ['bugcheck'] });
    await client.configurationDoneRequest();
    await client.event('stopped');
    await client.stopAfter(() => client.continueRequest({ threadId: 1 }));
    await client.threadsRequest();
    const { stackFrames } = (await client.stackTraceRequest({ threadId: 1, levels: 3 })).body;
    const frameId = stackFrames[0]!.id;
    await client.scopesRequest({ frameId });
    const { variablesReference } = await client.ask<{ variablesReference: number }>('evaluate', {
      expression: '*Node',
      context: 'watch',
      frameId,
    });
    await client.variablesRequest({ variablesReference, start: 1, count: 2 });
    await client.ask('evaluate', { expression: 'Node->Name', context: 'hover', frameId });
    await client.stopAfter(() => client.stepInRequest({ threadId: 1 }));
    await client.stackTraceRequest({ threadId: 1, levels: 1 });
    await client.stopAfter(() => client.stepOutRequest({ threadId: 1 }));
    await client.disconnectRequest();
    await client.exited;
    compareGolden('adapter.main', client.messages, masks());
  });

  void it('what goes wrong', async (t) => {
    const client = new AdapterClient();
    t.after(() => client.end());
    await client.initializeRequest({ adapterID: 'vmkd', pathFormat: 'path' });
    await client.refusal('attach', { link: machine.kdLink, symbolpath: kernelImages });
    await client.refusal('attach', { vm: 'C:\\vms\\w11.vmx', link: machine.kdLink });
    await client.refusal('threadsOfYesterday');
    await client.attachRequest({ link: machine.kdLink, symbolPath: kernelImages } as never);
    await client.event('initialized');
    await client.configurationDoneRequest();
    await client.event('stopped');
    await client.refusal('evaluate', { expression: 'nt!Nobody', context: 'watch' });
    await client.refusal('evaluate', { expression: '1 +', context: 'hover' });
    await client.refusal('scopes', { frameId: 77 });
    await client.refusal('writeMemory', { memoryReference: '0x10', data: 'AA==' });
    await client.ask('setInstructionBreakpoints', { breakpoints: [{ instructionReference: '0x10' }] });
    await client.disconnectRequest();
    await client.exited;
    compareGolden('adapter.refusals', client.messages, masks());
  });
});
