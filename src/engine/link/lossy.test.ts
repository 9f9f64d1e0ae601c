/** The protocol over a bad line; see test/fixtures/lossy.ts. `npm run test:soak lossy` takes many more seeds. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runLossy } from '../../../test/fixtures/lossy';
import { seedFromEnvironment } from '../../../test/fixtures/random';

const exchanges = 100_000;
const probability = 0.05;

void it(`${exchanges} exchanges with every fault at ${probability * 100} %: no wrong payload, no hang`, async (t) => {
  const seed = seedFromEnvironment();
  t.diagnostic(`seed ${seed}`);
  const result = await runLossy(seed, exchanges, probability);
  t.diagnostic(JSON.stringify(result));
  assert.equal(result.exchanges, exchanges);
  for (const [fault, count] of Object.entries(result.faults))
    assert.ok(count > 100, `${fault} happened ${count} times`);
});

for (const seed of [2, 4]) {
  void it(`seed ${seed}, which once found a late reply taken for the awaited one, and a stop reported before the reset`, async () => {
    assert.equal((await runLossy(seed, 2000, probability)).exchanges, 2000);
  });
}
