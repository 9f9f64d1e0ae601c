// test-limit: 120 s
/** Source files that are elsewhere than the PDB says, or have been edited since the driver was built. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { debugDemoKernel, type AdapterClient, type AdapterOnKernel } from '../fixtures/adapter';
import { lineOf } from '../fixtures/demoSource';

const drivers = path.resolve('test/kernel/drivers');
const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
const file = path.join(folder, 'vmkdemo/work.c');
let debugging: AdapterOnKernel;
let client: AdapterClient;
before(async () => {
  cpSync(path.join(drivers, 'vmkdemo'), path.join(folder, 'vmkdemo'), { recursive: true });
  // Whoever reads it waits for ever.
  rmSync(path.join(folder, 'vmkdemo/floating.c'));
  execFileSync('mkfifo', [path.join(folder, 'vmkdemo/floating.c')]);
  debugging = await debugDemoKernel({ sourceMap: { [drivers]: folder } });
  ({ client } = debugging);
});
after(async () => {
  await debugging.end();
  rmSync(folder, { recursive: true, force: true });
});

const setBreakpoints = (...breakpoints: P.SourceBreakpoint[]): Promise<{ breakpoints: P.Breakpoint[] }> =>
  client.ask('setBreakpoints', { source: { path: file }, breakpoints });

void describe('a source file that sourceMap finds', () => {
  void it('takes breakpoints, also when it has been edited since the driver was built', async () => {
    const line = lineOf('work.c', 'Total += Outer(Value & 0xFF);');
    const [same] = (await setBreakpoints({ line })).breakpoints as [P.Breakpoint];
    assert.deepEqual([same.verified, same.line, same.source?.path], [true, line, file], same.message);
    await setBreakpoints();
    appendFileSync(file, '\n/* edited */\n');
    const [edited] = (await setBreakpoints({ line })).breakpoints as [P.Breakpoint];
    assert.equal(edited.verified, true, edited.message);
    assert.match(edited.message!, /differs from the one that was compiled/);
    const stop = await client.stopAfter(() => client.continueRequest({ threadId: 1 }));
    assert.deepEqual(stop.hitBreakpointIds, [edited.id]);
    await setBreakpoints();
  });
});

void describe('what is no file', () => {
  void it('is not taken for a source, whoever names it', async () => {
    const { sources } = await client.ask<P.LoadedSourcesResponse['body']>('loadedSources');
    const floating = sources.find(({ name }) => name === 'floating.c')!;
    assert.equal(floating.path, path.join(drivers, 'vmkdemo/floating.c'));
  });
});

void describe('loaded sources', () => {
  type Body = P.LoadedSourceEvent['body'];
  const named = (name: string, reason: Body['reason']) => (body: Body) =>
    body.reason === reason && body.source.name === name;

  void it('are told as symbols are loaded, and when their last module has gone', async () => {
    const work = await client.event<Body>('loadedSource', 0, named('work.c', 'new'));
    assert.equal(work.source.path, file);
    const { machine } = debugging;
    const from = client.messages.length;
    await client.continueRequest({ threadId: 1 });
    await machine.console.command('load', 60_000);
    // Nothing waits for its symbols: they come when the kernel stands.
    await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    const loaded = await client.event<Body>(
      'loadedSource',
      from,
      ({ source, reason }) => reason === 'new' && /vmkondem.driver\.c$/.test(source.path ?? ''),
    );
    await client.continueRequest({ threadId: 1 });
    await machine.console.command('unload', 60_000);
    const removed = await client.event<Body>('loadedSource', from, ({ reason }) => reason === 'removed');
    assert.equal(removed.source.path, loaded.source.path);
    await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    const { sources } = await client.ask<P.LoadedSourcesResponse['body']>('loadedSources');
    const told = new Set<string | undefined>();
    for (const { event, body } of client.events) {
      if (event !== 'loadedSource') continue;
      const { reason, source } = body as Body;
      if (reason === 'new') told.add(source.path);
      else told.delete(source.path);
    }
    assert.deepEqual([...told].sort(), sources.map((source) => source.path).sort());
  });
});
