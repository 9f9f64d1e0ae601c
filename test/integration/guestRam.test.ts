/** Reading the demo kernel out of its RAM file: the same bytes as KD gives. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { debug } from '../fixtures/debugging';
import { ramOf } from '../fixtures/guestRam';
import { temporaryFolder } from '../fixtures/tempFolder';
import { bootDemoKernel } from '../kernel/machine';

void test('the kernel is the same in its RAM file and over KD', async () => {
  const { folder, remove } = temporaryFolder();
  const machine = await bootDemoKernel();
  const debugging = await debug(machine, folder, { guestRam: ramOf(machine) });
  try {
    const { target, errors } = debugging;
    assert.equal(target.guestMemory.state.kind, 'verified');
    const { exchanges } = target.live.client;
    const { kernelBase } = target.live.stopped.version;
    const ours = await target.memory.readPartial(kernelBase, 100_000);
    assert.equal(target.live.client.exchanges, exchanges, 'KD was asked');
    assert.deepEqual(ours, await target.live.memory.readPartial(kernelBase, 100_000));
    assert.deepEqual(errors, []);
  } finally {
    await debugging.end();
    remove();
  }
});
