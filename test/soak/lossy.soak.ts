/** The bad line for many seeds, and for lines much worse. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { allFaults, type Faults } from '../fixtures/faultyLink';
import { runLossy } from '../fixtures/lossy';
import { seedFromEnvironment } from '../fixtures/random';

const first = seedFromEnvironment(1000);

function soak(seed: number, exchanges: number, what: string, faults: Faults): void {
  void it(`seed ${seed}: ${exchanges} exchanges, ${what}`, async (t) => {
    const result = await runLossy(seed, exchanges, faults);
    t.diagnostic(JSON.stringify(result));
    assert.equal(result.exchanges, exchanges);
  });
}

for (let seed = first; seed < first + 10; seed++) {
  soak(seed, 100_000, 'every fault at 5 %', allFaults(0.05));
  soak(seed, 50_000, 'all but reordering at 5 %', { ...allFaults(0.05), reorder: 0 });
}
soak(first, 10_000, 'every fault at 10 %', allFaults(0.1));
