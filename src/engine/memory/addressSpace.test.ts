/** Reading an address space: the bytes that its pages have, wherever their frames lie. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TableBuilder } from '../../../test/fixtures/pageTables';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { plus, virtualAddress, type VirtualAddress } from '../core/addresses';
import { AddressSpace, type SpaceOptions } from './addressSpace';
import { TablePages } from './pageTables';

const pageSize = 4096;
const base = virtualAddress(0xfffff80000000000n);

/** Pages from `base` on, some of them absent, their frames shuffled in part. */
function spaceOf(seed: number, options: SpaceOptions = {}) {
  const random = randomFrom(seed);
  const builder = new TableBuilder(1024 + 16, '4-level');
  const { memory } = builder;
  memory.bytes.set(random.bytes(1024 * pageSize));
  const expected = new Map<number, number>();
  for (let page = 0; page < 600; page++) {
    if (random.chance(0.02)) continue;
    const frame = random.chance(0.7) ? page + 1 : random.below(1024);
    expected.set(page, frame);
    builder.map(base + BigInt(page * pageSize), frame);
  }
  const tables = new TablePages(memory);
  const space = new AddressSpace(tables, builder.paging, options);
  const shown = (at: number, length: number): Uint8Array => {
    const parts: number[] = [];
    for (let done = 0; done < length; done++) {
      const frame = expected.get(Math.floor((at + done) / pageSize));
      if (frame === undefined) break;
      parts.push(memory.bytes[frame * pageSize + ((at + done) % pageSize)]!);
    }
    return Uint8Array.from(parts);
  };
  return { space, tables, builder, random, shown };
}

void describe('an address space', () => {
  void it('is read as it is mapped, in small and in large pieces', (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const { space, random, shown } = spaceOf(seed);
    for (let i = 0; i < 400; i++) {
      const at = random.below(600 * pageSize);
      const into = new Uint8Array(random.chance(0.5) ? random.below(6000) : random.below(100_000));
      const count = space.read(plus(base, at), into);
      const expected = shown(at, into.length);
      assert.equal(count, expected.length);
      assert.ok(Buffer.from(into.buffer, 0, count).equals(expected));
      assert.ok(into.subarray(count).every((byte) => byte === 0));
      if (count < into.length) assert.ok(space.endedAtNothing);
    }
  });

  void it('reads neighbours at once, and pages that it had not at all', () => {
    const builder = new TableBuilder(600, '4-level');
    for (let page = 0; page < 512; page++)
      builder.map(base + BigInt(page * pageSize), page === 200 ? 530 : page);
    const { memory } = builder;
    const space = new AddressSpace(new TablePages(memory), builder.paging);
    const into = new Uint8Array(512 * pageSize);
    space.read(base, new Uint8Array(8));
    memory.reads = 0;
    assert.equal(space.read(base, into), into.length);
    assert.equal(memory.reads, 1, 'three runs in one call, the tables known');
    memory.reads = 0;
    for (let i = 0; i < 50; i++) space.read(plus(base, i * 60), new Uint8Array(60));
    assert.equal(memory.reads, 0);
  });

  void it('forgets what it is told to forget', () => {
    const builder = new TableBuilder(600, '4-level');
    builder.map(base, 5);
    const tables = new TablePages(builder.memory);
    const space = new AddressSpace(tables, builder.paging);
    const read = (): number => {
      const one = new Uint8Array(1);
      return space.read(base, one) === 0 ? -1 : one[0]!;
    };
    assert.equal(read(), 0);
    builder.memory.bytes[5 * pageSize] = 1;
    assert.equal(read(), 0);
    space.forget();
    assert.equal(read(), 1);
    builder.memory.bytes[6 * pageSize] = 2;
    builder.map(base, 6);
    tables.forget();
    space.forget();
    assert.equal(read(), 2);
    // More pages than are kept: the oldest go, what is read stays right.
    const many = spaceOf(3);
    for (let i = 0; i < 5000; i++) {
      const at = many.random.below(600) * pageSize;
      const into = new Uint8Array(16);
      const count = many.space.read(plus(base, at), into);
      assert.deepEqual(into.slice(0, count), many.shown(at, 16));
    }
  });

  void it('shows each byte to the overlay before anybody reads it', () => {
    const seen: [VirtualAddress, number][] = [];
    const { space } = spaceOf(1, {
      cover: (address, bytes) => {
        seen.push([address, bytes.length]);
        bytes.fill(7);
      },
    });
    const small = new Uint8Array(20);
    const large = new Uint8Array(5 * pageSize);
    const at = plus(base, 100);
    assert.equal(space.read(at, small), 20);
    assert.equal(space.read(at, small), 20);
    assert.deepEqual(seen, [[base, pageSize]]);
    const count = space.read(at, large);
    assert.deepEqual(seen[1], [at, count]);
    assert.ok(small.every((byte) => byte === 7) && large.subarray(0, count).every((byte) => byte === 7));
  });

  void it('ends at the end of all addresses', () => {
    const builder = new TableBuilder(100, '4-level');
    const last = 0xfffffffffffff000n;
    builder.map(last, 4);
    builder.map(0n, 5);
    const space = new AddressSpace(new TablePages(builder.memory), builder.paging);
    for (const length of [5000, 100_000])
      assert.equal(space.read(virtualAddress(last + 4000n), new Uint8Array(length)), 96);
  });
});
