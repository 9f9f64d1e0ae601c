/** Translation as processors do it, and as NT keeps what is not present; tables of a hostile guest. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TableBuilder } from '../../../test/fixtures/pageTables';
import { randomFrom, seedFromEnvironment, type Random } from '../../../test/fixtures/random';
import { virtualAddress } from '../core/addresses';
import { Miss, pageOf, PageTables, TablePages } from './pageTables';
import { inSpace, pagingOf, type PagingMode } from './paging';

const software = { highBit: 0, swizzleBit: 4 };

const walker = ({ memory, paging }: TableBuilder, entries: typeof software | undefined = software) =>
  new PageTables(new TablePages(memory), paging, entries);

const page = (address: bigint): number => pageOf(virtualAddress(address));

/** An address that the mode can translate, at the start of a page of 2^`shift` bytes. */
function anAddress(random: Random, mode: PagingMode, shift: number): bigint {
  const bits = { '5-level': 57n, '4-level': 48n, PAE: 32n, '32-bit': 32n }[mode];
  const value = BigInt(random.next()) * 0x100000000n + BigInt(random.next());
  const aligned = (BigInt.asUintN(Number(bits), value) >> BigInt(shift)) << BigInt(shift);
  return BigInt.asUintN(64, BigInt.asIntN(Number(bits), aligned));
}

/** Bytes of a page, as a power of two, by its level. */
const pageShifts: Record<PagingMode, readonly number[]> = {
  '5-level': [12, 21, 30],
  '4-level': [12, 21, 30],
  PAE: [12, 21],
  '32-bit': [12, 22],
};

