import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { Invalidation } from './invalidation';

/** With a clock that is moved by hand. */
function start(t: { after: (action: () => void) => void }) {
  mock.timers.enable({ apis: ['setTimeout'] });
  const told: string[] = [];
  const invalidation = new Invalidation((areas) => told.push(areas.join(' ')));
  t.after(() => {
    invalidation.end();
    mock.timers.reset();
  });
  return { invalidation, told, pass: (milliseconds: number) => mock.timers.tick(milliseconds) };
}

void describe('what is out of date', () => {
  void it('is told once for changes in a row', (t) => {
    const { invalidation, told, pass } = start(t);
    invalidation.soon(['variables']);
    invalidation.soon(['variables', 'stacks']);
    pass(1);
    assert.deepEqual(told, ['variables stacks']);
    pass(10_000);
    assert.equal(told.length, 1);
  });

  void it('is told of stacks once the client has the whole of one', (t) => {
    const { invalidation, told, pass } = start(t);
    invalidation.stopped();
    invalidation.soon(['variables']);
    pass(1);
    assert.deepEqual(told, ['variables']);
    invalidation.soon(['stacks']);
    pass(1000);
    assert.equal(told.length, 1);
    invalidation.restTold();
    pass(50);
    assert.deepEqual(told, ['variables', 'stacks']);
    // The client begins again.
    invalidation.soon(['stacks']);
    pass(100);
    assert.equal(told.length, 2);
    invalidation.restTold();
    pass(50);
    assert.equal(told.length, 3);
  });

  void it('does not wait for a client that wants no more of a stack', (t) => {
    const { invalidation, told, pass } = start(t);
    invalidation.stopped();
    invalidation.soon(['stacks']);
    pass(1999);
    assert.deepEqual(told, []);
    pass(1);
    assert.deepEqual(told, ['stacks']);
  });

  void it('is not told in the next stop', (t) => {
    const { invalidation, told, pass } = start(t);
    invalidation.stopped();
    invalidation.soon(['stacks']);
    pass(1);
    invalidation.stopped();
    invalidation.restTold();
    pass(10_000);
    assert.deepEqual(told, []);
  });
});
