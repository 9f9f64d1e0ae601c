import assert from 'node:assert/strict';
import { it } from 'node:test';
import { nearNames } from './nearNames';

const names = ['KeBugCheck', 'KeBugCheckEx', 'KeBugCheck2', 'KdSendPacket', 'MmMapIoSpace', 'a'];

void it('offers names that hold what was written, then names a few letters off', () => {
  assert.deepEqual(nearNames('bugcheck', names), ['KeBugCheck', 'KeBugCheck2', 'KeBugCheckEx']);
  assert.deepEqual(nearNames('KdSendPakcet', names), ['KdSendPacket']);
  assert.deepEqual(nearNames('MapIoSpaces', names), ['MmMapIoSpace']);
  assert.deepEqual(nearNames('NothingLikeIt', names), []);
  assert.deepEqual(nearNames('', names), ['a'], 'one letter off');
});

void it('offers no more than five, and hears of long names', () => {
  const many = Array.from({ length: 1000 }, (_, i) => `Name${i}`);
  assert.equal(nearNames('name', many).length, 5);
  assert.deepEqual(nearNames('x'.repeat(1_000_000), ['y'.repeat(1_000_000)]), []);
});
