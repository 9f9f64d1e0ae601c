/** Numbers that last as long as a stop. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HandleNumbers, Handles } from './handles';

void describe('handles', () => {
  void it('give the same number for the same key, within a stop', () => {
    const handles = new Handles<string>(new HandleNumbers(), 'thing');
    const first = handles.addOnce('a', () => 'one');
    assert.equal(
      handles.addOnce('a', () => 'two'),
      first,
    );
    assert.equal(handles.get(first), 'one');
    handles.renew();
    const renewed = handles.addOnce('a', () => 'one again');
    assert.deepEqual([handles.get(first), handles.get(renewed)], ['one', 'one again']);
    handles.clear();
    assert.notEqual(
      handles.addOnce('a', () => 'three'),
      first,
    );
  });

  void it('know a number of an earlier stop, and of another table', () => {
    const numbers = new HandleNumbers();
    const frames = new Handles<string>(numbers, 'stack frame');
    const others = new Handles<string>(numbers, 'variable');
    const number = frames.add('frame');
    others.add('variable');
    frames.clear();
    frames.add('another');
    for (const stale of [number, 0, 999, undefined])
      assert.throws(() => frames.get(stale), { code: 'request-stale', message: /stack frame/ });
    assert.throws(() => others.get(number), { code: 'request-stale' });
  });
});
