/** What the guest module says of its mailbox, and what is none of its words. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcedByGuestInfo, announcedByPrint } from './announcement';

void test('a mailbox is announced by a print', () => {
  assert.equal(
    announcedByPrint('vmkd: mailbox at 00000001`2345f000, nonce 89abcdef`01234567\n'),
    0x1_2345_f000n,
  );
  for (const text of [
    '',
    'vmkd: mailbox at 12345000, nonce 1',
    'x vmkd: mailbox at 00000001`2345f000, nonce 1',
  ])
    assert.equal(announcedByPrint(text), undefined, text);
});

void test('a mailbox is announced through the monitor', () => {
  assert.equal(announcedByGuestInfo('0000000012345000 0123456789abcdef'), 0x1234_5000n);
  for (const text of ['', 'Error: The virtual machine is not powered on', '12345000 0123456789abcdef'])
    assert.equal(announcedByGuestInfo(text), undefined, text);
});
