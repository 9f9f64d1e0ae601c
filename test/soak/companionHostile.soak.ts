/** A million packets of hostile debuggers on the companion pipe: nothing falls, nothing grows. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runHostile } from '../fixtures/hostileDebugger';
import { seedFromEnvironment } from '../fixtures/random';

const first = seedFromEnvironment(2000);
const each = 250_000;
/** Bytes. */
const mostGrowth = 64 << 20;

for (let seed = first; seed < first + 4; seed++) {
  void it(`seed ${seed}: ${each} packets`, async (t) => {
    const result = await runHostile(seed, each, seed % 2 === 0);
    t.diagnostic(JSON.stringify(result));
    assert.ok(result.packets >= each);
    assert.ok(result.grown < mostGrowth, `the heap has grown by ${result.grown} bytes`);
  });
}
