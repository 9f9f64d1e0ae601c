/**
 * The debug adapter in Windows' Node, on the demo kernel: a session, and one that is ended as VS Code ends adapters in
 * Windows, with all their descendants (taskkill /F /T; Wine's has no /T).
 */

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { AdapterClient } from '../fixtures/adapter';
import { buildCli } from '../fixtures/cli';
import { kernelImages } from '../fixtures/liveSymbols';
import { Wine } from '../fixtures/wine';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const wine = await Wine.start();
const skip = typeof wine === 'string' ? wine : false;
/** Milliseconds. */
const limit = 60_000;

void describe('the adapter in Windows', { skip }, () => {
  if (typeof wine === 'string') return;
  let machine: DemoMachine;
  before(async () => {
    buildCli();
    machine = await bootDemoKernel({ kd: 'tcp' });
  });
  afterEach(() => wine.close());
  after(() => machine.stop());

  const start = async (): Promise<AdapterClient> => {
    const adapter = wine.startNode(path.resolve('dist/adapter.js'), ['--server', '0']);
    const listening = (): RegExpExecArray | null => /listening on (\d+)/.exec(adapter.output());
    await until(() => listening() !== null, 'a port');
    return new AdapterClient({ port: Number(listening()![1]) });
  };
  const attach = async (client: AdapterClient): Promise<void> => {
    const stop = await client.attachAndStop(machine, { symbolPath: `Z:${kernelImages}` });
    const { stackFrames } = (await client.stackTraceRequest({ threadId: stop.threadId! })).body;
    assert.match(stackFrames[0]!.name, /^nt!/);
  };
  const runs = async (): Promise<void> => {
    assert.match(await machine.console.command('ticks', limit), /\d/);
  };

  void it('attaches, knows symbols and code, and lets the kernel go', async () => {
    const client = await start();
    await attach(client);
    await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'vmkdemo!VmkDemoWork' }] });
    const hit = await client.stopAfter(() => client.continueRequest({ threadId: 1 }));
    assert.equal(hit.reason, 'function breakpoint');
    const { result } = await client.ask<{ result: string }>('evaluate', {
      expression: 'u @rip L 1',
      context: 'repl',
    });
    assert.match(result, /vmkdemo|mov|xor/);
    await client.disconnectRequest();
    await client.end();
    await runs();
  });

  void it('lets it go even if it is killed with all its descendants', async () => {
    const client = await start();
    const nodes = async (): Promise<WindowsProcess[]> =>
      (await processes()).filter(({ name }) => name === 'node.exe');
    const [adapter, ...others] = await nodes();
    assert.ok(adapter && others.length === 0);
    await attach(client);
    await assert.rejects(machine.console.command('ticks', 1000));
    for (const victim of tree(adapter, await processes()))
      await wine.runProgram('taskkill', '/f', '/pid', String(victim.pid));
    await client.exited;
    await until(async () => (await nodes()).length === 0, 'end of the guardian');
    await runs();
  });

  const processes = async (): Promise<WindowsProcess[]> => {
    // In UTF-16: what is wanted of it is ASCII.
    const text = (
      await wine.runProgram('wmic', 'process', 'get', 'Name,ParentProcessId,ProcessId')
    ).replaceAll('\0', '');
    return [...text.matchAll(/(\S+)\s+(\d+)\s+(\d+)/g)].map(([, name, parent, pid]) => ({
      name: name!,
      parent: Number(parent),
      pid: Number(pid),
    }));
  };
});

interface WindowsProcess {
  readonly name: string;
  readonly parent: number;
  readonly pid: number;
}

/** A process and its descendants, as far as their parents are alive. */
const tree = (root: WindowsProcess, all: readonly WindowsProcess[]): WindowsProcess[] => [
  root,
  ...all.filter(({ parent }) => parent === root.pid).flatMap((child) => tree(child, all)),
];

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + limit;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `no ${what}`);
    await setTimeout(100);
  }
}
