import assert from 'node:assert/strict';
import { it } from 'node:test';
import { OwnProgress } from './ownProgress';
import type { Message } from './sessionState';

void it('what a view looks at makes no notification; what the user has ordered, or VS Code has asked for, does', () => {
  const ours = new Map([
    [100, 'stackTrace'],
    [101, 'vmkd/controlMachine'],
  ]);
  const progress = new OwnProgress((request) => ours.get(request));
  const event = (name: string, body: unknown): Message => ({ type: 'event', event: name, body });
  const hides = (progressId: string, requestId?: number): boolean[] => [
    progress.hides(event('progressStart', { progressId, requestId })),
    progress.hides(event('progressUpdate', { progressId })),
    progress.hides(event('progressEnd', { progressId })),
    progress.hides(event('progressUpdate', { progressId })),
  ];
  assert.deepEqual(hides('a', 100), [true, true, true, false]);
  for (const request of [101, 7, undefined])
    assert.deepEqual(hides('b', request), [false, false, false, false]);
  assert.equal(progress.hides({ type: 'response', command: 'stackTrace', success: true }), false);
  assert.equal(progress.hides(event('stopped', { reason: 'step' })), false);
});
