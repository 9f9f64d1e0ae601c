/** How often the event loop looks: all the time while the guest may speak, and not when it waits for us. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ManualClock } from '../../../../test/fixtures/manualClock';
import { PollingDoorbell, type Found } from './doorbell';

const turns = 20;

class Ringing {
  /** Looking takes its time. */
  readonly clock = new ManualClock(0.03);
  readonly doorbell = new PollingDoorbell(this.clock);
  looks = 0;
  found: Found = 'nothing';

  constructor(t: TestContext) {
    t.after(() => this.doorbell.stop());
    this.doorbell.start(() => {
      this.looks++;
      const { found } = this;
      this.found = 'nothing';
      return found;
    });
  }

  async looksIn(count: number): Promise<number> {
    const before = this.looks;
    for (let i = 0; i < count; i++) await turn();
    return this.looks - before;
  }
}

void test('it looks in each turn of the event loop while an answer is expected', async (t) => {
  assert.ok((await new Ringing(t).looksIn(turns)) >= turns - 1);
});

void test('news leaves it looking: more may come', async (t) => {
  const ringing = new Ringing(t);
  ringing.found = 'news';
  assert.ok((await ringing.looksIn(turns)) >= turns - 1);
});

void test('a guest that waits for us is not looked at in each turn, until it is asked for something', async (t) => {
  const ringing = new Ringing(t);
  ringing.found = 'ours';
  assert.equal(await ringing.looksIn(turns), 1);
  ringing.doorbell.expect();
  assert.ok((await ringing.looksIn(turns)) >= turns - 1);
});

void test('a guest that waits for us is still looked at now and then: it may be reset', async (t) => {
  const ringing = new Ringing(t);
  ringing.found = 'ours';
  await ringing.looksIn(turns);
  const before = ringing.looks;
  ringing.clock.fire();
  assert.ok(ringing.looks > before);
});

void test('an answer to the guest’s last word is expected as any', async (t) => {
  const clock = new ManualClock(0.03);
  const doorbell = new PollingDoorbell(clock);
  t.after(() => doorbell.stop());
  let looks = 0;
  doorbell.start(() => {
    looks++;
    if (looks > 1) return 'nothing';
    doorbell.expect();
    return 'ours';
  });
  for (let i = 0; i < turns; i++) await turn();
  assert.ok(looks >= turns - 1);
});

void test('who glances looks once, and no more if there is nothing', async (t) => {
  const ringing = new Ringing(t);
  ringing.found = 'ours';
  await ringing.looksIn(turns);
  ringing.doorbell.glance();
  const looks = await ringing.looksIn(turns);
  assert.ok(looks >= 1 && looks <= 3);
});
