/**
 * Ways to copy 64 MiB of memory in pieces of 4 KiB, beside each other: for every bench that asks what a copy costs.
 *
 * Each round copies by every way, so that a machine whose speed drifts is fair to all; what counts is processor time, of which
 * others on this machine take none. The first round only touches what is written to.
 */

import { randomFrom, seedFromEnvironment } from '../fixtures/random';

export const copiedBytes = 64 << 20;
export const pieceBytes = 4096;

/** Copies the pieces at `offsets`, one behind the other. */
export type CopyWay = (offsets: readonly number[], into: Uint8Array) => void;

/** Where the pieces are: one behind the other, or anywhere in `bytes` of memory. */
export function piecesIn(bytes: number, order: 'contiguous' | 'scattered'): number[] {
  const random = randomFrom(seedFromEnvironment());
  const pages = bytes / pieceBytes;
  return Array.from(
    { length: copiedBytes / pieceBytes },
    (_, i) => (order === 'contiguous' ? i : random.below(pages)) * pieceBytes,
  );
}

/** @returns for each way its seconds, the median of all rounds, divided by those of a plain copy of the same bytes */
export function copyCosts<Name extends string>(
  ways: Readonly<Record<Name, CopyWay>>,
  offsets: readonly number[],
  rounds = 15,
): { readonly [name in Name]: number } & { readonly plainSeconds: number } {
  const into = new Uint8Array(copiedBytes);
  const copy = new Uint8Array(copiedBytes);
  const names = Object.keys(ways) as Name[];
  const taken = new Map<string, number[]>([...names, 'plain'].map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const seconds = processorTime(() => ways[name](offsets, into));
      if (round > 0) taken.get(name)!.push(seconds);
    }
    const seconds = processorTime(() => copy.set(into));
    if (round > 0) taken.get('plain')!.push(seconds);
  }
  const plainSeconds = median(taken.get('plain')!);
  const costs = names.map((name) => [name, median(taken.get(name)!) / plainSeconds] as const);
  return { ...(Object.fromEntries(costs) as { [name in Name]: number }), plainSeconds };
}

/** Seconds, of user and system. */
function processorTime(action: () => void): number {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!;