void describe('page tables', () => {
  for (const mode of ['5-level', '4-level', 'PAE', '32-bit'] as const) {
    void it(`find every page of ${mode} paging, and none that is not there`, (t) => {
      const random = randomFrom(seedFromEnvironment());
      t.diagnostic(`seed ${random.seed}`);
      // As much as a large page of 4 MiB needs; a 1 GiB page reaches beyond, and is cut to what there is.
      const builder = new TableBuilder(2048 + 4096, mode, mode === 'PAE' ? 0x20 * 5 : 0);
      const mapped = new Map<number, number>();
      for (let i = 0; i < 200; i++) {
        const level = random.below(pageShifts[mode].length);
        const shift = pageShifts[mode][level]!;
        const address = anAddress(random, mode, shift);
        const pages = 2 ** (shift - 12);
        const frame =
          level === 0 ? random.below(2048) : pages > 2048 ? 0 : random.below(2048 / pages) * pages;
        try {
          if (builder.get(builder.entryAt(address, level)) !== 0n) continue;
        } catch {
          continue;
        }
        builder.map(address, frame, level);
        for (let n = 0; n < Math.min(pages, 2048); n += level === 0 ? 1 : 97)
          mapped.set(page(address) + n, frame + n);
      }
      const tables = walker(builder);
      assert.ok(mapped.size > 100);
      for (const [at, frame] of mapped) assert.equal(tables.frameOf(at), frame);
      // In another order, for what the walker remembers.
      for (const [at, frame] of [...mapped].sort(() => random.next() - 2 ** 31))
        assert.equal(tables.frameOf(at), frame);
      let absent = 0;
      for (let i = 0; i < 200; i++) {
        const at = page(anAddress(random, mode, 12));
        const frame = tables.frameOf(at);
        if (frame === Miss.absent) absent++;
        // A page of 1 GiB is larger than this RAM.
        else assert.ok(frame >= 0 || frame === Miss.elsewhere);
      }
      assert.ok(absent > 0);
    });
  }

  void it('count how far frames follow each other', () => {
    const builder = new TableBuilder(1200, '4-level');
    builder.map(0x200000n, 512, 1);
    builder.map(0x5000n, 7);
    // A large page that RAM has a part of.
    builder.map(0x400000n, 1024, 1);
    const tables = walker(builder);
    assert.equal(tables.frameOf(page(0x200000n)), 512);
    assert.equal(tables.span, 512);
    assert.equal(tables.frameOf(page(0x3ff000n)), 1023);
    assert.equal(tables.span, 1);
    assert.equal(tables.frameOf(page(0x5000n)), 7);
    assert.equal(tables.span, 1);
    assert.equal(tables.frameOf(page(0x400000n)), 1024);
    assert.equal(tables.span, 1200 - 1024);
    assert.equal(tables.frameOf(page(0x5ff000n)), Miss.elsewhere);
  });

  void it('know reserved bits, and those that are no part of a frame', () => {
    const builder = new TableBuilder(3000, '4-level');
    const tables = () => walker(builder);
    // NX, protection keys and bits that software may use, on every level.
    builder.map(0x5000n, 7, 0, 0xfff0_0000_0000_0e18n);
    assert.equal(tables().frameOf(5), 7);
    // PAT of a large page.
    builder.map(0x200000n, 512, 1, 0x1000n);
    assert.equal(tables().frameOf(512), 512);
    builder.map(0x200000n, 512, 1, 0x2000n);
    assert.equal(tables().frameOf(512), Miss.malformed);
    builder.map(0x8000000000n, 0, 2, 0x200000n);
    assert.equal(tables().frameOf(page(0x8000000000n)), Miss.malformed);
    // A top table has no large pages.
    builder.put(builder.entryAt(0x10000000000n, 3), 0x83n);
    assert.equal(tables().frameOf(page(0x10000000000n)), Miss.malformed);
    const pae = new TableBuilder(600, 'PAE');
    pae.map(0x5000n, 7, 0, 0x0010_0000_0000_0000n);
    assert.equal(walker(pae).frameOf(5), Miss.malformed);
  });

  void it('read PSE-36, and 4 MiB pages only where CR4 has them', () => {
    const builder = new TableBuilder(4096, '32-bit');
    builder.put(builder.entryAt(0x400000n, 1), 0x00800083n);
    assert.equal(walker(builder).frameOf(0x403), 0x803);
    // Bit 13 is bit 32 of the address: beyond this RAM.
    builder.put(builder.entryAt(0x800000n, 1), 0x00802083n);
    assert.equal(walker(builder).frameOf(0x800), Miss.elsewhere);
    builder.put(builder.entryAt(0xc00000n, 1), 0x00a00083n);
    assert.equal(walker(builder).frameOf(0xc00), Miss.malformed);
    const without = { ...builder.paging, pse: false };
    const table = new PageTables(new TablePages(builder.memory), without, software);
    // The same entry leads to a table then.
    builder.memory.bytes.set([0x63, 0x50, 0, 0], 0x800 * 4096 + 3 * 4);
    assert.equal(table.frameOf(0x403), 5);
  });

  void it('take addresses of 32-bit targets with and without their sign', () => {
    const builder = new TableBuilder(100, '32-bit');
    builder.map(0x80001000n, 9);
    assert.equal(walker(builder).frameOf(page(0xffffffff80001000n)), 9);
    assert.equal(walker(builder).frameOf(page(0x80001000n)), 9);
    assert.equal(walker(builder).frameOf(page(0x180001000n)), Miss.absent);
  });

  void it('refuse what is not canonical, and the end of all addresses', () => {
    const builder = new TableBuilder(100, '4-level');
    builder.map(0n, 9);
    builder.map(0xffff800000000000n, 8);
    const tables = walker(builder);
    assert.equal(tables.frameOf(page(0xffff800000000000n)), 8);
    assert.equal(tables.frameOf(page(0x0000800000000000n)), Miss.absent);
    assert.equal(tables.frameOf(page(0x0001000000000000n)), Miss.absent);
    assert.equal(tables.frameOf(2 ** 52), Miss.absent);
  });

  void it('say nothing of devices and of what RAM does not have', () => {
    const builder = new TableBuilder(100, '4-level');
    builder.map(0x5000n, 0xfee00);
    builder.map(0x6000n, 100);
    builder.map(0x7000n, 2 ** 40 - 1);
    // A table that is none.
    builder.put(builder.entryAt(0x200000n, 1), 0xfee00003n);
    const tables = walker(builder);
    for (const at of [5, 6, 7]) assert.equal(tables.frameOf(at), Miss.elsewhere);
    assert.equal(tables.frameOf(512), Miss.elsewhere);
  });
});

