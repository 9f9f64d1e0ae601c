import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { frameMeant } from './frameMeant';

void describe('a frame in the menu of the call stack', () => {
  const thread = { sessionId: 'a-1', threadId: 'thread:a-1:3' };
  const frame = { ...thread, frameId: 'stackframe:thread:a-1:3:12:work.c:7', frameName: 'Work' };

  void it('is found in what VS Code says of it', () => {
    const meant = { sessionId: 'a-1', threadId: 3, index: 12 };
    assert.deepEqual(frameMeant(['file:///work.c', frame]), meant);
    assert.deepEqual(frameMeant([undefined, null, frame]), meant);
  });

  void it('is none where a thread or a session is meant', () => {
    for (const given of [[], ['x', thread], [{ sessionId: 'a-1' }], [{ ...thread, frameId: 'other:1' }]])
      assert.equal(frameMeant(given), undefined);
  });
});
