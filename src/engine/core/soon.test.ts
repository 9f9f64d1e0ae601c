import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Soon } from './soon';

void it('what is asked for in a row is done once, and again when it is asked for again', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let done = 0;
  const soon = new Soon(300, () => done++);
  for (let at = 0; at < 300; at += 100) {
    soon.ask();
    assert.equal(done, 0);
    t.mock.timers.tick(100);
  }
  assert.equal(done, 1);
  soon.ask();
  t.mock.timers.tick(300);
  assert.equal(done, 2);
  soon.ask();
  soon.dispose();
  t.mock.timers.tick(300);
  assert.equal(done, 2);
});
