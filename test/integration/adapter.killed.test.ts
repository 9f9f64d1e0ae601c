// test-limit: 900 s
/** The debug adapter is killed in the middle of whatever it does: after the next attach the guest is as if it had never been. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { killAdapter } from '../fixtures/doomedAdapter';
import { mustBeWell } from '../fixtures/killing';
import { randomFrom, seedFromEnvironment } from '../fixtures/random';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';

const times = process.env['VMKD_SOAK'] === 'full' ? 200 : 4;
const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-'));
// Where adapters note what they write into a kernel, and the next attach looks for it.
process.env['XDG_CACHE_HOME'] = folder;
const sessions = path.join(folder, 'vmkd', 'sessions');
let machine: DemoMachine;
before(async () => {
  machine = await bootDemoKernel();
});
after(async () => {
  await machine.stop();
  rmSync(folder, { recursive: true, force: true });
});

void describe('an adapter that is killed', () => {
  for (const [how, withGuardian] of [
    ['its guardian cleans up', false],
    ['and its guardian with it: the next attach cleans up', true],
  ] as const) {
    void it(`at ${times / 2} random moments, ${how}`, async (t) => {
      const random = randomFrom(seedFromEnvironment() + Number(withGuardian));
      t.diagnostic(`seed ${random.seed}`);
      const moments = [];
      for (let i = 0; i < times / 2; i++) {
        const when = await killAdapter(machine, random, withGuardian);
        moments.push(when);
        // Nobody has to attach for the kernel to run, if there was a guardian.
        if (!withGuardian) assert.match(await machine.console.command('ticks', 60_000), /\d/, when);
        await mustBeWell(machine, sessions, when);
      }
      t.diagnostic(`killed ${moments.join('; ')}`);
      assert.equal(moments.length, times / 2);
    });
  }
});
