/**
 * The ways of memory and of KD packets beside each other, on one demo kernel in one run. Each way has a file of its own under
 * `transport/`, which measures and gives its rows.
 */

import { temporaryFolder } from '../fixtures/tempFolder';
import { debug } from '../fixtures/debugging';
import { ramOf } from '../fixtures/guestRam';
import { bootDemoKernel } from '../kernel/machine';
import type { Bench, Figure } from './bench';
import { guestRamFigures } from './transport/guestRam';
import { liveFigures } from './transport/live';
import { mailboxFigures } from './transport/mailbox';
import { parkingFigures } from './transport/parking';

const bench: Bench = {
  needsKernel: true,
  needsNative: true,
  async figures() {
    const { folder, remove } = temporaryFolder();
    const machine = await bootDemoKernel({ memoryMiB: 512 });
    try {
      const debugging = await debug(machine, folder, { guestRam: ramOf(machine) });
      const figures: Figure[] = [];
      try {
        figures.push(...(await guestRamFigures(debugging)));
        await debugging.target.execution.release();
        figures.push(...(await liveFigures(machine)));
      } finally {
        await debugging.end();
      }
      return [...figures, ...(await mailboxFigures()), ...(await parkingFigures())];
    } finally {
      await machine.stop();
      remove();
    }
  },
};

export default bench;
