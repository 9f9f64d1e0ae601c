// test-limit: 900 s
/** A guest with the module and no host runs as one without the module: its clock ticks as often, at no cost that could be seen. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/engine/core/clock';
import { MailboxFinder } from '../../src/engine/link/mailbox/finder';
import { readGuestWords } from '../../src/engine/link/mailbox/description';
import { FileRam } from '../fixtures/fileRam';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const seconds = process.env['VMKD_SOAK'] === 'full' ? 600 : 15;

test(`${seconds} s without a host`, async (t) => {
  const machines: DemoMachine[] = [];
  t.after(() => Promise.all(machines.map((machine) => machine.stop())));
  for (const options of [{}, { guestModule: 'boot' as const }])
    machines.push(await bootDemoKernel({ cpus: 1, memoryMiB: 128, ...options }));
  const [plain, withModule] = machines as [DemoMachine, DemoMachine];
  const ram = new FileRam(withModule.ramFile);
  t.after(() => ram.close());
  const finder = new MailboxFinder(ram, systemClock);
  const { signal } = new AbortController();
  const found = await finder.living(await finder.scan(signal), signal);
  assert.ok(found);

  const before = await Promise.all(machines.map(state));
  const polls = readGuestWords(ram, found.description).polls;
  await sleep(seconds * 1000);
  const after = await Promise.all(machines.map(state));
  const ticks = after.map((one, i) => one.ticks - before[i]!.ticks);
  const cpu = after.map((one, i) => one.cpu - before[i]!.cpu);
  const polled = readGuestWords(ram, found.description).polls - polls;
  t.diagnostic(
    `ticks ${ticks.join(' and ')}, processor time of the machines ${cpu.map((s) => s.toFixed(2)).join(' and ')} s, ${polled} polls`,
  );
  // Both machines have what the host gives them; a busy host gives one of them a little less.
  assert.ok(ticks[1]! > 0.95 * ticks[0]!, 'the clock is slower');
  assert.ok(polled > 0.95 * ticks[1]!, 'the kernel polls by way of the module at each tick');
  assert.ok(plain.pid !== withModule.pid);
});

/** Ticks of the guest, and seconds of processor time that its QEMU has used. */
async function state({ console, pid }: DemoMachine): Promise<{ ticks: number; cpu: number }> {
  const ticks = Number(await console.command('ticks', 60_000));
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return { ticks, cpu: (Number(fields[11]) + Number(fields[12])) / 100 };
}
