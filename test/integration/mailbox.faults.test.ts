// test-limit: 900 s
/**
 * What goes wrong with a mailbox, on the demo kernel: debuggers that are killed, that fall silent and come back, machines
 * that are reset with the module loading early or late, and guest memory that somebody scribbles on.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MailboxFinder } from '../../src/engine/link/mailbox/finder';
import { systemClock } from '../../src/engine/core/clock';
import { VmkdError } from '../../src/engine/core/errors';
import { breakIn, limit } from '../fixtures/attached';
import { bundleFixture } from '../fixtures/bundleFixture';
import { MailboxSession } from '../fixtures/mailboxSession';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';

const soak = process.env['VMKD_SOAK'] === 'full';
const patience = 120_000;

let doomed: string;
before(async () => {
  doomed = await bundleFixture('doomedMailbox');
});

/** It answers, prints arrive, and its clock goes on. */
async function mustBeWell(session: MailboxSession, when: string): Promise<void> {
  const { target, machine } = session;
  const from = session.prints.length;
  const ticks = Number(await machine.console.command('ticks', patience));
  await machine.console.command('print 3', patience);
  await session.until(() => session.prints.length >= from + 3, `the prints, ${when}`, patience);
  await target.breakIn(patience);
  assert.ok((await target.modules()).length >= 3, when);
  await target.resume();
  assert.ok(Number(await machine.console.command('ticks', patience)) > ticks, when);
}

test('a debugger that is killed with something under way leaves a guest that the next one finds well', async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const session = await MailboxSession.start(t, { cpus: 1 });
  const { machine, target } = session;
  for (let round = soak ? 60 : 4; round > 0; round--) {
    const args = [doomed, machine.kdLink, machine.ramFile, String(random.next())];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('close', (code) => reject(new Error(`it ended by itself, ${code}`)));
    });
    await sleep(random.below(500));
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
    const changes = session.changes.length;
    await target.attach({ breakIn: true, milliseconds: patience });
    await target.resume();
    await mustBeWell(session, `round ${round}`);
    await session.until(
      () => session.changes.length > changes && session.carrying === 'mailbox',
      'the mailbox',
      patience,
    );
    await target.release();
  }
});

test('a debugger that is stopped for too long finds the guest on the line, and both come back', async (t) => {
  const session = await MailboxSession.start(t, { cpus: 1 });
  const { target } = session;
  await target.attach(breakIn);
  await session.untilCarriedBy('mailbox');
  for (const state of ['stopped', 'running'] as const) {
    if (state === 'running') await target.resume();
    const changes = session.changes.length;
    // Nobody looks, nobody beats: as if this process had been away.
    const until = performance.now() + 4000;
    while (performance.now() < until) continue;
    await session.until(() => session.changes.length >= changes + 2, `both ways, ${state}`, patience);
    const [away, back] = session.changes.slice(changes);
    assert.equal(away?.why?.code, 'mailbox-left', session.describeChanges());
    assert.equal(back?.carrying, 'mailbox');
    if (state === 'stopped') assert.ok((await target.modules()).length > 0);
    else await mustBeWell(session, state);
  }
});

test('a machine that is reset is debugged on, whether its module loads early or late', async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  let restarts = 0;
  for (const guestModule of ['boot', 'later'] as const) {
    const session = await MailboxSession.start(t, { cpus: 1, guestModule }, { onRestart: () => restarts++ });
    const { target, machine } = session;
    await target.attach(breakIn);
    await target.resume();
    for (let round = soak ? 100 : 4; round > 0; round--) {
      const before = restarts;
      const stopped = random.chance(0.3);
      if (guestModule === 'later' && random.chance(0.7)) {
        await machine.console.command('load vmkd.sys', patience);
        if (random.chance(0.5)) await session.untilCarriedBy('mailbox', patience);
      }
      if (stopped) await target.breakIn(patience);
      await sleep(random.below(200));
      await machine.reset();
      if (guestModule === 'boot') await session.untilCarriedBy('mailbox', patience);
      await mustBeWell(session, `${guestModule}, round ${round}`);
      assert.ok(restarts > before, 'the client knows');
    }
    await target.release();
    await machine.stop();
  }
});

/** Offset and length: the guest's own line most of the time; else the host's, the header, frames, messages. */
const targets: readonly (readonly [number, number])[] = [
  [0x40, 64],
  [0x40, 64],
  [0x40, 64],
  [0x80, 64],
  [0x1000, 34_816],
  [0x1000, 64],
  [0, 64],
  [0x400, 80],
];

test('whatever is scribbled over the mailbox, the debugger survives, says so, and goes on', async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const session = await MailboxSession.start(t, { cpus: 1 });
  const { target, ram } = session;
  await target.attach(breakIn);
  const finder = new MailboxFinder(ram, systemClock);
  const { signal } = new AbortController();
  const found = await finder.living(await finder.scan(signal), signal);
  assert.ok(found);
  const { pages } = found.description;
  const place = (offset: number): number => pages[offset >> 12]! * 4096 + (offset & 4095);
  const header = new Uint8Array(0x400 + pages.length * 8);
  ram.readAt(place(0), header);

  const rounds = soak ? 100_000 : 480;
  const failures = new Map<string, number>();
  let answered = 0;
  for (let round = 0; round < rounds; round++) {
    if (round % (soak ? 500 : 80) === 0) {
      // A while of peace, so that the mailbox is used again.
      ram.writeAt(place(0), header.subarray(0, 0x50)); // all that the guest does not write again itself
      ram.writeAt(place(0x400), header.subarray(0x400));
      await session.untilCarriedBy('mailbox', patience);
    }
    const [start, length] = random.pick(targets);
    const offset = start + random.below(length);
    const bytes = random.bytes(1 + random.below(random.chance(0.5) ? 4 : 64));
    ram.writeAt(place(offset), bytes.subarray(0, 4096 - (offset & 4095)));
    try {
      const { kernelBase } = target.stopped.version;
      if ((await target.memory.readPartial(kernelBase, 64)).length === 64) answered++;
    } catch (thrown) {
      assert.ok(thrown instanceof VmkdError, String(thrown));
      failures.set(thrown.code, (failures.get(thrown.code) ?? 0) + 1);
      if (target.client.state.kind !== 'stopped')
        await target.attach({ breakIn: true, milliseconds: patience });
    }
  }
  const reasons = new Map<string, number>();
  for (const { why } of session.changes)
    if (why) reasons.set(why.message, (reasons.get(why.message) ?? 0) + 1);
  t.diagnostic(`${answered} of ${rounds} answered; failures ${JSON.stringify([...failures])}`);
  t.diagnostic(JSON.stringify([...reasons]));
  assert.ok(answered > rounds * 0.9);
  assert.ok(reasons.size > 0 && session.changes.length >= 4, session.describeChanges());
  const last = Buffer.from(await target.memory.readPartial(target.stopped.version.kernelBase, 2));
  assert.equal(last.toString('latin1'), 'MZ');
  await target.resume();
  assert.ok(Number(await session.machine.console.command('ticks', limit)) > 0);
});
