import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KnownFrames } from './knownFrames';

const stack = (ids: readonly number[], success = true) => ({
  type: 'response',
  command: 'stackTrace',
  success,
  body: success ? { stackFrames: ids.map((id) => ({ id })) } : { error: {} },
});

void describe('frames', () => {
  void it('are known in their stop alone', () => {
    const frames = new KnownFrames();
    frames.heard(stack([1, 2]), 1);
    frames.heard(stack([3]), 1);
    frames.heard(stack([4], false), 1);
    frames.heard({ type: 'event', event: 'continued' }, 1);
    assert.deepEqual(
      [1, 2, 3, 4].map((id) => frames.has(id)),
      [true, true, true, false],
    );
    frames.heard({ type: 'event', event: 'stopped' }, 2);
    assert.equal(frames.has(3), false);
    frames.heard(stack([7]), 2);
    assert.equal(frames.has(7), true);
  });
});
