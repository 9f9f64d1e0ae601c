// test-limit: 300 s
/** Which way bytes come to the adapter: found by itself, told, wanted slow; and what the client hears of it. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { AdapterClient, isEvent } from '../fixtures/adapter';
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

const isLoaded =
  (name: string) =>
  ({ module }: { module: { name: string; symbolFilePath?: string } }): boolean =>
    module.name === name && module.symbolFilePath !== undefined;

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

void describe('a guest module that could not start', () => {
  const codes = (client: AdapterClient): (string | undefined)[] =>
    client.events
      .filter(({ event }) => event === 'vmkd/transport')
      .map(({ body }) => (body as Transport).why?.code);

  void it('is why the transport is not the best; one of a kernel that was is not', async (t) => {
    const machine = await bootDemoKernel({ guestModule: 'later' });
    t.after(() => machine.stop());
    await machine.console.command('kd off', 30_000);
    await machine.console.command('load vmkd.sys', 30_000).catch(() => undefined);
    await machine.console.command('kd on', 30_000);
    await withClient(machine, {}, async (client) => {
      await client.until(() => codes(client).at(-1) === 'mailbox-failed', 'the reason');
      const { why } = client.events.findLast(({ event }) => event === 'vmkd/transport')!.body as Transport;
      assert.match(why!.message, /kernel debugging is off \(status C0000354\)/);
      assert.match(why!.nextStep, /bcdedit/);
      assert.match(client.output('console'), /Why not better: .*kernel debugging is off/);
      // The notice stays behind in memory.
      await client.continueRequest({ threadId: 1 });
      await machine.reset();
      await client.until(() => codes(client).at(-1) === 'mailbox-absent', 'a kernel without a module');
    });
  });
});

void describe('a kernel that runs', () => {
  let machine: DemoMachine;
  before(async () => {
    machine = await bootDemoKernel();
  });
  after(() => machine.stop());

  /** Where a global of vmkdemo is. */
  const addressOf = async (client: AdapterClient, name: string): Promise<string> => {
    const { memoryReference } = await client.ask<{ memoryReference: string }>('evaluate', {
      expression: `&vmkdemo!${name}`,
      context: 'watch',
    });
    return memoryReference;
  };
  interface Read {
    readonly data: string;
    readonly live?: boolean;
  }

  void it('shows memory and global names of this moment, marked as such', () =>
    withClient(machine, {}, async (client) => {
      await client.event('module', 0, isLoaded('vmkdemo.sys'));
      const memoryReference = await addressOf(client, 'VmkDemoCounter');
      const read = (): Promise<Read> => client.ask('readMemory', { memoryReference, count: 8 });
      const watch = async (expression: string): Promise<string> =>
        (await client.ask<{ result: string }>('evaluate', { expression, context: 'watch' })).result;
      assert.equal((await read()).live, undefined);
      await client.continueRequest({ threadId: 1 });
      const seen = new Set<string>();
      const values = new Set<string>();
      for (const end = Date.now() + 10_000; seen.size < 4 || values.size < 4;) {
        assert.ok(Date.now() < end, 'the counter stands still');
        const { data, live } = await read();
        assert.equal(live, true);
        seen.add(data);
        values.add(await watch('vmkdemo!VmkDemoCounter'));
      }
      for (const value of values) assert.match(value, /^\d+ \(live\)$/);
      // A frame's things, the user half and writing need a stopped kernel.
      assert.equal(
        (await client.refusal('evaluate', { expression: '1', context: 'hover' })).message,
        'notStopped',
      );
      const user = await client.refusal('readMemory', { memoryReference: '0x7ffe0000', count: 8 });
      assert.match(user.message, /process’s own memory/);
      const data = Buffer.from([1]).toString('base64');
      assert.equal((await client.refusal('writeMemory', { memoryReference, data })).message, 'notStopped');
      assert.equal(
        (await client.refusal('evaluate', { expression: 'nt!NoSuchName', context: 'watch' })).error.showUser,
        false,
      );
    }));

  void it('tells of what has changed, as long as somebody looks', () =>
    withClient(machine, { live: { refreshesPerSecond: 30 } }, async (client) => {
      await client.event('module', 0, isLoaded('vmkdemo.sys'));
      const moving = await addressOf(client, 'VmkDemoCounter');
      const still = (await client.ask<P.ModulesResponse['body']>('modules')).modules[0]!.id as string;
      const read = (memoryReference: string): Promise<Read> =>
        client.ask('readMemory', { memoryReference, count: 16 });
      await read(moving);
      await read(still);
      const from = client.messages.length;
      await client.continueRequest({ threadId: 1 });
      const told = (reference: string): number =>
        client.messages
          .slice(from)
          .filter(
            (m) =>
              isEvent(m, 'memory') && (m.body as { memoryReference: string }).memoryReference === reference,
          ).length;
      for (let count = 1; count < 8; count++) {
        await client.until(() => told(moving) >= count, 'news of the counter');
        assert.equal((await read(moving)).live, true);
      }
      // What does not change is told of once, since nobody knows what it was before.
      assert.equal(told(still), 1);
      // Nobody looks any more.
      await client.until(() => told(moving) >= 11, 'news that nobody hears');
      const ticks = async (): Promise<string> => machine.console.command('demo');
      const before = await ticks();
      while ((await ticks()) === before);
      assert.equal(told(moving), 11);
    }));

  void it('is not shown if it must not be, or cannot be', async () => {
    const refused = async (options: Record<string, unknown>, message: RegExp): Promise<void> =>
      withClient(machine, options, async (client) => {
        const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
        await client.continueRequest({ threadId: 1 });
        const answer = await client.refusal('readMemory', { memoryReference: modules[0]!.id, count: 8 });
        assert.match(answer.message, message);
      });
    await refused({ live: { memory: false } }, /notStopped/);
    await refused({ transport: 'serial' }, /not used/);
  });

  void it('that does not go on is not taken for one that does', () =>
    withClient(machine, {}, async (client) => {
      const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
      const memoryReference = modules[0]!.id;
      await client.continueRequest({ threadId: 1 });
      await client.ask('readMemory', { memoryReference, count: 8 });
      await machine.qmp('stop');
      try {
        for (const end = Date.now() + 10_000; ;) {
          assert.ok(Date.now() < end, 'nobody noticed');
          const from = client.messages.length;
          await client.ask('readMemory', { memoryReference, count: 8 }).catch(() => undefined);
          const answer = client.messages.slice(from).find((m) => m.type === 'response') as P.Response;
          if (answer.success) continue;
          assert.match(answer.message ?? '', /clock stands still/);
          break;
        }
      } finally {
        await machine.qmp('cont');
      }
      const before = await machine.console.command('ticks');
      while ((await machine.console.command('ticks')) === before);
      assert.equal((await client.ask<Read>('readMemory', { memoryReference, count: 8 })).live, true);
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
