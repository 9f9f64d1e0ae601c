/**
 * A memory pane of 4 KiB that is looked at thirty times a second while the kernel runs: what that costs the adapter, all of it:
 * timer, reading, the event, the client's request and its answer.
 */

import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { AdapterClient } from '../../fixtures/adapter';
import type { DemoMachine } from '../../kernel/machine';
import type { Figure } from '../bench';

const refreshesPerSecond = 30;
const paneBytes = 4096;
/** KUSER_SHARED_DATA: it changes with every tick of the clock, 64 times a second. */
const memoryReference = '0xfffff78000000000';
const warmUp = 5000;
const warmReads = 3000;
const milliseconds = 15_000;

export async function liveFigures(machine: DemoMachine): Promise<Figure[]> {
  const client = new AdapterClient();
  try {
    await client.attachAndStop(machine, { live: { refreshesPerSecond } });
    const read = (): Promise<unknown> => client.ask('readMemory', { memoryReference, count: paneBytes });
    await read();
    let count = 0;
    client.on('memory', () => {
      count++;
      void read();
    });
    await client.continueRequest({ threadId: 1 });
    // Symbols may still be on their way; and code is slow that has not run for a minute or two.
    for (let i = 0; i < warmReads; i++) await read();
    await passed(warmUp);
    const pid = client.process.pid!;
    const [before, started] = [processorSeconds(pid), performance.now()];
    count = 0;
    await passed(milliseconds);
    const seconds = (performance.now() - started) / 1000;
    const used = processorSeconds(pid) - before;
    client.removeAllListeners('memory');
    await client.disconnectRequest();
    const rate = count / seconds;
    process.stderr.write(
      `live: ${rate.toFixed(1)} refreshes a second, ${used.toFixed(2)} s of ${seconds.toFixed(1)} s\n`,
    );
    if (rate < refreshesPerSecond * 0.8) throw new Error(`Only ${rate.toFixed(1)} refreshes a second`);
    return [{ id: 'live.core_pct', value: (used / seconds) * 100, unit: '%', goal: { atMost: 2 } }];
  } finally {
    await client.end();
  }
}

const passed = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time));

/** Of a process, in user and system mode, by Linux's /proc: fields 14 and 15 of its stat. */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
