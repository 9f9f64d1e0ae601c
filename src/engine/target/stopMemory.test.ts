/** The memory of one stop: few reads, right answers, nothing of ours in them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { plus, virtualAddress, type VirtualAddress } from '../core/addresses';
import type { KdMemory } from './kdMemory';
import { StopMemory, type FastMemory } from './stopMemory';

const base = virtualAddress(0xfffff80000000000n);
const pageSize = 4096;

function memoryOf(pages: number, absent: ReadonlySet<number> = new Set(), fast?: FastMemory) {
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
  const memory = new StopMemory(
    source as unknown as KdMemory,
    {
      cover(address, data) {
        const at = 100 - Number(address - base);
        if (at >= 0 && at < data.length && data[at] === 0xcc) data[at] = own;
      },
      clear(address) {
        cleared.push(Number(address - base));
        return Promise.resolve();
      },
    },
    fast,
  );
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

  void it('is changed by others, too', async () => {
    const { memory, reads, bytes } = memoryOf(1);
    await memory.readPartial(plus(base, 500), 600);
    bytes[1030] = 77;
    memory.changed(plus(base, 1030), 1);
    assert.equal((await memory.readPartial(plus(base, 1030), 1))[0], 77);
    assert.deepEqual(reads, [
      [0, 1536],
      [1024, 512],
    ]);
  });
});

/** Guest RAM: some pages of its own, others of KD only, others nobody's. */
class HalfMemory implements FastMemory {
  isUsable = true;
  endedAtNothing = false;
  forgotten = 0;
  /** Ends it in the middle of a read of so many bytes. */
  fails = Infinity;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly ofKd: ReadonlySet<number>,
    private readonly ofNobody: ReadonlySet<number>,
  ) {}

  read(address: VirtualAddress, into: Uint8Array): number {
    const at = Number(address - base);
    let count = 0;
    for (; this.isUsable && count < into.length; count++) {
      const page = Math.floor((at + count) / pageSize);
      this.endedAtNothing = this.ofNobody.has(page) || page * pageSize >= this.bytes.length;
      if (this.endedAtNothing || this.ofKd.has(page)) return count;
      if (count >= this.fails) this.isUsable = this.endedAtNothing = false;
      into[count] = this.bytes[at + count]!;
    }
    return count;
  }

  isPresent = (): undefined => undefined;

  forget(): void {
    this.forgotten++;
  }
}

void describe('the memory of a stop, with guest RAM', () => {
  const pages = 12;

  /** @returns a memory whose guest RAM lacks pages that KD has, and knows of some that nobody has them. */
  function mixed(seed: number) {
    const random = randomFrom(seed);
    const ofKd = new Set<number>();
    const ofNobody = new Set<number>();
    for (let page = 0; page < pages; page++) {
      if (random.chance(0.3)) ofKd.add(page);
      else if (random.chance(0.1)) ofNobody.add(page);
    }
    // KD lacks what nobody has, and some of what only it could have.
    const absent = new Set([...ofNobody, ...[...ofKd].filter(() => random.chance(0.2))]);
    const parts = memoryOf(pages, absent);
    const fast = new HalfMemory(parts.shown, ofKd, ofNobody);
    return { random, absent, ofKd, fast, ...memoryOf(pages, absent, fast) };
  }

  void it('is whole, whoever has which page', async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    for (let round = 0; round < 30; round++) {
      const { random, absent, ofKd, memory, shown, reads } = mixed(seed + round);
      for (let i = 0; i < 40; i++) {
        const at = random.below(shown.length);
        const length = random.below(random.chance(0.5) ? 100 : 5 * pageSize);
        let end = at;
        while (end < Math.min(at + length, shown.length) && !absent.has(Math.floor(end / pageSize))) end++;
        const expected = shown.slice(at, end);
        assert.deepEqual((await memory.readPartial(plus(base, at), length)).slice(), expected);
        const into = new Uint8Array(length);
        assert.equal(await memory.readInto(plus(base, at), into), expected.length);
        assert.deepEqual(into.slice(0, expected.length), expected);
      }
      for (const [at, length] of reads) {
        assert.ok(ofKd.has(Math.floor(at / pageSize)), 'KD was asked for what RAM has, or nobody');
        assert.ok((at % pageSize) + length <= pageSize);
      }
    }
  });

  void it('goes on by KD alone when guest RAM fails in the middle', async () => {
    const parts = memoryOf(8);
    const fast = new HalfMemory(parts.shown, new Set(), new Set());
    const { memory, shown, reads } = memoryOf(8, new Set(), fast);
    fast.fails = 5000;
    assert.deepEqual((await memory.readPartial(plus(base, 10), 20_000)).slice(), shown.slice(10, 20_010));
    assert.equal(fast.isUsable, false);
    assert.equal(reads.length, 1, 'the rest in one piece');
    assert.deepEqual((await memory.readPartial(plus(base, 0), 64)).slice(), shown.slice(0, 64));
    assert.equal(reads.length, 2);
  });

  void it('forgets in guest RAM, too', async () => {
    const parts = memoryOf(2);
    const fast = new HalfMemory(parts.shown, new Set(), new Set());
    const { memory } = memoryOf(2, new Set(), fast);
    memory.forget();
    memory.changed(base, 1);
    await memory.write(plus(base, 4), Uint8Array.of(1));
    assert.equal(fast.forgotten, 3);
  });
});
