// test-limit: 400 s
/** A session whose machine rests while nobody needs it: what still works then, what wakes it, and that no way out leaves it so. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { AdapterClient } from '../fixtures/adapter';
import { gone, guardianOf } from '../fixtures/guardian';
import { ticksGrow } from '../fixtures/guestLife';
import { monitorsIn, type Witness } from '../fixtures/monitors';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const parking = { after: 0.3 };
const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
// Where adapters note that a machine rests, and who cleans up looks for it.
process.env['XDG_CACHE_HOME'] = folder;
const sessions = path.join(folder, 'vmkd', 'sessions');

let machine: DemoMachine;
let witness: Witness;
before(async () => {
  const monitors = monitorsIn(folder);
  machine = await bootDemoKernel({ memoryMiB: 128, qemuArgs: monitors.qemuArgs });
  witness = await monitors.witness();
});
after(async () => {
  witness.close();
  await machine.stop();
  rmSync(folder, { recursive: true, force: true });
});

const state = (client: AdapterClient, wanted: string, from = 0): Promise<unknown> =>
  client.event<{ state: string }>('vmkd/parking', from, (body) => body.state === wanted);

/** A session at its first stop, whose machine rests. */
async function parked(t: TestContext): Promise<AdapterClient> {
  const client = clientOf(t);
  await client.attachAndStop(machine, { parking });
  await client.haveSymbols('vmkdemo.sys');
  await state(client, 'parked');
  assert.equal(await witness.status(), 'paused');
  return client;
}

function clientOf(t: TestContext): AdapterClient {
  const client = new AdapterClient();
  t.after(() => client.end());
  return client;
}

async function runsOn(): Promise<void> {
  assert.equal(await witness.status(), 'running');
  await ticksGrow(machine, 20_000);
  assert.deepEqual(
    readdirSync(sessions).filter((name) => name.startsWith('parked-')),
    [],
  );
}

void describe('a parked session', () => {
  void it('shows stacks, variables and memory; a step wakes it; leaving lets it run', async (t) => {
    const client = await parked(t);
    const { stackFrames } = (await client.stackTraceRequest({ threadId: 1 })).body;
    await client.ask('scopes', { frameId: stackFrames[0]!.id });
    await state(client, 'parked', client.messages.findLastIndex(isParked));
    assert.equal(await witness.status(), 'paused');

    const from = client.messages.length;
    const counter = await client.ask<P.EvaluateResponse['body']>('evaluate', {
      expression: 'vmkdemo!VmkDemoCounter',
      context: 'watch',
    });
    assert.match(counter.result, /^\d+/);
    const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
    const { data } = await client.ask<{ data: string }>('readMemory', {
      memoryReference: modules[0]!.id,
      count: 65_536,
    });
    assert.match(Buffer.from(data, 'base64').toString('latin1'), /^MZ.*PE\0\0/s);
    assert.deepEqual(client.messages.slice(from).filter(isParking), [], 'nothing of this wakes it');
    assert.equal(await witness.status(), 'paused');

    const step = client.messages.length;
    await client.stopAfter(() => client.customRequest('next', { threadId: 1, granularity: 'instruction' }));
    await state(client, 'awake', step);
    await state(client, 'parked', step);
    assert.equal(await witness.status(), 'paused');
    assert.equal(client.output('console').match(/The machine is parked/g)?.length, 1);

    const run = client.messages.length;
    await client.continueRequest({ threadId: 1 });
    await state(client, 'awake', run);
    await runsOn();
    await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    await state(client, 'parked', client.messages.findLastIndex(isParked));
    await client.disconnectRequest();
    await runsOn();
    await client.end();
  });

  void it('takes orders to its machine, by the one control that there is', async (t) => {
    // covers: vmkd/controlMachine
    const client = await parked(t);
    const order = (name: string, more = {}): Promise<{ snapshots?: string[] }> =>
      client.ask('vmkd/controlMachine', { order: name, ...more });
    assert.deepEqual((await order('listSnapshots')).snapshots, []);
    const took = await client.refusal('vmkd/controlMachine', { order: 'takeSnapshot', name: 'clean' });
    assert.match(took.message, /QEMU refused savevm clean/);
    assert.match((await client.refusal('vmkd/controlMachine', { order: 'fly' })).message, /no order “fly”/);
    // What the user has paused is not woken by whatever needs the kernel next.
    await order('pause');
    assert.equal(await witness.status(), 'paused');
    const stepping = client.stopAfter(() =>
      client.customRequest('next', { threadId: 1, granularity: 'instruction' }),
    );
    // Behind it.
    await order('listSnapshots');
    assert.equal(await witness.status(), 'paused');
    await order('resume');
    await stepping;
    await client.continueRequest({ threadId: 1 });
    const from = machine.console.lines.length;
    await order('reset');
    await machine.console.waitFor(/^console ready$/, 60_000, from);
    await client.disconnectRequest();
    await runsOn();
    await client.end();
  });

  for (const [how, leave] of [
    ['SIGTERM', (client: AdapterClient) => void client.process.kill('SIGTERM')],
    ['a client that closes its end', (client: AdapterClient) => void client.process.stdin!.end()],
  ] as const) {
    void it(`that ends by ${how} leaves the machine running`, async (t) => {
      const client = await parked(t);
      leave(client);
      await client.exited;
      await runsOn();
    });
  }

  void it('left standing on purpose stands in a machine that runs', async (t) => {
    const client = await parked(t);
    await client.customRequest('disconnect', { suspendDebuggee: true });
    assert.equal(await witness.status(), 'running');
    await client.end();
    const next = await parked(t);
    await next.disconnectRequest();
    await runsOn();
    await next.end();
  });

  void it('that is killed: its guardian lets machine and kernel run', async (t) => {
    const client = await parked(t);
    const guardian = await guardianOf(client.process.pid!);
    client.process.kill('SIGKILL');
    await client.exited;
    await gone(guardian);
    await runsOn();
  });

  void it('that is killed with its guardian: the next attach lets the machine run', async (t) => {
    const client = await parked(t);
    const guardian = await guardianOf(client.process.pid!);
    process.kill(guardian, 'SIGKILL');
    client.process.kill('SIGKILL');
    await client.exited;
    await gone(guardian);
    assert.equal(await witness.status(), 'paused');
    const next = clientOf(t);
    await next.attachAndStop(machine, { parking: { enabled: false } });
    assert.match(next.output('console'), /paused by a session that was killed/);
    await next.disconnectRequest();
    await next.end();
    await runsOn();
  });
});

