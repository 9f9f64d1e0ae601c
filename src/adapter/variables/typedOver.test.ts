/** Values that were typed over what was shown. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { typedOver } from './typedOver';

void it('what stands behind a value is not meant, if it was left as it was', () => {
  assert.equal(typedOver('0x10 nt!Name', '0x12 nt!Name'), '0x12');
  assert.equal(typedOver('VmkRed (1)', 'VmkBlue (1)'), 'VmkBlue');
  assert.equal(typedOver('0x00000246 zf pf', '0x00000247 zf pf'), '0x00000247');
  assert.equal(typedOver('0x10 "two words"', '0 "two words"'), '0');
  // Something else was written.
  assert.equal(typedOver('0x10 nt!Name', '&nt!Other'), '&nt!Other');
  assert.equal(typedOver('0x10 nt!Name', 'nt!Name'), 'nt!Name');
  assert.equal(typedOver('7', '8 + 1'), '8 + 1');
  assert.equal(typedOver('"a b"', '"x b"'), '"x b"');
  assert.equal(typedOver(undefined, '1 2'), '1 2');
});
