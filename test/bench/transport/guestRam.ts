/**
 * Memory out of guest RAM, as everybody above the engine reads it: `target.memory`, with translation, cache and overlay. Beside
 * it, within the same seconds: a copy of the same bytes that does nothing but copy; and KD's UART.
 */

import { plus, virtualAddress, type VirtualAddress } from '../../../src/engine/core/addresses';
import { readPointer } from '../../../src/engine/memory/virtualMemory';
import type { Debugging } from '../../fixtures/debugging';
import { randomFrom, seedFromEnvironment } from '../../fixtures/random';
import type { Figure } from '../bench';

const bulkBytes = 64 << 20;
const rounds = 15;
const uartBytes = 64 << 10;
const pageReads = 20_000;

export async function guestRamFigures(debugging: Debugging): Promise<Figure[]> {
  const { target } = debugging;
  if (target.guestMemory.state.kind !== 'verified') throw new Error('Guest RAM is not verified');
  const window = await readPointer(target.memory, debugging.addressOf('nt!MmPhysicalWindow'), 8);
  const { bulk, copy } = await bulkRates(target.memory, window);
  const uart = await uartRate(target.live.memory, window);
  process.stderr.write(
    `guest RAM ${megabytes(bulk)} MB/s, copy ${megabytes(copy)} MB/s, UART ${megabytes(uart)} MB/s\n`,
  );
  return [
    { id: 'ram.bulk_vs_copy', value: bulk / copy, unit: 'x', goal: { atLeast: 0.5 } },
    { id: 'ram.bulk_vs_uart', value: bulk / uart, unit: 'x', goal: { atLeast: 5000 } },
    {
      id: 'ram.read4k_us_p50',
      value: await pageTime(target.memory, window),
      unit: 'us',
      goal: { atMost: 10 },
    },
  ];
}

type Memory = Debugging['target']['memory'];

/** Bytes a second of either, in turns; both into memory that is there already. */
async function bulkRates(memory: Memory, start: VirtualAddress) {
  const [bytes, copy] = [new Uint8Array(bulkBytes), new Uint8Array(bulkBytes)];
  const seconds: { read: number; copied: number }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const started = performance.now();
    const count = await memory.readInto(plus(start, (round % 4) * bulkBytes), bytes);
    const between = performance.now();
    copy.set(bytes);
    const ended = performance.now();
    if (count !== bulkBytes) throw new Error(`${count} bytes`);
    // The first one only touches what it writes to.
    if (round > 0) seconds.push({ read: (between - started) / 1000, copied: (ended - between) / 1000 });
  }
  return {
    bulk: bulkBytes / median(seconds.map(({ read }) => read)),
    copy: bulkBytes / median(seconds.map(({ copied }) => copied)),
  };
}

async function uartRate(memory: Debugging['target']['live']['memory'], start: VirtualAddress) {
  const started = performance.now();
  const { length } = await memory.readPartial(start, uartBytes);
  if (length !== uartBytes) throw new Error(`KD gave ${length} bytes`);
  return uartBytes / ((performance.now() - started) / 1000);
}

/** Of one read of 4 KiB anywhere in the kernel's window on its memory, in microseconds: most touch two pages. */
async function pageTime(memory: Memory, start: VirtualAddress): Promise<number> {
  const random = randomFrom(seedFromEnvironment());
  const pages = (4 * bulkBytes) / 4096 - 1;
  const times: number[] = [];
  for (let i = 0; i < pageReads; i++) {
    const address = virtualAddress(start + BigInt(random.below(pages) * 4096 + random.below(256) * 16));
    const started = performance.now();
    const { length } = await memory.readPartial(address, 4096);
    times.push((performance.now() - started) * 1000);
    if (length !== 4096) throw new Error(`${length} bytes`);
  }
  return median(times);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const megabytes = (rate: number): string => (rate / 1e6).toFixed(rate < 1e7 ? 3 : 0);