void describe('entries that are not present', () => {
  const at = 0xffff800000005000n;

  void it('lead to pages in transition, in every mode', () => {
    for (const mode of ['4-level', 'PAE', '32-bit'] as const) {
      const builder = new TableBuilder(100, mode);
      const address = mode === '4-level' ? at : 0x5000n;
      builder.put(builder.entryAt(address, 0), 0x7000n | 0x800n | 0x80n);
      assert.equal(walker(builder).frameOf(page(address)), 7);
      assert.equal(walker(builder, undefined).frameOf(page(address)), 7, 'the default is to look');
      const tables = new PageTables(new TablePages(builder.memory), builder.paging, undefined);
      assert.equal(tables.frameOf(page(address)), Miss.notPresent);
    }
  });

  void it('lead through tables in transition', () => {
    const builder = new TableBuilder(100, '4-level');
    builder.map(at, 9);
    const above = builder.entryAt(at, 1);
    builder.put(above, (builder.get(above) & ~1n) | 0x800n);
    assert.equal(walker(builder).frameOf(page(at)), 9);
  });

  void it('give nothing for the page file, demand zero, zero', () => {
    const builder = new TableBuilder(100, '4-level');
    const put = (entry: bigint): number => {
      builder.put(builder.entryAt(at, 0), entry);
      return walker(builder).frameOf(page(at));
    };
    assert.equal(put(0n), Miss.absent);
    assert.equal(put(0x0000_0123_0000_0082n), Miss.notPresent);
    assert.equal(put(0x80n), Miss.notPresent);
    // Both bits: a prototype, not a transition.
    assert.equal(put(0x7000n | 0xc00n), Miss.notPresent);
  });

  void it('show frames that L1TF has hidden', () => {
    const builder = new TableBuilder(100, '4-level');
    const hidden = { highBit: 45, swizzleBit: 4 };
    const put = (entry: bigint): number => {
      builder.put(builder.entryAt(at, 0), entry);
      return new PageTables(new TablePages(builder.memory), builder.paging, hidden).frameOf(page(at));
    };
    assert.equal(put(0x2000_0000_7880n), 7);
    assert.equal(put(0x7890n), 7);
    assert.equal(put(0x2000_0000_7890n), Miss.elsewhere);
    assert.equal(put(0x7880n), Miss.elsewhere);
  });

  void it('ask prototypes, once', () => {
    const prototype = 0xffffb00000001238n;
    const builder = new TableBuilder(100, '4-level');
    builder.map(prototype & ~0xfffn, 3);
    const ask = (entry: bigint, there: bigint): number => {
      builder.put(builder.entryAt(at, 0), entry);
      builder.put(3 * 4096 + 0x238, there);
      return walker(builder).frameOf(page(at));
    };
    const toIt = (prototype << 16n) | 0x400n;
    assert.equal(ask(BigInt.asUintN(64, toIt), 0x9000n | 0x121n), 9);
    assert.equal(ask(BigInt.asUintN(64, toIt | 0x80n), 0x9000n | 0x8c0n), 9);
    // A subsection: the page is in a file.
    assert.equal(ask(BigInt.asUintN(64, toIt), BigInt.asUintN(64, toIt)), Miss.notPresent);
    assert.equal(ask(BigInt.asUintN(64, toIt), 0n), Miss.notPresent);
    // To be looked up in the address space; no kernel address; not aligned.
    assert.equal(ask(0xffff_ffff_0000_0400n, 0x9001n), Miss.notPresent);
    assert.equal(ask(0x0000_0000_1238_0400n, 0x9001n), Miss.notPresent);
    assert.equal(ask(BigInt.asUintN(64, ((prototype + 4n) << 16n) | 0x400n), 0x9001n), Miss.notPresent);
    // The next page is not taken from the prototype's table.
    builder.map(at + 0x1000n, 11);
    const tables = walker(builder);
    ask(BigInt.asUintN(64, toIt), 0x9001n);
    assert.equal(tables.frameOf(page(at)), 9);
    assert.equal(tables.frameOf(page(at) + 1), 11);
  });

  void it('ask prototypes of PAE', () => {
    const builder = new TableBuilder(100, 'PAE');
    builder.map(0xe1000000n, 3);
    builder.put(builder.entryAt(0x5000n, 0), 0xe1000010_00000400n);
    builder.put(3 * 4096 + 0x10, 0x9001n);
    assert.equal(walker(builder).frameOf(5), 9);
  });

  void it('end with a prototype that names itself', () => {
    const builder = new TableBuilder(100, '4-level');
    builder.map(at, 3);
    // The entry of the next page lies in the page that maps it, and names itself as its prototype.
    const own = at + 0x1000n;
    const entry = builder.entryAt(own, 0);
    builder.map(at, Math.floor(entry / 4096));
    const address = at + BigInt(entry % 4096);
    builder.put(entry, BigInt.asUintN(64, (address << 16n) | 0x400n));
    assert.equal(walker(builder).frameOf(page(own)), Miss.notPresent);
  });
});

