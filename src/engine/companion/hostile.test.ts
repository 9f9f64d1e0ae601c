/** Hostile debuggers on the pipe; `npm run test:soak companionHostile` takes a million packets. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runHostile } from '../../../test/fixtures/hostileDebugger';
import { seedFromEnvironment } from '../../../test/fixtures/random';

const packets = 20_000;

void describe('a hostile debugger on the pipe', () => {
  for (const atTheWheel of [false, true]) {
    void it(
      atTheWheel ? 'as the driver brings nothing down' : 'does no harm to the session beside it',
      async (t) => {
        const seed = seedFromEnvironment();
        t.diagnostic(`seed ${seed}`);
        const result = await runHostile(seed, packets, atTheWheel);
        t.diagnostic(JSON.stringify(result));
        assert.ok(result.packets >= packets && result.connections > 20);
        if (!atTheWheel) assert.ok(result.asked > 100);
      },
    );
  }
});
