/** The bad line for many seeds, and for lines much worse. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runLossy } from '../fixtures/lossy';
import { seedFromEnvironment } from '../fixtures/random';

const first = seedFromEnvironment(1000);

for (let i = 0; i < 20; i++) {
  const seed = first + i;
  void it(`seed ${seed}: 100,000 exchanges at 5 %`, async (t) => {
    const result = await runLossy(seed, 100_000, 0.05);
    t.diagnostic(JSON.stringify(result));
    assert.equal(result.exchanges, 100_000);
  });
}

void it(`seed ${first}: 10,000 exchanges at 10 %`, async () => {
  assert.equal((await runLossy(first, 10_000, 0.1)).exchanges, 10_000);
});
