/** Four debug registers for all who want one. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { virtualAddress, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import type { TargetProcessor } from '../target';
import { DebugSlots } from './debugSlots';

const at = (value: number): VirtualAddress => virtualAddress(BigInt(value));
const guarded = (value: number, suspended = 1) => ({ address: at(value), suspended, isGuarded: false });
const data = (value: number, owner = {}) => ({ address: at(value), kind: 'write', size: 4, owner }) as const;

function processorsThatNote(count: number) {
  const written: Record<string, unknown>[] = [];
  const one = {
    setSpecial: (changes: Record<string, unknown>) => Promise.resolve(void written.push(changes)),
  };
  return { written, list: Array.from({ length: count }, () => one as unknown as TargetProcessor) };
}

void describe('debug registers', () => {
  void it('go to every processor when they change, and Dr7 says which count', async () => {
    const slots = new DebugSlots();
    const { written, list } = processorsThatNote(2);
    assert.equal(slots.dr7, 0x400n);
    await slots.sync(list);
    assert.deepEqual(written, []);
    const owner = {};
    assert.equal(slots.claim(data(0x1000, owner)), 0);
    await slots.sync(list);
    assert.deepEqual(written, [{ dr0: 0x1000n }, { dr0: 0x1000n }]);
    assert.equal(slots.dr7, 0xd0401n);
    await slots.sync(list);
    slots.release(owner);
    assert.equal(slots.dr7, 0x400n);
    await slots.sync(list);
    assert.equal(written.length, 2);
    // A processor more has to be told all.
    slots.claim(data(0x1000));
    await slots.sync(processorsThatNote(3).list);
    assert.equal(slots.executes(at(0x1000)), false);
    assert.equal(slots.watchesData, true);
  });

  void it('a guard that comes back finds its address where it left it', async () => {
    const slots = new DebugSlots();
    const { written, list } = processorsThatNote(1);
    const site = guarded(0x10);
    assert.equal(slots.guard(site), true);
    await slots.sync(list);
    assert.deepEqual(written, [{ dr3: 0x10n }]);
    slots.release(site);
    assert.equal(site.isGuarded, false);
    assert.equal(slots.guard(site), true);
    await slots.sync(list);
    assert.equal(written.length, 1);
    assert.equal(slots.executing(at(0x10))[0]?.guarded, site);
  });

  void it('the user’s wish goes before a guard’s, and a busy guard’s before an idle one’s', () => {
    const slots = new DebugSlots();
    const idle = guarded(0x10, 0);
    const busy = [guarded(0x20), guarded(0x30), guarded(0x40)];
    for (const one of [idle, ...busy]) assert.equal(slots.guard(one), true);
    assert.equal(slots.free, 4);
    const more = guarded(0x50);
    assert.equal(slots.guard(more), true);
    assert.equal(idle.isGuarded, false);
    assert.equal(slots.guard(guarded(0x60)), false);
    for (let i = 0; i < 4; i++) slots.claim(data(0x1000 + i * 8));
    assert.ok([more, ...busy].every(({ isGuarded }) => !isGuarded));
    assert.throws(
      () => slots.claim(data(0x2000)),
      (error) => error instanceof VmkdError && error.code === 'value-out-of-range',
    );
  });

  void it('know which accesses they would report', () => {
    const slots = new DebugSlots();
    slots.claim({ address: at(0x100), kind: 'write', size: 4, owner: {} });
    slots.claim({ address: at(0x200), kind: 'access', size: 8, owner: {} });
    slots.claim({ address: at(0x300), kind: 'execute', size: 1, owner: {} });
    assert.equal(slots.watches(at(0xfe), 3, true), true);
    assert.equal(slots.watches(at(0xfe), 2, true), false);
    assert.equal(slots.watches(at(0x100), 4, false), false);
    assert.equal(slots.watches(at(0x207), 8, false), true);
    assert.equal(slots.watches(at(0x300), 1, true), false);
  });
});
