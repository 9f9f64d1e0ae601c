import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { Alarm } from './alarm';

void describe('an alarm', () => {
  void it('comes at its time, however often it was set and lifted before', async () => {
    const random = randomFrom(seedFromEnvironment());
    console.log(`seed ${random.seed}`);
    const clock = new VirtualClock();
    const alarm = new Alarm(clock);
    let due: number | undefined;
    let rung = 0;
    for (let i = 0; i < 20_000; i++) {
      if (random.chance(0.6)) {
        const limit = random.below(200);
        const at = clock.now() + limit;
        due = at;
        alarm.set(limit, () => {
          assert.deepEqual([clock.now(), due], [at, at]);
          due = undefined;
          rung++;
        });
      } else if (random.chance(0.5)) {
        alarm.lift();
        due = undefined;
      }
      assert.ok(clock.pending <= 1);
      await clock.advance(random.below(100));
      assert.ok(due === undefined || due >= clock.now(), `due at ${due}, now ${clock.now()}`);
    }
    assert.ok(rung > 1000, `${rung}`);
    alarm.stop();
    assert.equal(clock.pending, 0);
  });
});
