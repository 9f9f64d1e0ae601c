import assert from 'node:assert/strict';
import { it } from 'node:test';
import { VmkdError } from '../core/errors';
import { slotsHit, withSlot, withoutSlot } from './debugRegisters';

void it('Dr7 as the processor manuals draw it', () => {
  assert.equal(withSlot(0x400n, 0, 'write', 4), 0x000d0401n);
  assert.equal(withSlot(0n, 1, 'access', 8), 0x00b00404n);
  assert.equal(withSlot(0n, 3, 'execute', 1), 0x00000440n);
  assert.equal(withSlot(0n, 2, 'write', 2), 0x05000410n);
});

void it('leaves the other slots alone', () => {
  const three = withSlot(withSlot(withSlot(0x400n, 0, 'write', 4), 1, 'access', 8), 2, 'execute', 1);
  assert.equal(withoutSlot(three, 1), withSlot(withSlot(0x400n, 0, 'write', 4), 2, 'execute', 1));
  assert.equal(withSlot(three, 1, 'access', 8), three);
});

void it('refuses what the processor cannot do', () => {
  for (const [slot, kind, size] of [
    [4, 'write', 4],
    [-1, 'write', 4],
    [0, 'write', 3],
    [0, 'execute', 4],
  ] as const) {
    assert.throws(() => withSlot(0n, slot, kind, size), VmkdError);
  }
});

void it('reads the slots hit from Dr6', () => {
  assert.deepEqual(slotsHit(0xffff0ff0n), []);
  assert.deepEqual(slotsHit(0xffff0ff5n), [0, 2]);
});
