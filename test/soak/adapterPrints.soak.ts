// test-limit: 3600 s
/**
 * A kernel that prints 100,000 lines while the client of the adapter does not read at all: nothing is lost, nothing is out of
 * order, and the adapter keeps most of it on disk meanwhile.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { debugDemoKernel } from '../fixtures/adapter';

const lines = 100_000;
/** Long enough for the text of all lines to be more than the adapter keeps in memory. */
const text = 'a line that is long enough to fill what the adapter keeps in memory long before the last one';
const mostMiB = 300;
const limit = 3_500_000;

/** The most memory that the process ever had. */
const peakMiB = (pid: number): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

test('100,000 lines, to a client that does not read', { timeout: limit }, async (t) => {
  const debugging = await debugDemoKernel();
  t.after(() => debugging.end());
  const { client, machine } = debugging;
  await client.continueRequest({ threadId: 1 });
  client.process.stdout?.pause();
  const started = performance.now();
  assert.equal(await machine.console.command(`print ${lines} ${text}`, limit), `${lines} printed`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const peak = peakMiB(client.process.pid!);
  client.process.stdout?.resume();
  await client.until(() => client.output().includes(`demo print ${lines} of ${lines}`), 'last line');
  const seen = client.output().match(/demo print \d+ of \d+: [^\n]*\n/g) ?? [];
  assert.equal(seen.length, lines);
  for (const [i, line] of seen.entries()) assert.equal(line, `demo print ${i + 1} of ${lines}: ${text}\n`);
  assert.ok(peak < mostMiB, `${peak.toFixed(0)} MiB`);
  t.diagnostic(`${seconds} s, at most ${peak.toFixed(0)} MiB`);
});