void describe('tables of a hostile guest', () => {
  void it('end every walk, and never lead out of RAM', (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const pages = 64;
    for (let round = 0; round < 200; round++) {
      const mode = random.pick(['5-level', '4-level', 'PAE', '32-bit'] as const);
      const builder = new TableBuilder(pages, mode);
      const { memory } = builder;
      for (let at = 0; at < memory.bytes.length; at += 8) {
        // Mostly frames of this RAM, tables that point at themselves among them; some are noise.
        const entry = random.chance(0.9)
          ? BigInt(random.below(pages + 2)) * 4096n +
            BigInt(random.below(4096) & (random.chance(0.5) ? 0xf7f : 0xfff))
          : BigInt(random.next()) * 0x100000000n + BigInt(random.next());
        new DataView(memory.bytes.buffer).setBigUint64(at, entry, true);
      }
      const hidden = { highBit: random.below(64), swizzleBit: random.below(32) };
      const tables = new PageTables(new TablePages(memory), builder.paging, hidden);
      for (let i = 0; i < 100; i++) {
        const at = page(anAddress(random, mode, 12));
        const frame = tables.frameOf(at);
        assert.ok(Number.isInteger(frame));
        if (frame < 0) continue;
        assert.ok(frame < pages && tables.span >= 1 && frame + tables.span <= pages);
      }
    }
  });

  void it('that point at themselves are walked as the processor walks them', () => {
    const builder = new TableBuilder(10, '4-level');
    const { root } = builder.paging;
    builder.put(builder.entryAt(0xfffff00000000000n, 3), BigInt(root) | 3n);
    // The self-map: all four levels are the top table.
    const slot = 0xfffff00000000000n;
    const own = 0xffff000000000000n | (((slot >> 39n) & 0x1ffn) * 0x8040201000n);
    assert.equal(walker(builder).frameOf(page(BigInt.asUintN(64, own))), root / 4096);
  });
});

void describe('control registers', () => {
  const cr0 = 0x80050033n;

  void it('say how addresses are translated', () => {
    assert.equal(pagingOf({ cr0: 0x33n, cr3: 0n, cr4: 0n }, true), undefined);
    assert.deepEqual(pagingOf({ cr0, cr3: 0x80000000001ad002n, cr4: 0x50ef8n }, true), {
      mode: '4-level',
      root: 0x1ad000,
      pse: true,
    });
    assert.equal(pagingOf({ cr0, cr3: 0x1ad000n, cr4: 0x1020n }, true)?.mode, '5-level');
    assert.deepEqual(pagingOf({ cr0, cr3: 0x185038n, cr4: 0x20n }, false), {
      mode: 'PAE',
      root: 0x185020,
      pse: false,
    });
    assert.deepEqual(pagingOf({ cr0, cr3: 0x39018n, cr4: 0x10n }, false), {
      mode: '32-bit',
      root: 0x39000,
      pse: true,
    });
  });

  void it('give another space the same mode', () => {
    const paging = pagingOf({ cr0, cr3: 0x1ad000n, cr4: 0x20n }, true)!;
    assert.deepEqual(inSpace(paging, 0x7e5d1003n), { ...paging, root: 0x7e5d1000 });
  });
});
