// test-limit: 900 s
// test-processors: at once
/** Detach is sacred, and so is what comes after a debugger that could not detach: a guest that runs on as if nothing had been. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bundleFixture } from '../fixtures/bundleFixture';
import { killOne, mustBeWell } from '../fixtures/killing';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const times = process.env['VMKD_SOAK'] === 'full' ? 200 : 8;
const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
let machine: DemoMachine;
let script: string;
before(async () => {
  machine = await bootDemoKernel();
  script = await bundleFixture('doomedDebugger');
});
after(async () => {
  await machine.stop();
  rmSync(folder, { recursive: true, force: true });
});

void describe('a debugger that is killed', () => {
  void it(`at ${times} random moments: after the next attach the guest is well`, async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const moments = [];
    for (let i = 0; i < times; i++) {
      const when = await killOne(script, machine, folder, random);
      moments.push(when);
      await mustBeWell(machine, folder, when);
    }
    t.diagnostic(`killed ${moments.join(', ')}`);
    assert.equal(moments.length, times);
  });
});
