/**
 * How fast a way to the kernel is, as `npm run demo` shows it: a read of memory, and the time until KD has answered one small
 * question. The debug port is measured first, by itself, as one has always used it; then what the session uses.
 */

import type { VirtualAddress } from '../../src/engine/core/addresses';
import { readVirtualMemory } from '../../src/engine/kd/manipulate/memory';
import { createEndpoint } from '../../src/engine/link/endpoint';
import type { VirtualMemory } from '../../src/engine/memory/virtualMemory';
import { LiveTarget } from '../../src/engine/target/liveTarget';
import type { Transport, TransportState } from '../../src/engine/target/transport';

/** Of one way. */
export interface Speeds {
  readonly bytesPerSecond: number;
  readonly microsToAnswer: number;
}

const serialBytes = 32 << 10;
const questions = 100;

/** Of the debug port alone. The kernel runs before and afterwards. */
export async function serialSpeeds(link: string, milliseconds: number): Promise<Speeds> {
  const endpoint = createEndpoint(link);
  const target = new LiveTarget({ endpoint, linkMilliseconds: milliseconds });
  try {
    await target.attach({ breakIn: true, milliseconds });
    return await speedsOf(target, target.memory, target.stopped.version.kernelBase, serialBytes);
  } finally {
    await target.release();
    await endpoint.dispose();
  }
}

/** @param memory Where the bytes are read. `live` answers the questions. */
export async function speedsOf(
  live: LiveTarget,
  memory: Pick<VirtualMemory, 'readPartial'>,
  address: VirtualAddress,
  length: number,
): Promise<Speeds> {
  const started = performance.now();
  const bytes = await memory.readPartial(address, length);
  const seconds = (performance.now() - started) / 1000;
  if (bytes.length !== length) throw new Error(`${bytes.length} of ${length} bytes are readable`);
  const times: number[] = [];
  for (let i = 0; i < questions; i++) {
    const asked = performance.now();
    await live.client.request(readVirtualMemory, { address: live.stopped.version.kernelBase, count: 16 });
    times.push(performance.now() - asked);
  }
  const median = times.toSorted((a, b) => a - b)[questions >> 1]!;
  return { bytesPerSecond: length / seconds, microsToAnswer: median * 1000 };
}

/** What carries the session when the best way has been found, or when so many milliseconds have passed. */
export async function settled(transport: Transport, milliseconds: number): Promise<TransportState> {
  if (transport.state.tier === 'mailbox') return transport.state;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      forget();
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    const forget = transport.onChange.add(({ tier }) => {
      if (tier === 'mailbox') end();
    });
  });
  return transport.state;
}

export const rateText = (bytesPerSecond: number): string =>
  bytesPerSecond < 1e6
    ? `${(bytesPerSecond / 1e3).toFixed(0)} KB/s`
    : `${(bytesPerSecond / 1e6).toFixed(0)} MB/s`;
