// test-limit: 120 s
/** Source files that are elsewhere than the PDB says, or have been edited since the driver was built. */

import assert from 'node:assert/strict';
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
