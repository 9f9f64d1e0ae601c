import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attachingAgain } from './attachingAgain';

void describe('attaching again after a revert', () => {
  const common = { type: 'vmkd', name: 'Launch from a snapshot', vm: 'win11', parking: { after: 1 } };

  void it('goes to no other snapshot, though the session was launched from one', () => {
    assert.deepEqual(attachingAgain({ ...common, request: 'launch', snapshot: 'clean' }), {
      ...common,
      request: 'attach',
    });
  });

  void it('leaves everything else as it was', () => {
    const attach = { ...common, request: 'attach' };
    assert.deepEqual(attachingAgain(attach), attach);
  });
});
