// test-limit: 300 s
/** Which way bytes come to the adapter: found by itself, told, wanted slow; and what the client hears of it. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { AdapterClient } from '../fixtures/adapter';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

interface Transport {
  readonly tier: string;
  readonly memory?: string;
  readonly why?: { readonly code: string; readonly message: string; readonly nextStep: string };
}

async function withClient(
  machine: DemoMachine,
  options: Record<string, unknown>,
  action: (client: AdapterClient, transport: Transport) => Promise<void>,
): Promise<void> {
  const client = new AdapterClient();
  try {
    await client.attachAndStop(machine, options);
    await action(client, await client.event<Transport>('vmkd/transport'));
    await client.disconnectRequest();
  } finally {
    await client.end();
  }
}

/** The kernel's first bytes, which every way must give. */
async function readsKernel(client: AdapterClient): Promise<void> {
  const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
  const { data } = await client.ask<{ data: string }>('readMemory', {
    memoryReference: modules[0]!.id,
    count: 4096,
  });
  assert.match(Buffer.from(data, 'base64').toString('latin1'), /^MZ.*PE\0\0/s);
}

void describe('the way that bytes come', () => {
  let machine: DemoMachine;
  before(async () => {
    machine = await bootDemoKernel();
  });
  after(() => machine.stop());

  void it('is found by the debug port alone', () =>
    withClient(machine, {}, async (client, { tier, memory, why }) => {
      assert.deepEqual(
        // Native code, where it was built, maps the file.
        [tier, memory?.replace(/, mapped$/, ''), why?.code],
        ['hybrid', `backing file ${machine.ramFile}`, 'mailbox-absent'],
      );
      assert.match(
        client.output('console'),
        /Transport: hybrid\. Memory is read in .*Why not better: The guest has no module/,
      );
      await readsKernel(client);
    }));

  void it('is that of a machine that is named', () =>
    withClient(
      machine,
      { link: undefined, vm: machine.kdLink, transport: 'hybrid' },
      async (client, { tier, why }) => {
        assert.deepEqual([tier, why], ['hybrid', undefined]);
        await readsKernel(client);
      },
    ));

  void it('is told by hand, and refused if it is told wrongly', async () => {
    const told = { guestRam: { file: machine.ramFile } };
    await withClient(machine, told, async (client, { tier }) => {
      assert.equal(tier, 'hybrid');
      await readsKernel(client);
    });
    await withClient(machine, { guestRam: { file: '/nowhere/ram' } }, async (client, { tier, why }) => {
      assert.deepEqual([tier, why?.code], ['serial', 'ram-unreadable']);
      assert.match(client.output('console'), /Transport: serial\..*\/nowhere\/ram.*check the path/);
      await readsKernel(client);
    });
  });

  void it('is slow if it shall be; then nothing is read on when nobody waits for it', () =>
    withClient(machine, { transport: 'serial' }, async (client, transport) => {
      assert.deepEqual(transport, { tier: 'serial' });
      await readsKernel(client);
      const from = client.messages.length;
      const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
      const reading = client.refusal('readMemory', { memoryReference: modules[0]!.id, count: 1 << 20 });
      const { seq } = client.messages.slice(from).findLast((m) => m.type === 'request')!;
      await client.ask('cancel', { requestId: seq });
      const { message, error } = await reading;
      assert.deepEqual([message, error.showUser], ['cancelled', false]);
    }));
});

void describe('the guest’s own module', () => {
  void it('carries the packets, too; a reset leads back to it', async (t) => {
    const machine = await bootDemoKernel({ memoryMiB: 128, guestModule: 'boot' });
    t.after(() => machine.stop());
    await withClient(machine, {}, async (client, first) => {
      const isMailbox = ({ tier, memory }: Transport): boolean => tier === 'mailbox' && memory !== undefined;
      if (!isMailbox(first)) await client.event('vmkd/transport', 0, isMailbox);
      assert.match(client.output('console'), /Transport: mailbox\. Packets and memory go through/);
      await readsKernel(client);
      await client.continueRequest({ threadId: 1 });
      const from = client.messages.length;
      await machine.reset();
      await client.event<Transport>('vmkd/transport', from, ({ tier }) => tier !== 'mailbox');
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      await client.event('vmkd/transport', from, isMailbox);
      await readsKernel(client);
    });
  });
});
