// test-limit: 1800 s
/**
 * A kernel that prints 100,000 lines while the client of the adapter does not read: nothing is lost, nothing is out of order,
 * and the adapter does not grow meanwhile: it holds the link, and with it the kernel.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { debugDemoKernel } from '../fixtures/adapter';

const lines = 100_000;
/** Long enough for the text of all lines to be more than the adapter keeps. */
const text = 'a line that is long enough to fill what the adapter keeps before it holds the link';
const mostMiB = 400;
/** Milliseconds within which a kernel that is not held prints many lines. */
const quiet = 15_000;

const residentMiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
const bytesRead = (pid: number): number =>
  Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);

test('100,000 lines, to a client that is slow', { timeout: 1_700_000 }, async (t) => {
  const debugging = await debugDemoKernel();
  t.after(() => debugging.end());
  const { client, machine } = debugging;
  await client.continueRequest({ threadId: 1 });
  client.process.stdout?.pause();
  const started = performance.now();
  const printing = machine.console.command(`print ${lines} ${text}`, 1_600_000);
  const pid = client.process.pid!;
  let highest = 0;
  // Until the adapter reads no more: it has stopped taking what it cannot hand on.
  for (let before = -1, now = bytesRead(pid); now !== before; before = now, now = bytesRead(pid)) {
    highest = Math.max(highest, residentMiB(pid));
    await new Promise((resolve) => setTimeout(resolve, quiet));
  }
  client.process.stdout?.resume();
  assert.equal(await printing, `${lines} printed`);
  await client.until(() => client.output().includes(`demo print ${lines} of ${lines}`), 'last line');
  const seen = client.output().match(/demo print \d+ of \d+: [^\n]*\n/g) ?? [];
  assert.equal(seen.length, lines);
  for (const [i, line] of seen.entries()) assert.equal(line, `demo print ${i + 1} of ${lines}: ${text}\n`);
  assert.ok(highest < mostMiB, `${highest.toFixed(0)} MiB`);
  t.diagnostic(`${((performance.now() - started) / 1000).toFixed(0)} s, at most ${highest.toFixed(0)} MiB`);
});
