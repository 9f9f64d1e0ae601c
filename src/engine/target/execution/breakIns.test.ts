/** Break-ins are sent until there is a stop, at once if one is needed, and one that is on its way is given its time. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../../../../test/fixtures/manualClock';
import type { ClientState } from '../../kd/clientState';
import { BreakIns } from './breakIns';

function calling() {
  const clock = new ManualClock();
  const client = {
    state: { kind: 'running' } as ClientState,
    unspentBreakIns: 0,
    sent: 0,
    callBreakIn() {
      this.sent++;
      this.unspentBreakIns++;
    },
  };
  const wanted = { now: true };
  return { clock, client, wanted, breakIns: new BreakIns(client, () => wanted.now, clock) };
}

void describe('break-ins', () => {
  void it('are sent again and again until nobody waits any more', () => {
    const { clock, client, wanted, breakIns } = calling();
    breakIns.call();
    breakIns.call();
    assert.equal(client.sent, 1);
    clock.fire(1500);
    assert.equal(client.sent, 2);
    wanted.now = false;
    clock.fire(1500);
    assert.equal(client.sent, 2);
    assert.equal(clock.pending, 0);
  });

  void it('of before, that show soon after the target was let go, serve whoever wants one', () => {
    const { clock, client, breakIns } = calling();
    client.unspentBreakIns = 1;
    breakIns.targetRuns();
    breakIns.call();
    assert.equal(client.sent, 0);
    clock.fire(1500);
    assert.equal(client.sent, 1);
  });

  void it('are not sent to a target that stands, but as soon as it has gone on', () => {
    const { clock, client, breakIns } = calling();
    client.state = { kind: 'stopped' } as ClientState;
    breakIns.call();
    breakIns.call();
    assert.equal(client.sent, 0);
    client.state = { kind: 'running' };
    breakIns.targetRuns();
    breakIns.call();
    assert.equal(client.sent, 1);
    assert.equal(clock.pending, 1);
  });

  void it('are sent to a target that has gone on though nobody said so', () => {
    const { clock, client, breakIns } = calling();
    client.state = { kind: 'stopped' } as ClientState;
    breakIns.call();
    client.state = { kind: 'running' };
    clock.fire(1500);
    assert.equal(client.sent, 1);
  });
});
