// test-limit: 400 s
/** Sessions of the debug adapter: how they begin, how they end, and that the kernel is let go whatever ends them. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { formatTraceEvent, readTraceChunks, traceEvents } from '../../src/engine/link/trace';
import { AdapterClient, debugMachine } from '../fixtures/adapter';
import { lineOf } from '../fixtures/demoSource';
import { descendantsOf, gone, guardianOf } from '../fixtures/guardian';
import { kernelImages } from '../fixtures/liveSymbols';
import { tempFolder } from '../fixtures/tempFolder';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

let machine: DemoMachine;
before(async () => {
  machine = await bootDemoKernel();
});
after(() => machine.stop());

/** The kernel answers on its console: it runs. */
async function isRunning(): Promise<void> {
  assert.match(await machine.console.command('ticks'), /\d/);
}

async function isFrozen(): Promise<void> {
  await assert.rejects(machine.console.command('ticks', 1500), /took over/);
}

/** A client whose adapter ends with the test. */
function newClient(
  t: { after(action: () => Promise<void>): void },
  adapter: ConstructorParameters<typeof AdapterClient>[0] = [],
): AdapterClient {
  const client = new AdapterClient(adapter);
  t.after(() => client.end());
  return client;
}

void describe('a session begins', () => {
  void it('with what the adapter can do, before anything is known of the kernel', async (t) => {
    // covers: initialize, supportsConfigurationDoneRequest
    const client = newClient(t);
    const capabilities = (await client.initializeRequest()).body!;
    assert.equal(capabilities.supportsConfigurationDoneRequest, true);
    assert.equal(capabilities.supportsANSIStyling, true);
    assert.equal(capabilities.supportsDataBreakpointBytes, true);
    assert.equal(capabilities.supportsSingleThreadExecutionRequests, undefined);
  });

  void it('attaches, lets the client set its breakpoints, then tells of the stop', async (t) => {
    // covers: attach, configurationDone
    const client = newClient(t);
    const stop = await client.attachAndStop(machine);
    assert.deepEqual(stop, {
      reason: 'entry',
      description: 'Paused on attach',
      threadId: stop.threadId,
      allThreadsStopped: true,
    });
    const names = client.messages.map((m) => ('event' in m ? m.event : m.command));
    assert.ok(names.indexOf('initialized') < names.indexOf('configurationDone'));
    assert.ok(names.lastIndexOf('configurationDone') < names.indexOf('stopped'));
    await client.disconnectRequest();
    await isRunning();
  });

  void it('with the symbols of what stands on the stacks', async (t) => {
    const before = newClient(t);
    await before.attachAndStop(machine);
    await before.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'vmkdemo!Middle' }] });
    await before.stopAfter(() => before.continueRequest({ threadId: 1 }));
    await before.disconnectRequest({ suspendDebuggee: true });
    await before.end();
    const { client } = await debugMachine(machine);
    t.after(() => client.end());
    const stop = client.events.find(({ event }) => event === 'stopped')!.body as P.StoppedEvent['body'];
    const { stackFrames } = (await client.stackTraceRequest({ threadId: stop.threadId!, levels: 1 })).body;
    assert.match(stackFrames[0]!.name, /^vmkdemo!Middle/);
    assert.equal(stackFrames[0]!.source!.name, 'work.c');
    await client.disconnectRequest();
    await isRunning();
  });

  void it('lets the kernel run on if it shall not be stopped', async (t) => {
    const client = newClient(t);
    await client.attachTo(machine, { breakOnAttach: false });
    await client.configurationDoneRequest();
    await isRunning();
    assert.deepEqual(
      (await client.threadsRequest()).body.threads.map(({ name }) => name),
      ['CPU 0', 'CPU 1'],
    );
    const { message } = await client.refusal('stackTrace', { threadId: 1 });
    assert.equal(message, 'notStopped');
    const stop = await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    assert.equal(stop.reason, 'pause');
    await client.disconnectRequest();
    await isRunning();
  });

  void it('does not run past breakpoints that wait for symbols', async (t) => {
    const client = newClient(t);
    await client.attachTo(machine, { breakOnAttach: false });
    const { breakpoints } = await client.ask<{ breakpoints: P.Breakpoint[] }>('setFunctionBreakpoints', {
      breakpoints: [{ name: 'vmkdemo!VmkDemoWork' }],
    });
    const from = client.messages.length;
    await client.configurationDoneRequest();
    const stop = await client.event<P.StoppedEvent['body']>('stopped', from);
    assert.deepEqual(stop.hitBreakpointIds, [breakpoints[0]!.id]);
    await client.disconnectRequest();
    await isRunning();
  });

  void it('not for what a browser sends to the port of a server', async (t) => {
    const server = newClient(t, ['--server', '0']);
    await server.until(() => /listening on \d+/.test(server.stderr), 'port');
    const port = Number(/listening on (\d+)/.exec(server.stderr)![1]);
    const body = JSON.stringify({ seq: 1, type: 'request', command: 'initialize', arguments: {} });
    const browser = connect(port, '127.0.0.1');
    t.after(() => browser.destroy());
    let answer = '';
    browser.on('data', (bytes: Buffer) => (answer += bytes.toString()));
    // A page of anybody's can make it send this; its headers hold all that DAP's do.
    browser.write(`POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await once(browser, 'close', { signal: AbortSignal.timeout(10_000) });
    assert.equal(answer, '');
    const client = newClient(t, { port });
    assert.equal((await client.initializeRequest()).success, true);
    await client.end();
  });

  void it('on a loopback port too, one session a connection', async (t) => {
    const server = newClient(t, ['--server', '0']);
    await server.until(() => /listening on \d+/.test(server.stderr), 'port');
    const port = Number(/listening on (\d+)/.exec(server.stderr)![1]);
    const client = newClient(t, { port });
    const stop = await client.attachAndStop(machine);
    assert.equal(stop.reason, 'entry');
    await client.end();
    await isRunning();
  });
});

void it('a session leaves a record of its packets, if that is wanted, in the folder that it was given', async (t) => {
  const folder = tempFolder(t);
  const trace = path.join(folder, 'session.trace');
  const client = newClient(t, ['--folder', folder]);
  await client.attachAndStop(machine, { trace: 'session.trace' });
  await client.disconnectRequest();
  await client.end();
  const words = [...traceEvents(readTraceChunks(trace))].map((event) => formatTraceEvent(event)).join('\n');
  for (const name of ['GetVersion', 'Continue2'])
    assert.ok(words.includes(name), `${name} in ${words.length} characters`);
});

void describe('a session that cannot begin says why, and what to do', () => {
  const attempts: readonly [what: string, given: Record<string, unknown>, message: RegExp][] = [
    ['a mistyped field', { link: 'unix:/x', symbolpath: '' }, /did you mean “symbolPath”\?.*launch\.json/],
    ['a virtual machine that is not there', { vm: '/vms/w11.vmx' }, /w11\.vmx.*“vmkd machines”/],
    ['no link at all', {}, /“link” is missing/],
    ['a link that is none', { link: 'serial0' }, /Write the link as/],
    ['a pipe that is not there', { link: 'unix:/nowhere/kd', timeouts: { link: 0 } }, /powered on/],
    [
      'a trace that cannot be written',
      { link: 'unix:/nowhere/kd', trace: '/nowhere/trace', timeouts: { link: 0 } },
      /trace \/nowhere\/trace cannot be written.*Choose a path/,
    ],
    ['a time that is none', { link: 'unix:/x', timeouts: { link: 'soon' } }, /wants seconds, from 0 to/],
    [
      'a stop that is none',
      { link: 'unix:/x', stopAt: ['module:'] },
      /wants “initialBreakpoint” or “module:/,
    ],
    ['a symbol path that is none', { link: 'unix:/nowhere/kd', symbolPath: 'srv*ftp://x' }, /symbol path/],
  ];
  for (const [what, given, message] of attempts) {
    void it(what, async (t) => {
      const client = newClient(t);
      await client.initializeRequest();
      const { error } = await client.refusal('attach', given);
      assert.match(error.format, message);
      assert.equal(error.showUser, true);
      assert.equal(
        client.events.some(({ event }) => event === 'initialized'),
        false,
      );
      // The session goes on: another attempt may follow.
      const second = await client.refusal('attach', {});
      assert.match(second.error.format, /“link” is missing/);
    });
  }

  void it('a request before there is a kernel, and one that nobody knows', async (t) => {
    const client = newClient(t);
    await client.initializeRequest();
    assert.deepEqual((await client.threadsRequest()).body.threads, []);
    assert.match((await client.refusal('modules')).message, /There is no kernel yet\. Attach first/);
    assert.match(
      (await client.refusal('stepBack', { threadId: 1 })).message,
      /does not know the request “stepBack”/,
    );
  });

  void it('a kernel that does not answer, when the user loses patience', async (t) => {
    // covers: cancel, supportsCancelRequest
    const folder = tempFolder(t);
    const client = newClient(t);
    await client.initializeRequest({ adapterID: 'vmkd', supportsProgressReporting: true });
    const link = `unix-listen:${path.join(folder, 'kd')}`;
    const attaching = client.refusal('attach', { link, timeouts: { link: 600 } });
    const { progressId, cancellable } = await client.event<P.ProgressStartEvent['body']>('progressStart');
    assert.equal(cancellable, true);
    await client.ask('cancel', { progressId });
    assert.equal((await attaching).message, 'cancelled');
    await client.event('progressEnd');
  });
});

void describe('the kernel is let go', () => {
  void it('by disconnect, before the response', async (t) => {
    // covers: disconnect
    const client = newClient(t);
    await client.attachAndStop(machine);
    const started = performance.now();
    await client.disconnectRequest();
    // Clients wait two seconds; a machine that tests much at once may need longer.
    assert.ok(performance.now() - started < 6000);
    await isRunning();
    assert.equal(await client.exited, 0);
  });

  void it('or left as it is, by disconnect with suspendDebuggee', async (t) => {
    // covers: supportSuspendDebuggee
    const client = newClient(t);
    await client.attachAndStop(machine);
    await client.disconnectRequest({ suspendDebuggee: true });
    await isFrozen();
    const next = newClient(t);
    await next.attachAndStop(machine);
    await next.disconnectRequest();
    await isRunning();
  });

  void it('even while it waits for an answer', async (t) => {
    const client = newClient(t);
    await client.attachTo(machine, { breakOnAttach: false });
    await client.configurationDoneRequest();
    const from = client.messages.length;
    const asked = machine.console.command('prompt well? ', 60_000);
    await client.event<P.OutputEvent['body']>('output', from, ({ output }) =>
      output.includes('waits for your answer'),
    );
    await client.disconnectRequest();
    assert.equal(await asked, '');
    await isRunning();
  });

  void it('not ended, by disconnect with terminateDebuggee', async (t) => {
    // covers: supportTerminateDebuggee
    const client = newClient(t);
    await client.attachAndStop(machine);
    await client.disconnectRequest({ terminateDebuggee: true });
    assert.match(client.output('console'), /does not end with its debugger/);
    await isRunning();
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    void it(`by ${signal}`, async (t) => {
      const client = newClient(t);
      await client.attachAndStop(machine);
      client.process.kill(signal);
      assert.equal(await client.exited, 0);
      await isRunning();
    });
  }

  void it('when the client closes its end', async (t) => {
    const client = newClient(t);
    await client.attachAndStop(machine);
    await client.end();
    await isRunning();
  });

  void it('by SIGTERM in the middle of a request', async (t) => {
    const client = newClient(t);
    await client.attachAndStop(machine);
    const [module] = (await client.ask<P.ModulesResponse['body']>('modules')).modules;
    const reading = client.ask('readMemory', { memoryReference: module!.id, count: 1 << 20 });
    reading.catch(() => undefined);
    client.process.kill('SIGTERM');
    assert.equal(await client.exited, 0);
    await isRunning();
  });

  void it('when the attach is broken off, at any time', async (t) => {
    for (const milliseconds of [0, 40, 80, 160, 320, 640]) {
      const client = newClient(t);
      await client.initializeRequest();
      const attaching = client.attachRequest({ link: machine.kdLink, symbolPath: kernelImages } as never);
      const ended = attaching.then(
        () => 'attached',
        (error: unknown) => (error as Error).message,
      );
      const { seq } = client.messages.findLast((m) => m.type === 'request')!;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      await client.ask('cancel', { requestId: seq });
      assert.match(await ended, /^(cancelled|attached)$/, `after ${milliseconds} ms`);
      await client.disconnectRequest();
      await isRunning();
    }
  });

  void it('by SIGTERM in the middle of the attach', async (t) => {
    for (const milliseconds of [20, 100, 500]) {
      const client = newClient(t);
      await client.initializeRequest();
      client
        .attachRequest({ link: machine.kdLink, symbolPath: kernelImages } as never)
        .catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      client.process.kill('SIGTERM');
      assert.equal(await client.exited, 0);
      await isRunning();
    }
  });

  for (const [how, victims] of [
    ['', (pid: number) => [pid]],
    // As VS Code does it in Windows: taskkill /F /T.
    [', and all its descendants with it', (pid: number) => [...descendantsOf(pid), pid]],
  ] as const) {
    void it(`by the guardian, when the adapter is killed${how}`, async (t) => {
      const client = newClient(t);
      await client.attachAndStop(machine);
      await client.ask('setFunctionBreakpoints', { breakpoints: [{ name: 'nt!KiIdleHalt' }] });
      const pid = client.process.pid!;
      const guardian = await guardianOf(pid);
      for (const victim of victims(pid)) process.kill(victim, 'SIGKILL');
      await client.exited;
      await gone(guardian);
      await isRunning();
    });
  }

  void it('by the next session, when the guardian is dead, too', async (t) => {
    const client = newClient(t);
    await client.attachAndStop(machine);
    process.kill(await guardianOf(client.process.pid!), 'SIGKILL');
    client.process.kill('SIGKILL');
    await client.exited;
    await isFrozen();
    const next = newClient(t);
    await next.attachAndStop(machine);
    await next.disconnectRequest();
    await isRunning();
  });
});

void describe('a session goes on', () => {
  void it('over a reboot, and stops at the first chance if that is wanted', async (t) => {
    const client = newClient(t);
    await client.attachTo(machine, { breakOnAttach: false, stopAt: ['initialBreakpoint'] });
    const [set] = (
      await client.ask<{ breakpoints: P.Breakpoint[] }>('setFunctionBreakpoints', {
        breakpoints: [{ name: 'vmkdemo!VmkDemoWork' }],
      })
    ).breakpoints;
    await client.configurationDoneRequest();
    await client.event('stopped');
    const from = client.messages.length;
    await machine.qmp('system_reset');
    const first = await client.event<P.StoppedEvent['body']>(
      'stopped',
      from,
      ({ reason }) => reason === 'pause',
    );
    assert.equal(first.allThreadsStopped, true);
    // Views must know that it is another kernel.
    const gone = await client.event<P.ModuleEvent['body'] & { module: { isKernel?: boolean } }>(
      'module',
      from,
      ({ reason, module }) => reason === 'removed' && module.isKernel === true,
    );
    assert.equal(gone.module.name, 'ntoskrnl.exe');
    const hit = await client.stopAfter(() => client.continueRequest({ threadId: 1 }));
    assert.deepEqual(hit.hitBreakpointIds, [set!.id]);
    await client.disconnectRequest();
    await isRunning();
  });

  void it('until a module is loaded that it shall stop at, whatever filters the client has', async (t) => {
    const client = newClient(t);
    await client.attachTo(machine, { breakOnAttach: false, stopAt: ['module:other', 'module:vmkon*'] });
    await client.ask('setExceptionBreakpoints', { filters: ['bugcheck'] });
    await client.configurationDoneRequest();
    const from = client.messages.length;
    const loading = machine.console.command('load', 60_000);
    const stop = await client.event<P.StoppedEvent['body']>('stopped', from);
    assert.equal(stop.description, 'Paused on the load of vmkondem.sys');
    await client.continueRequest({ threadId: 1 });
    await loading;
    await machine.console.command('unload', 60_000);
    await client.disconnectRequest();
    await isRunning();
  });

  void it('whatever a defective client sends', async (t) => {
    const client = newClient(t);
    await client.attachAndStop(machine);
    const junk: unknown[] = [
      undefined,
      {},
      { source: {}, threadId: 'x', frameId: -1 },
      everythingWrong,
      wild,
    ];
    for (const command of commands) {
      for (const args of junk) {
        const from = client.messages.length;
        await client.customRequest(command, args).catch(() => undefined);
        const text = client.messages
          .slice(from)
          .map((message) => JSON.stringify(message))
          .join(' ');
        assert.doesNotMatch(text, /defect in vmkd|undefined|NaN/, `${command} ${JSON.stringify(args)}`);
      }
    }
    assert.equal((await client.threadsRequest()).body.threads.length, 2);
    await client.disconnectRequest();
    await isRunning();
  });

  void it('on other folders of sources, and without those that are not here', async (t) => {
    const folder = tempFolder(t);
    const drivers = path.resolve('test/kernel/drivers');
    cpSync(path.join(drivers, 'vmkdemo'), path.join(folder, 'vmkdemo'), { recursive: true });
    // The same PDB, but for the folder of one source file, which is nowhere.
    const pdb = readFileSync(path.join(kernelImages, 'vmkdemo.pdb'));
    const symbols = tempFolder(t);
    writeFileSync(path.join(symbols, 'vmkdemo.pdb'), replaced(pdb, 'vmkdemo/work.c', 'vmkd3m0/work.c'));
    const client = newClient(t);
    await client.attachAndStop(machine, {
      symbolPath: `${symbols};${kernelImages}`,
      sourceMap: { [drivers]: folder },
      initCommands: ['.reload vmkdemo'],
    });
    const { sources } = await client.ask<P.LoadedSourcesResponse['body']>('loadedSources');
    const named = (name: string): P.Source => sources.find((source) => source.name === name)!;
    assert.equal(named('floating.c').path, path.join(folder, 'vmkdemo/floating.c'));
    const absent = named('work.c');
    assert.deepEqual([absent.presentationHint, absent.origin], ['deemphasize', 'not on this machine']);
    const { content } = await client.ask<P.SourceResponse['body']>('source', {
      source: absent,
      sourceReference: absent.sourceReference,
    });
    const lines = content.split('\n');
    assert.match(lines[0]!, /is not on this machine: these are the lines that have code/);
    const line = lineOf('work.c', 'VmkDemoWorkCalls++;');
    assert.match(lines[line - 1]!, /vmkdemo!VmkDemoWork\+0x/);
    // Breakpoints can be set in it.
    const [set] = (
      await client.ask<{ breakpoints: P.Breakpoint[] }>('setBreakpoints', {
        source: absent,
        breakpoints: [{ line }],
      })
    ).breakpoints;
    assert.deepEqual(
      [set!.verified, set!.line, set!.source?.sourceReference],
      [true, line, absent.sourceReference],
    );
    const stop = await client.stopAfter(() => client.continueRequest({ threadId: 1 }));
    assert.deepEqual(stop.hitBreakpointIds, [set!.id]);
    await client.disconnectRequest();
    await isRunning();
  });

  void it('or ends before it has begun, with its machine', async (t) => {
    const other = await bootDemoKernel({ cpus: 1 });
    t.after(() => other.stop());
    const client = newClient(t);
    await client.attachTo(other);
    const from = client.messages.length;
    await other.stop();
    await client.event('terminated', from);
    await client.configurationDoneRequest();
    await client.disconnectRequest();
    assert.equal(await client.exited, 0);
  });

  void it('no longer than the machine: then the client hears that it is lost', async (t) => {
    const client = newClient(t);
    await client.attachAndStop(machine);
    const from = client.messages.length;
    await machine.stop();
    await client.event('terminated', from);
    const { output } = await client.event<P.OutputEvent['body']>(
      'output',
      from,
      ({ category }) => category === 'important',
    );
    assert.match(output, /powered off|pipe was closed/);
    await client.disconnectRequest();
    assert.equal(await client.exited, 0);
  });
});

/** All requests but those that run the kernel, or end the session. */
const commands = [
  ...[
    'breakpointLocations',
    'cancel',
    'completions',
    'dataBreakpointInfo',
    'disassemble',
    'evaluate',
    'exceptionInfo',
  ],
  ...[
    'goto',
    'gotoTargets',
    'loadedSources',
    'locations',
    'modules',
    'readMemory',
    'scopes',
    'setBreakpoints',
  ],
  ...[
    'setDataBreakpoints',
    'setExceptionBreakpoints',
    'setExpression',
    'setFunctionBreakpoints',
    'setVariable',
  ],
  ...[
    'setInstructionBreakpoints',
    'source',
    'stackTrace',
    'stepInTargets',
    'threads',
    'variables',
    'writeMemory',
  ],
];

/** Of the right types. */
const wild = {
  source: { path: '\u0000/x' },
  breakpoints: [{ line: -5, name: '*!*!*', dataId: '0x,', instructionReference: '0x10', offset: 2 ** 52 }],
  filters: ['nobody'],
  expression: '*(char *)0x10 + ((1',
  name: '\u0000',
  value: '',
  text: '\n->',
  column: 1e9,
  line: -5,
  threadId: 1e9,
  frameId: 2 ** 40,
  targetId: -1,
  variablesReference: -1,
  locationReference: -3,
  memoryReference: '0xffffffffffffffff',
  data: '***',
  count: -1,
  instructionCount: 1e12,
  instructionOffset: -1e12,
  startModule: -1,
  bytes: -8,
  requestId: -1,
};

const everythingWrong = {
  source: { path: 7 },
  breakpoints: [{ line: 'x', name: 3, dataId: {}, instructionReference: [] }, null],
  filters: ['nobody', 9],
  expression: '((((',
  name: '\u0000',
  value: '',
  text: '\n\n->',
  column: 1e9,
  line: -5,
  threadId: 1e300,
  frameId: 2 ** 40,
  targetId: -1,
  variablesReference: 1.5,
  locationReference: -3,
  memoryReference: '0xfffffffffffffffff',
  data: '***',
  count: -1,
  instructionCount: 1e12,
  instructionOffset: -1e12,
  startFrame: -3,
  levels: -1,
  startModule: -1,
  moduleCount: 'x',
  sourceReference: 99,
  bytes: -8,
  asAddress: true,
  requestId: 'x',
};

/** All places of a text of the same length. */
function replaced(bytes: Buffer, from: string, to: string): Buffer {
  const changed = Buffer.from(bytes);
  for (let at = changed.indexOf(from); at >= 0; at = changed.indexOf(from)) changed.write(to, at, 'latin1');
  return changed;
}
