// test-limit: 300 s
/** A machine that is brought up and then attached to. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { AdapterClient } from '../fixtures/adapter';
import { ticksOf } from '../fixtures/guestLife';
import { kernelImages } from '../fixtures/liveSymbols';
import { monitorsIn } from '../fixtures/monitors';
import { snapshotArgs, takeSnapshot } from '../fixtures/snapshots';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
const name = `vmkd-launch-${process.pid}`;
let machine: DemoMachine;

before(async () => {
  machine = await bootDemoKernel({
    memoryMiB: 64,
    qemuArgs: ['-name', name, ...snapshotArgs(folder), ...monitorsIn(folder).qemuArgs],
  });
});
after(async () => {
  await machine.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ticks = (): Promise<number> => ticksOf(machine);

function clientOf(t: TestContext): AdapterClient {
  const client = new AdapterClient();
  t.after(() => client.end());
  return client;
}

async function launch(client: AdapterClient, more: Record<string, unknown>): Promise<void> {
  await client.initializeRequest({ adapterID: 'vmkd', linesStartAt1: true, columnsStartAt1: true });
  await Promise.all([
    client.event('initialized'),
    client.launchRequest({ vm: name, symbolPath: kernelImages, ...more } as never),
  ]);
  const from = client.messages.length;
  await client.configurationDoneRequest();
  await client.event('stopped', from);
}

void describe('launching', () => {
  void it('goes back to a snapshot, lets the machine run, and attaches', async (t) => {
    // covers: launch
    await machine.qmp('stop');
    await takeSnapshot(machine, 'clean');
    const before = machine.console.lines.length;
    await machine.qmp('cont');
    const then = await ticks();
    for (const deadline = Date.now() + 60_000; (await ticks()) < then + 200;)
      assert.ok(Date.now() < deadline);
    const client = clientOf(t);
    await launch(client, { snapshot: 'clean' });
    await client.disconnectRequest({});
    assert.ok(machine.console.lines.length > before);
    assert.ok((await ticks()) < then + 100, 'its clock is that of the snapshot');
  });

  void it('resumes a machine that somebody has paused', async (t) => {
    await machine.qmp('stop');
    const client = clientOf(t);
    await launch(client, {});
    await client.disconnectRequest({});
    await ticks();
  });

  void it('says what is wrong with a snapshot', async (t) => {
    const client = clientOf(t);
    await client.initializeRequest({ adapterID: 'vmkd', linesStartAt1: true, columnsStartAt1: true });
    const none = await client.refusal('launch', { vm: name, snapshot: 'never taken' });
    assert.match(none.message, /never taken/);
    const wrong = await client.refusal('launch', { vm: name, snapshot: 7 });
    assert.match(wrong.message, /“snapshot” wants/);
    await ticks();
  });
});