void describe('parking', () => {
  void it('that is switched off leaves the machine and its monitor alone', async (t) => {
    const client = clientOf(t);
    await client.attachAndStop(machine, { parking: { enabled: false, after: 0 } });
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await witness.status(), 'running');
    assert.deepEqual(client.messages.filter(isParking), []);
    await client.disconnectRequest();
    await client.end();
  });

  void it('is no licence to resume what others have paused', async (t) => {
    await machine.qmp('stop');
    try {
      const client = clientOf(t);
      const { message } = await refused(client, { parking: { enabled: false } });
      assert.match(message, /is paused.*Resume it in its own program/);
      await client.end();
      assert.equal(await witness.status(), 'paused');
      const waiting = clientOf(t);
      const attaching = waiting.attachAndStop(machine, { parking });
      await waiting.event('progressStart');
      await machine.qmp('cont');
      await attaching;
      await waiting.disconnectRequest();
      await waiting.end();
    } finally {
      await machine.qmp('cont');
    }
    await runsOn();
  });

  void it('that fails turns itself off, and says so', async (t) => {
    const client = await parked(t);
    const from = client.messages.length;
    // The note cannot be written any more.
    rmSync(sessions, { recursive: true });
    writeFileSync(sessions, '');
    try {
      await client.stopAfter(() => client.customRequest('next', { threadId: 1, granularity: 'instruction' }));
      await state(client, 'failed', from);
      const said = /Parking has turned itself off\. The note .* cannot be written/;
      await client.until(() => said.test(client.output('stderr')), 'why it failed');
      assert.equal(await witness.status(), 'running');
    } finally {
      rmSync(sessions);
    }
    await client.disconnectRequest();
    await client.end();
    assert.equal(await witness.status(), 'running');
  });

  void it('that is wished for and cannot be says why', async (t) => {
    const bare = await bootDemoKernel({ memoryMiB: 64, cpus: 1 });
    t.after(() => bare.stop());
    const client = clientOf(t);
    await client.attachAndStop(bare, { parking: { enabled: true } });
    assert.match(client.output('console'), /There is no parking\. .*QMP monitor.* Start QEMU with -qmp/);
    await client.disconnectRequest();
    await client.end();
  });
});

const isParking = (message: P.ProtocolMessage): boolean =>
  message.type === 'event' && (message as P.Event).event === 'vmkd/parking';
const isParked = (message: P.ProtocolMessage): boolean =>
  isParking(message) && ((message as P.Event).body as { state: string }).state === 'parked';

async function refused(
  client: AdapterClient,
  options: Record<string, unknown>,
): Promise<{ message: string }> {
  await client.initializeRequest({ adapterID: 'vmkd' });
  return client.refusal('attach', { link: machine.kdLink, ...options });
}
