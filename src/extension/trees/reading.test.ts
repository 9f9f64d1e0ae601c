import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whenToRead, type Moment } from './reading';

const stopped: Moment = { id: 'a', phase: 'stopped', epoch: 3, boot: 0 };
const running: Moment = { ...stopped, phase: 'running' };

void describe('a tree of a stopped kernel', () => {
  void it('is read at the first stop, and when another one lasts', () => {
    assert.equal(whenToRead(running, stopped, false), 'at once');
    assert.equal(whenToRead(running, stopped, true), 'soon');
    assert.equal(whenToRead(stopped, { ...stopped, epoch: 4 }, true), 'soon');
  });

  void it('stays as it is while the kernel runs, and within a stop', () => {
    assert.equal(whenToRead(stopped, running, true), 'not');
    assert.equal(whenToRead(stopped, stopped, true), 'not');
    assert.equal(whenToRead(undefined, undefined, false), 'not');
  });

  void it('is another one with another session, and with another kernel', () => {
    assert.equal(whenToRead(stopped, { ...stopped, id: 'b' }, true), 'afresh');
    assert.equal(whenToRead(stopped, { ...running, boot: 1 }, true), 'afresh');
    assert.equal(whenToRead(stopped, undefined, true), 'afresh');
    assert.equal(whenToRead(undefined, stopped, false), 'afresh');
  });
});
