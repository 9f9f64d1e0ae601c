/** Places in code against a model of NT's table: whatever happens, memory is what is wanted when the target runs. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment, type Random } from '../../../../test/fixtures/random';
import { plus, virtualAddress, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { BreakpointHandle } from '../kdBreakpoints';
import { CodeSites } from './codeSites';

const base = virtualAddress(0xfffff80000000000n);
const size = 256;
const slots = 32;
const reported = 16;

/** Memory with pages of 64 bytes, and NT's table over it. */
class Guest {
  readonly original: Uint8Array;
  readonly bytes: Uint8Array;
  readonly table = new Map<number, { readonly at: number; written: boolean; content: number }>();
  readonly absent = new Set<number>();
  readonly journal = new Map<VirtualAddress, number>();
  /** Bytes that we wrote without having noted them. */
  unnoted = 0;
  requests = 0;

  constructor(random: Random) {
    this.original = random.bytes(size).map((byte) => (byte === 0xcc ? 0x90 : byte));
    this.bytes = this.original.slice();
  }

  readonly sites = new CodeSites({
    table: {
      set: (address) => {
        this.requests++;
        const at = Number(address - base);
        const taken = [...this.table.values()].some((entry) => entry.at === at);
        if (this.table.size === slots || taken) throw new VmkdError('target-refused', 'No slot');
        let handle = 1;
        while (this.table.has(handle)) handle++;
        const entry = { at, written: false, content: 0 };
        this.table.set(handle, entry);
        this.#insert(entry);
        return Promise.resolve(handle as BreakpointHandle);
      },
      remove: (handle) => {
        this.requests++;
        return Promise.resolve(this.#delete(handle));
      },
      removeAll: () => Promise.resolve(0),
    },
    raw: {
      readPartial: (address, length) => Promise.resolve(this.read(address, length)),
      write: (address, data) => {
        this.requests++;
        const at = Number(address - base);
        if (this.isAbsent(at)) throw new VmkdError('target-refused', 'Absent');
        if (data[0] === 0xcc && !this.journal.has(address)) this.unnoted++;
        this.bytes.set(data, at);
        return Promise.resolve();
      },
    },
    journal: {
      add: (address, original) => {
        this.journal.set(address, original);
        return Promise.resolve();
      },
      remove: (address) => {
        this.journal.delete(address);
        return Promise.resolve();
      },
    },
  });

  isAbsent(at: number): boolean {
    return this.absent.has(at >> 6);
  }

  read(address: VirtualAddress, length: number): Uint8Array {
    const at = Number(address - base);
    let count = 0;
    while (count < length && at + count < size && !this.isAbsent(at + count)) count++;
    return this.bytes.slice(at, at + count);
  }

  /** A page comes in: NT pays what it owes there. */
  pageIn(page: number): void {
    this.absent.delete(page);
    for (const entry of this.table.values()) if (!entry.written) this.#insert(entry);
  }

  stop(at: number): void {
    let count = 0;
    while (count < reported && at + count < size && !this.isAbsent(at + count)) count++;
    for (const [handle, entry] of this.table)
      if (entry.at >= at && entry.at < at + count) this.#delete(handle);
    this.sites.sawStop(plus(base, at), this.bytes.slice(at, at + count));
  }

  #insert(entry: { readonly at: number; written: boolean; content: number }): void {
    if (this.isAbsent(entry.at)) return;
    entry.content = this.bytes[entry.at]!;
    entry.written = true;
    this.bytes[entry.at] = 0xcc;
  }

  #delete(handle: number): boolean {
    const entry = this.table.get(handle);
    if (entry === undefined) return false;
    if (entry.written) this.bytes[entry.at] = entry.content;
    this.table.delete(handle);
    return true;
  }
}

function guestWith(random: Random): Guest {
  const guest = new Guest(random);
  guest.sites.memory = {
    readPartial: (address, length) => {
      const bytes = guest.read(address, length);
      guest.sites.cover(address, bytes);
      return Promise.resolve(bytes);
    },
    isPresent: (address) => Promise.resolve(guest.read(address, 1).length === 1),
  };
  return guest;
}

void describe('places in code', () => {
  void it('are planted when they are wanted, and nowhere else, whatever happens', async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    for (let round = 0; round < 40; round++) {
      const guest = guestWith(random);
      const { sites } = guest;
      if (random.chance(0.5)) guest.absent.add(random.below(4));
      const wanted = new Map<number, Set<object>>();
      for (let i = 0; i < 120; i++) {
        const at = random.below(size);
        switch (random.below(6)) {
          case 0:
          case 1: {
            const owner = {};
            await sites.claim(plus(base, at), owner);
            wanted.set(at, (wanted.get(at) ?? new Set()).add(owner));
            break;
          }
          case 2: {
            const [place, owners] = random.pick([...wanted]) ?? [];
            const [owner] = owners ?? [];
            if (place === undefined || owner === undefined) break;
            sites.release(plus(base, place), owner);
            owners.delete(owner);
            if (owners.size === 0) wanted.delete(place);
            break;
          }
          case 3:
            guest.stop(at);
            break;
          case 4:
            if (random.chance(0.2)) guest.pageIn(random.below(4));
            await sites.learnOwed();
            break;
          case 5: {
            const seen = await sites.memory!.readPartial(plus(base, at), 32);
            assert.deepEqual(seen, guest.original.slice(at, at + seen.length));
            break;
          }
        }
        if (random.chance(0.4)) await runs(guest, wanted);
      }
      assert.equal(guest.unnoted, 0);
      await sites.removeAll();
      assert.deepEqual(guest.bytes, guest.original);
      assert.equal(guest.table.size, 0);
      assert.equal(guest.journal.size, 0);
    }
  });

  void it('cost nothing when nothing changes, and one request each when NT has forgotten them', async () => {
    const guest = guestWith(randomFrom(1));
    for (const at of [0, 4, 100]) await guest.sites.claim(plus(base, at), guest);
    await guest.sites.sync();
    assert.equal(guest.requests, 3);
    await guest.sites.sync();
    assert.equal(guest.requests, 3);
    guest.stop(0);
    await guest.sites.sync();
    assert.equal(guest.requests, 5);
  });

  void it('are left alone where the code has an int3 of its own', async () => {
    const guest = guestWith(randomFrom(1));
    guest.bytes[7] = guest.original[7] = 0xcc;
    const site = await guest.sites.claim(plus(base, 7), guest);
    assert.equal(site.isOwn, true);
    await guest.sites.sync();
    assert.equal(guest.requests, 0);
  });

  void it('say why they cannot be: no page, and no table to wait for it', async () => {
    const guest = guestWith(randomFrom(1));
    guest.absent.add(3);
    for (let at = 0; at < slots; at++) await guest.sites.claim(plus(base, at), guest);
    const site = await guest.sites.claim(plus(base, 200), guest);
    await guest.sites.sync();
    assert.equal(site.problem?.code, 'memory-unreadable');
  });
});

async function runs(guest: Guest, wanted: ReadonlyMap<number, unknown>): Promise<void> {
  await guest.sites.sync();
  for (let at = 0; at < size; at++) {
    if (guest.isAbsent(at)) continue;
    const there = guest.bytes[at] === 0xcc;
    assert.equal(there, wanted.has(at), `at ${at}`);
  }
  for (const [address, original] of guest.journal) {
    assert.equal(guest.bytes[Number(address - base)], 0xcc);
    assert.equal(original, guest.original[Number(address - base)]);
  }
}
