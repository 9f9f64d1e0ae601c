// test-limit: 600 s
// test-processors: at once
/**
 * vmkd.sys takes over the kernel's debugger transport and gives it back, in both ways that it knows, on a kernel that calls
 * kdcom through its import slots and on one that was changed to direct calls at boot, as Windows changes itself.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { MailboxFinder } from '../../src/engine/link/mailbox/finder';
import { systemClock } from '../../src/engine/core/clock';
import { breakIn } from '../fixtures/attached';
import { FileRam } from '../fixtures/fileRam';
import { changedPlaces, readGuestImage } from '../fixtures/guestImages';
import { MailboxSession } from '../fixtures/mailboxSession';
import { bootDemoKernel } from '../kernel/machine';

const cycles = process.env['VMKD_SOAK'] === 'full' ? 1000 : 12;
const patience = 120_000;

const kernels = {
  imports: { cmdline: '', takeover: 1 },
  entries: { cmdline: 'importopt', takeover: 2 },
} as const;

async function boot(t: TestContext, cmdline: string) {
  const machine = await bootDemoKernel({ guestModule: 'later', memoryMiB: 128, cpus: 2, cmdline });
  const ram = new FileRam(machine.ramFile);
  t.after(async () => {
    await machine.stop();
    ram.close();
  });
  const images = () =>
    Promise.all(['kdcom.dll', 'ntoskrnl.exe'].map((name) => readGuestImage(machine, ram, name)));
  return { machine, ram, images };
}

for (const [way, { cmdline, takeover }] of Object.entries(kernels)) {
  // The entries are taken a second after nothing came by the slots, so that fewer cycles have to do.
  const count = way === 'imports' ? cycles : Math.ceil(cycles / 6);
  test(`${count} loads and unloads by ${way} leave kdcom and the kernel as they were`, async (t) => {
    const { machine, ram, images } = await boot(t, cmdline);
    const [kdcom, kernel] = await images();
    const finder = new MailboxFinder(ram, systemClock);
    const { signal } = new AbortController();
    for (let cycle = 0; cycle < count; cycle++) {
      await machine.console.command('load vmkd.sys', patience);
      if (cycle < 3) {
        const [kdcomNow, kernelNow] = await images();
        const inKdcom = changedPlaces(kdcom!, kdcomNow!);
        const inKernel = changedPlaces(kernel!, kernelNow!);
        const found = await finder.living(await finder.scan(signal), signal);
        assert.equal(found?.words.takeover, takeover);
        if (way === 'imports') {
          assert.deepEqual(inKdcom, []);
          assert.ok(inKernel.length > 0 && inKernel.length <= 16, `${inKernel.length} bytes: two slots`);
        } else {
          assert.deepEqual(inKernel, []);
          assert.ok(inKdcom.length > 0 && inKdcom.length <= 28, `${inKdcom.length} bytes: two jumps`);
        }
      }
      await machine.console.command('unload vmkd.sys', patience);
    }
    const [kdcomAfter, kernelAfter] = await images();
    assert.deepEqual(changedPlaces(kdcom!, kdcomAfter!), []);
    assert.deepEqual(changedPlaces(kernel!, kernelAfter!), []);
  });
}

test('a kernel whose file has another name is found', async (t) => {
  execFileSync(process.execPath, ['test/kernel/build.mjs', '--quiet', '--kernel-name', 'ntkrnlmp.exe'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const session = await MailboxSession.start(t, { kernelName: 'ntkrnlmp.exe', cpus: 1 });
  await session.target.attach(breakIn);
  await session.untilCarriedBy('mailbox', patience);
  assert.equal((await session.target.modules())[0]?.name, 'ntkrnlmp.exe');
  await session.target.release();
});

test('a session by way of kdcom’s entries is as good as one by the import slots', async (t) => {
  const session = await MailboxSession.start(t, { cmdline: 'importopt', guestModule: 'later', cpus: 1 });
  const { target, machine } = session;
  await target.attach(breakIn);
  await target.resume();
  for (let round = 0; round < 2; round++) {
    await machine.console.command('load vmkd.sys', patience);
    await session.untilCarriedBy('mailbox', patience);
    await machine.console.command('print 5', patience);
    await target.breakIn(patience);
    assert.ok((await target.modules()).some(({ name }) => name === 'vmkd.sys'));
    await target.resume();
    await machine.console.command('unload vmkd.sys', patience);
    await session.untilCarriedBy('serial', patience);
    await machine.console.command('print 5', patience);
    await target.breakIn(patience);
    assert.ok(!(await target.modules()).some(({ name }) => name === 'vmkd.sys'));
    await target.resume();
  }
  const demo = session.prints.flatMap((line) => /print (\d+) of 5/.exec(line)?.[1] ?? []).map(Number);
  assert.deepEqual(
    demo,
    Array.from({ length: 20 }, (_, i) => (i % 5) + 1),
  );
});
