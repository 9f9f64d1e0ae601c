/**
 * A machine that rests while its kernel stands: how much of a processor its process still takes, and how long the first answer of
 * KD takes that has to wake it. Beside it, the same answer from a machine that is awake, and what that one burns.
 */

import { systemClock } from '../../../src/engine/core/clock';
import { findMachine } from '../../../src/engine/machine/find';
import { Parking } from '../../../src/engine/machine/parking';
import { bootAndDebug, type Debugging } from '../../fixtures/debugging';
import { monitorsIn } from '../../fixtures/monitors';
import { processorShare } from '../../fixtures/processorShare';
import { temporaryFolder } from '../../fixtures/tempFolder';
import type { Figure } from '../bench';

/** Milliseconds. */
const delay = 100;
const window = 2000;
const shares = 3;
const wakes = 31;

export async function parkingFigures(): Promise<Figure[]> {
  const { folder, remove } = temporaryFolder();
  const late: { parking?: Parking } = {};
  const monitors = monitorsIn(folder);
  const debugging = await bootAndDebug(
    folder,
    { qemuArgs: monitors.qemuArgs },
    { whileAwake: (action) => (late.parking ? late.parking.use(action) : action()) },
  );
  try {
    const control = await (await findMachine(debugging.machine.kdLink)).openControl();
    const parking = new Parking({ control, clock: systemClock, delay });
    late.parking = parking;
    try {
      return await measure(debugging, parking);
    } finally {
      await parking.end();
      control.close();
    }
  } finally {
    await debugging.end();
    remove();
  }
}

async function measure({ machine, target }: Debugging, parking: Parking): Promise<Figure[]> {
  const { kernelBase } = target.live.stopped.version;
  const ask = async (): Promise<number> => {
    const started = performance.now();
    const { length } = await target.live.memory.readPartial(kernelBase, 16);
    if (length !== 16) throw new Error(`${length} bytes`);
    return performance.now() - started;
  };
  const awake: number[] = [];
  for (let i = 0; i < wakes; i++) awake.push(await ask());
  const spinning = await processorShare(machine.pid, window);
  parking.stands = true;
  const resting: number[] = [];
  for (let i = 0; i < shares; i++) {
    await untilParked(parking);
    resting.push(await processorShare(machine.pid, window));
  }
  const woken: number[] = [];
  for (let i = 0; i < wakes; i++) {
    await untilParked(parking);
    woken.push(await ask());
  }
  process.stderr.write(
    `at a break ${percent(spinning)} of a processor, parked ${percent(median(resting))}; ` +
      `an answer after ${median(awake).toFixed(1)} ms, woken after ${median(woken).toFixed(1)} ms\n`,
  );
  return [
    { id: 'park.cpu_pct', value: median(resting) * 100, unit: '%', goal: { atMost: 2 } },
    { id: 'park.wake_ms', value: median(woken), unit: 'ms', goal: { atMost: 50 } },
  ];
}

function untilParked(parking: Parking): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = ({ kind }: Parking['state']): void => {
      if (kind === 'awake') return;
      stop();
      if (kind === 'parked') resolve();
      else reject(new Error(`Parking is ${kind}`));
    };
    const stop = parking.onState.add(look);
    look(parking.state);
  });
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
