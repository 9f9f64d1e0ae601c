/** KD through the mailbox of vmkd.sys on the demo kernel: whole sessions, and the way over from the line and back. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtualAddress } from '../../src/engine/core/addresses';
import { readMemory } from '../../src/engine/memory/virtualMemory';
import { breakIn, limit } from '../fixtures/attached';
import { MailboxSession } from '../fixtures/mailboxSession';

test('a session goes by mailbox as soon as it has begun, and the line is silent then', async (t) => {
  const session = await MailboxSession.start(t);
  const { target, machine } = session;
  await target.attach(breakIn);
  await session.untilCarriedBy('mailbox');
  const before = { ...target.client.statistics };
  const { kernelBase } = target.stopped.version;
  const bytes = await readMemory(target.memory, kernelBase, 20_000);
  assert.deepEqual([...bytes.subarray(0, 2)], [0x4d, 0x5a]);
  const { rip } = await target.registers.context();
  await target.step(limit);
  assert.notEqual((await target.registers.context()).rip, rip);
  await target.switchProcessor(1);
  await target.resume();
  assert.equal(await machine.console.command('print 60', 60_000), '60 printed');
  await session.until(() => session.prints.length === 60, '60 prints');
  assert.deepEqual(
    session.prints.map((line) => Number(/print (\d+) of 60/.exec(line)?.[1])),
    Array.from({ length: 60 }, (_, i) => i + 1),
  );
  const stop = await target.breakIn(limit);
  assert.equal(stop.kind, 'exception');
  assert.equal(target.client.statistics?.controlReceived, before.controlReceived, 'nothing came by the line');
  await target.release();
});

test('breakpoints, module loads and prompts work by mailbox as by the line', async (t) => {
  const modules: string[] = [];
  const session = await MailboxSession.start(
    t,
    { cpus: 1 },
    {
      onModule: (change) => {
        modules.push(`${change.unload ? 'un' : ''}load ${change.path.replace(/^.*\\/, '')}`);
        return 'go';
      },
      onPrompt: async ({ prompt }) => `heard “${prompt}”`.replace(/[“”]/g, "'"),
    },
  );
  const { target, machine } = session;
  const exported = await machine.console.command('export vmkdemo.sys!VmkDemoWork');
  await target.attach(breakIn);
  await session.untilCarriedBy('mailbox');
  const work = virtualAddress(BigInt(`0x${exported}`));
  await target.breakpoints.set(work);
  await target.resume();
  const hit = await target.nextStop(limit);
  assert.equal(hit.programCounter, work);
  await target.resume();
  assert.equal(await machine.console.command('prompt who?', limit), "heard 'who?'");
  assert.equal(await machine.console.command('load', limit), 'loaded');
  assert.equal(await machine.console.command('unload', limit), 'unloaded');
  assert.deepEqual(modules, ['load vmkondem.sys', 'unload vmkondem.sys']);
  assert.equal(session.carrying, 'mailbox');
  assert.equal(session.changes.length, 1);
});

test('a module that is loaded in mid-session is used at once, and left when it goes, without a packet lost', async (t) => {
  const session = await MailboxSession.start(t, { guestModule: 'later', cpus: 1 });
  const { target, machine } = session;
  await target.attach(breakIn);
  await target.resume();
  assert.equal(session.carrying, 'serial');
  const rounds = 5;
  for (let round = 0; round < rounds; round++) {
    await machine.console.command('print 10', limit);
    await machine.console.command('load vmkd.sys', limit);
    await session.untilCarriedBy('mailbox');
    await machine.console.command('print 10', limit);
    await target.breakIn(limit);
    assert.equal((await readMemory(target.memory, target.stopped.version.kernelBase, 5000)).length, 5000);
    await target.resume();
    await machine.console.command('unload vmkd.sys', limit);
    await session.untilCarriedBy('serial');
    assert.equal(session.changes.at(-1)?.why?.code, 'mailbox-left');
    await machine.console.command('print 10', limit);
    await target.breakIn(limit);
    assert.equal((await readMemory(target.memory, target.stopped.version.kernelBase, 5000)).length, 5000);
    await target.resume();
  }
  const demo = session.prints.flatMap((line) => /print (\d+) of 10/.exec(line)?.[1] ?? []).map(Number);
  assert.deepEqual(
    demo,
    Array.from({ length: rounds * 30 }, (_, i) => (i % 10) + 1),
  );
});

test('a debugger comes and goes; the guest is there for the next one', async (t) => {
  const session = await MailboxSession.start(t, { cpus: 1 });
  const { target, machine } = session;
  for (let round = 0; round < 5; round++) {
    const changes = session.changes.length;
    await target.attach(breakIn);
    await session.until(() => session.changes.length > changes, 'the mailbox');
    await target.modules();
    if (round % 2 === 0) {
      await target.release();
      await machine.console.command('ticks');
    } else {
      target.detach(); // it stays stopped
    }
  }
});
