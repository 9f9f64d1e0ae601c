// test-limit: 300 s
/** A real machine that rests while its kernel stands: QEMU says so, and the system's account of its processors. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../src/engine/core/clock';
import { findMachine } from '../../src/engine/machine/find';
import { Parking, type ParkingState } from '../../src/engine/machine/parking';
import { bootAndDebug, limit, type Debugging } from '../fixtures/debugging';
import { processorShare } from '../fixtures/processorShare';
import { monitorsIn } from '../fixtures/monitors';
import { tempFolder } from '../fixtures/tempFolder';

const delay = 300;

interface Parked extends Debugging {
  readonly parking: Parking;
  /** QEMU's own word, by another monitor. */
  readonly status: () => Promise<string>;
  /** What parking does next. */
  readonly until: (kind: ParkingState['kind']) => Promise<ParkingState>;
}

async function debugWithParking(t: TestContext): Promise<Parked> {
  const folder = tempFolder(t);
  const name = `vmkd-parking-${process.pid}`;
  const monitors = monitorsIn(folder);
  const late: { parking?: Parking } = {};
  const debugging = await bootAndDebug(
    folder,
    { qemuArgs: ['-name', name, ...monitors.qemuArgs] },
    { whileAwake: (action) => (late.parking ? late.parking.use(action) : action()) },
  );
  t.after(() => debugging.end());
  const control = await (await findMachine(name)).openControl();
  t.after(() => control.close());
  const parking = new Parking({ control, clock: systemClock, delay });
  late.parking = parking;
  const witness = await monitors.witness();
  t.after(() => witness.close());
  const { target } = debugging;
  target.onState.add(({ kind }) => (parking.stands = kind === 'stopped'));
  const until = (kind: ParkingState['kind']): Promise<ParkingState> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not ${kind} within ${limit} ms`)), limit);
      const look = (state: ParkingState): void => {
        if (state.kind !== kind) return;
        clearTimeout(timer);
        stop();
        resolve(state);
      };
      const stop = parking.onState.add(look);
      look(parking.state);
    });
  return {
    ...debugging,
    parking,
    until,
    status: () => witness.status(),
  };
}

void describe('parking', () => {
  void it('at a break the processors rest; a register and a continue wake them', async (t) => {
    const { machine, target, parking, status, until } = await debugWithParking(t);
    const spinning = await processorShare(machine.pid, 1000);
    parking.stands = true;
    await until('parked');
    assert.equal(await status(), 'paused');
    const resting = await processorShare(machine.pid, 1000);
    // How much it spins depends on who else wants the processors; that it does, and then does not, does not.
    const shares = `${spinning.toFixed(2)} processors at a break, ${resting.toFixed(3)} parked`;
    assert.ok(spinning > 0.05 && resting < 0.02 && resting < spinning / 5, shares);
    t.diagnostic(shares);

    const started = performance.now();
    const context = await target.live.registers.context(0);
    t.diagnostic(`woken and answered in ${(performance.now() - started).toFixed(1)} ms`);
    assert.ok(context.rip > 0xffff_8000_0000_0000n);
    assert.equal(await status(), 'running');

    await until('parked');
    const ticks = async (): Promise<number> =>
      Number(/\d+/.exec(await machine.console.command('ticks'))?.[0]);
    await target.execution.resume();
    assert.equal(await status(), 'running');
    const first = await ticks();
    for (const deadline = Date.now() + limit; (await ticks()) <= first;) assert.ok(Date.now() < deadline);
    await new Promise((resolve) => setTimeout(resolve, 3 * delay));
    assert.equal(await status(), 'running');
    await target.execution.pause(limit);
    await until('parked');
  });

  void it('leaving wakes it', async (t) => {
    const { target, parking, status, until, machine } = await debugWithParking(t);
    parking.stands = true;
    await until('parked');
    await target.execution.release();
    assert.equal(await status(), 'running');
    await parking.end();
    await machine.console.command('ticks');
  });

  void it('a reset while it rests: it boots', async (t) => {
    const { machine, parking, until } = await debugWithParking(t);
    parking.stands = true;
    await until('parked');
    const from = machine.console.lines.length;
    await machine.qmp('system_reset');
    await machine.console.waitFor(/^console ready$/, 60_000, from);
  });

  void it('somebody else resumes it: it is left alone until it is needed', async (t) => {
    const { target, parking, status, until, machine } = await debugWithParking(t);
    parking.stands = true;
    await until('parked');
    await machine.qmp('cont');
    await until('awake');
    await new Promise((resolve) => setTimeout(resolve, 3 * delay));
    assert.equal(await status(), 'running');
    await target.live.registers.context(0);
    await until('parked');
  });

  void it('the machine ends: it is told, and parking is over', async (t) => {
    const { machine, parking, until } = await debugWithParking(t);
    parking.stands = true;
    await until('parked');
    await machine.stop();
    const failed = await until('failed');
    assert.ok(failed.kind === 'failed' && failed.error.code === 'machine-monitor-lost');
  });
});
