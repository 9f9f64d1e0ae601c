import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { virtualAddress } from '../core/addresses';
import type { Paging } from './paging';
import { entryFlags, walkTables, type EntryReader } from './tableWalk';

const longMode: Paging = { mode: '4-level', root: 0x1000, pse: false };

/** Physical memory in which all but these entries is zero. */
const memory =
  (entries: Readonly<Record<number, bigint>>): EntryReader =>
  (address) =>
    Promise.resolve(entries[Number(address)] ?? 0n);

void describe('a walk through page tables', () => {
  const address = virtualAddress(0xffff_8000_0060_3123n);
  const upper = { [0x1000 + 256 * 8]: 0x2063n, 0x2000: 0x3063n };

  void it('goes down to a page of 4 KiB', async () => {
    const walk = await walkTables(
      memory({ ...upper, [0x3000 + 3 * 8]: 0x4063n, [0x4000 + 3 * 8]: 0x8000_0000_0012_3103n }),
      longMode,
      address,
    );
    assert.equal(walk.kind, 'mapped');
    assert.deepEqual(
      walk.entries.map(({ name }) => name),
      ['PML4E', 'PDPTE', 'PDE', 'PTE'],
    );
    assert.deepEqual([walk.address, walk.pageBytes], [0x123_123n, 4096]);
    assert.deepEqual(entryFlags(walk.entries[3]!), ['writable', 'kernel', 'global', 'no execute']);
  });

  void it('ends at a large page', async () => {
    const walk = await walkTables(memory({ ...upper, [0x3000 + 3 * 8]: 0x4000_00e3n }), longMode, address);
    assert.equal(walk.kind, 'mapped');
    assert.deepEqual([walk.address, walk.pageBytes], [0x4000_3123n, 2 << 20]);
  });

  void it('says why there is no page', async () => {
    const why = async (entries: Readonly<Record<number, bigint>>, at = address): Promise<string> => {
      const walk = await walkTables(memory(entries), longMode, at);
      return walk.kind === 'unmapped' ? walk.why : 'mapped';
    };
    assert.match(await why({}), /PML4E is zero/);
    const lower = { ...upper, [0x3000 + 3 * 8]: 0x4063n };
    assert.match(await why({ ...lower, [0x4000 + 3 * 8]: 0x12_3800n }), /PTE is in transition/);
    assert.match(await why({ ...lower, [0x4000 + 3 * 8]: 0x12_3400n }), /prototype/);
    assert.match(await why({ ...lower, [0x4000 + 3 * 8]: 0x12_3080n }), /page file/);
    assert.match(await why({}, virtualAddress(0x8000_0000_0000_0000n)), /canonical/);
    assert.match(await why({ [0x1000 + 256 * 8]: 0x20e3n }), /breaks the rules/);
  });

  void it('knows no more than it can read', async () => {
    const walk = await walkTables(() => Promise.resolve(undefined), longMode, address);
    assert.equal(walk.kind === 'unmapped' && walk.why, 'The PML4E cannot be read: there is no RAM.');
  });

  void it('ends in tables that point at themselves', async () => {
    const walk = await walkTables(() => Promise.resolve(0x1063n), longMode, address);
    assert.equal(walk.entries.length, 4);
  });

  void it('knows the pages of 4 MiB', async () => {
    const walk = await walkTables(
      memory({ [0x1000 + 0x201 * 4]: 0x0080_20e3n }),
      { mode: '32-bit', root: 0x1000, pse: true },
      virtualAddress(0x8040_1234n),
    );
    assert.equal(walk.kind, 'mapped');
    assert.deepEqual([walk.address, walk.pageBytes], [0x1_0080_1234n, 4 << 20]);
  });
});
