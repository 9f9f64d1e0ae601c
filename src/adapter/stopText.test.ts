/** Stops in words. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bugcheckText, exceptionText } from './stopText';

const symbols = {
  nameOf: (address: bigint) => (address === 0xfffff80000001234n ? 'mydriver!Read+0x4' : undefined),
};

void describe('stops in words', () => {
  void it('bugchecks: addresses have names, statuses too, and accesses say which', () => {
    const fault = bugcheckText(0xd1, [0x10n, 2n, 1n, 0xfffff80000001234n], symbols).description.split('\n');
    assert.deepEqual(fault, [
      'Bugcheck 0x000000d1 DRIVER_IRQL_NOT_LESS_OR_EQUAL',
      '  1: 0x0000000000000010  memory referenced',
      '  2: 0x0000000000000002  IRQL',
      '  3: 0x0000000000000001 (write)  0 read, 1 write, 2 or 8 execute',
      '  4: 0xfffff80000001234 (mydriver!Read+0x4)  instruction',
    ]);
    const thread = bugcheckText(0x1000007e, [0xffffffffc0000005n, 0xfffff80000001234n, 0n, 0n], symbols);
    assert.match(
      thread.description,
      /\n {2}1: 0xffffffffc0000005 \(STATUS_ACCESS_VIOLATION\) {2}exception code\n {2}2: .* \(mydriver!Read\+0x4\)/,
    );
    assert.match(
      bugcheckText(0xabc, [1n, 2n, 3n, 4n], symbols).description,
      /BUGCHECK_0xABC\n {2}1: 0x0{15}1\n/,
    );
  });

  void it('access violations: who did what to which address', () => {
    const exception = {
      ...{ code: 0xc0000005, flags: 0, address: 0xfffff80000001234n as never, firstChance: false },
      information: [8n, 0x10n],
    };
    assert.equal(
      exceptionText(exception, symbols).description,
      'The code executed 0x0000000000000010, at 0xfffff80000001234 (mydriver!Read+0x4) (second chance: nobody has handled it)',
    );
  });
});
