// test-limit: 240 s
/** The protocol over a bad line; see test/fixtures/lossy.ts. `npm run test:soak lossy` takes many more seeds. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { allFaults } from '../../../test/fixtures/faultyLink';
import { runLossy, type LossyResult } from '../../../test/fixtures/lossy';
import { seedFromEnvironment } from '../../../test/fixtures/random';

const exchanges = 100_000;
const probability = 0.05;
const inOrder = { ...allFaults(probability), reorder: 0 };

function everythingHappened({ faults }: LossyResult, except: readonly string[] = []): void {
  for (const [fault, count] of Object.entries(faults)) {
    assert.ok(except.includes(fault) || count > 100, `${fault} happened ${count} times`);
  }
}

void it(`${exchanges} exchanges with every fault at ${probability * 100} %: no wrong payload, no hang`, async (t) => {
  const seed = seedFromEnvironment();
  t.diagnostic(`seed ${seed}`);
  const result = await runLossy(seed, exchanges, allFaults(probability));
  t.diagnostic(JSON.stringify(result));
  assert.equal(result.exchanges, exchanges);
  everythingHappened(result);
});

void it('20,000 on a line that keeps the order: nothing is done twice that may be done only once', async (t) => {
  const seed = seedFromEnvironment();
  t.diagnostic(`seed ${seed}`);
  const result = await runLossy(seed, 20_000, inOrder);
  t.diagnostic(JSON.stringify(result));
  everythingHappened(result, ['reorder']);
});

for (const seed of [2, 4]) {
  void it(`seed ${seed}, which once found a late reply taken for the awaited one, and a stop reported before the reset`, async () => {
    assert.equal((await runLossy(seed, 2000, allFaults(probability))).exchanges, 2000);
  });
}
