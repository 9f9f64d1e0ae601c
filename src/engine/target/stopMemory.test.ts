/** The memory of one stop: few reads, right answers, nothing of ours in them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { plus, virtualAddress, type VirtualAddress } from '../core/addresses';
import type { KdMemory } from './kdMemory';
import { StopMemory } from './stopMemory';

const base = virtualAddress(0xfffff80000000000n);
const pageSize = 4096;

function memoryOf(pages: number, absent: ReadonlySet<number> = new Set()) {
  const bytes = randomFrom(5).bytes(pages * pageSize);
  const reads: [at: number, length: number][] = [];
  const cleared: number[] = [];
  const source = {
    readPartial: (address: VirtualAddress, length: number) => {
      const at = Number(address - base);
      reads.push([at, length]);
      let count = 0;
      while (count < length && at + count < bytes.length && !absent.has(Math.floor((at + count) / pageSize)))
        count++;
      return Promise.resolve(bytes.slice(at, at + count));
    },
    write: (address: VirtualAddress, data: Uint8Array) => {
      bytes.set(data, Number(address - base));
      return Promise.resolve();
    },
  };
  // One int3 of ours, at 100.
  const own = bytes[100]!;
  bytes[100] = 0xcc;
  const memory = new StopMemory(source as unknown as KdMemory, {
    cover(address, data) {
      const at = 100 - Number(address - base);
      if (at >= 0 && at < data.length && data[at] === 0xcc) data[at] = own;
    },
    clear(address) {
      cleared.push(Number(address - base));
      return Promise.resolve();
    },
  });
  const shown = bytes.slice();
  shown[100] = own;
  return { memory, bytes, shown, reads, cleared };
}

void describe('the memory of a stop', () => {
  void it('is what is there, without our int3, whatever is asked in whatever order', async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    for (let round = 0; round < 20; round++) {
      const absent = new Set([2 + random.below(6)]);
      const { memory, shown } = memoryOf(8, absent);
      const [hole] = absent;
      for (let i = 0; i < 60; i++) {
        const at = random.below(shown.length);
        const length = random.below(3000);
        const end =
          at >= hole! * pageSize && at < (hole! + 1) * pageSize
            ? at
            : at < hole! * pageSize
              ? hole! * pageSize
              : shown.length;
        const expected = shown.slice(at, Math.min(at + length, end));
        assert.deepEqual(await memory.readPartial(plus(base, at), length), expected);
      }
    }
  });

  void it('reads from its line to the end of what is asked, and each line once', async () => {
    const { memory, reads } = memoryOf(4);
    await memory.readPartial(plus(base, 600), 8);
    await memory.readPartial(plus(base, 520), 100);
    assert.deepEqual(reads, [[512, 512]]);
    await memory.readPartial(plus(base, 900), 1000);
    assert.deepEqual(reads.slice(1), [[1024, 1024]]);
    await Promise.all([memory.readPartial(plus(base, 4096), 16), memory.readPartial(plus(base, 4100), 16)]);
    assert.equal(reads.length, 3);
    memory.forget();
    await memory.readPartial(plus(base, 600), 8);
    assert.equal(reads.length, 4);
  });

  void it('takes what the stop itself has told, without asking', async () => {
    const { memory, reads, shown, bytes } = memoryOf(1);
    memory.learn(plus(base, 96), bytes.slice(96, 112));
    assert.deepEqual(await memory.readPartial(plus(base, 100), 5), shown.slice(100, 105));
    assert.equal(reads.length, 0);
    await memory.readPartial(plus(base, 100), 16);
    assert.equal(reads.length, 1);
    memory.forget();
    await memory.readPartial(plus(base, 100), 5);
    assert.equal(reads.length, 2);
  });

  void it('is written with ours out of the way, and read anew', async () => {
    const { memory, cleared } = memoryOf(1);
    await memory.readPartial(plus(base, 0), 8);
    await memory.write(plus(base, 4), Uint8Array.of(1, 2));
    assert.deepEqual(cleared, [4]);
    assert.deepEqual((await memory.readPartial(plus(base, 4), 2)).slice(), Uint8Array.of(1, 2));
  });
});
