import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FileBytes } from '../fileBytes';
import { boundedRecords } from './symbolKinds';

void it('a hash table that names one record a million times is not followed', () => {
  // Two records of 16 bytes.
  const bytes = new Uint8Array(32);
  bytes[0] = bytes[16] = 14;
  const records = new FileBytes(bytes, 'records');
  assert.deepEqual([...boundedRecords(records, [16, 0])], [16, 0]);
  let seen = 0;
  const again = function* (): Iterable<number> {
    for (let i = 0; i < 1_000_000; i++) yield 16;
  };
  assert.throws(
    () => {
      for (const at of boundedRecords(records, again())) seen += at / 16;
    },
    { code: 'file-damaged' },
  );
  assert.ok(seen <= 4, `${seen} times`);
  assert.throws(() => [...boundedRecords(records, [40])], { code: 'file-damaged' });
});
