// test-limit: 300 s
// test-processors: at once
/**
 * A real machine that rests while its kernel stands: QEMU says so, and the system's account of its processors. Some of it with
 * KD's packets in the guest module's mailbox, which falls silent with the machine.
 */

import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../src/engine/core/clock';
import { VmkdError } from '../../src/engine/core/errors';
import { findMachine } from '../../src/engine/machine/find';
import { Parking, type ParkingState } from '../../src/engine/machine/parking';
import { debug, limit, type Debugging } from '../fixtures/debugging';
import { ticksGrow } from '../fixtures/guestLife';
import { processorShare } from '../fixtures/processorShare';
import { ramOf } from '../fixtures/guestRam';
import { monitorsIn } from '../fixtures/monitors';
import { tempFolder } from '../fixtures/tempFolder';
import { bootDemoKernel } from '../kernel/machine';

const delay = 300;

interface Parked extends Debugging {
  readonly parking: Parking;
  /** QEMU's own word, by another monitor. */
  readonly status: () => Promise<string>;
  /** What parking does next. */
  readonly until: (kind: ParkingState['kind']) => Promise<ParkingState>;
  /** Cuts vmkd's connection to the monitor. @param forGood Nobody can connect any more. */
  readonly cut: (forGood: boolean) => void;
}

async function debugWithParking(t: TestContext, transport: 'serial' | 'mailbox' = 'serial'): Promise<Parked> {
  const folder = tempFolder(t);
  const name = `vmkd-parking-${process.pid}`;
  const monitors = monitorsIn(folder);
  const late: { parking?: Parking } = {};
  const byMailbox = transport === 'mailbox';
  const machine = await bootDemoKernel({
    qemuArgs: ['-name', name, ...monitors.qemuArgs],
    ...(byMailbox && { guestModule: 'boot' }),
  });
  t.after(() => machine.stop());
  const cut = await between(t, path.join(folder, 'qmp'));
  const debugging = await debug(machine, folder, {
    whileAwake: (action) => (late.parking ? late.parking.use(action) : action()),
    ...(byMailbox && { guestRam: ramOf(machine), transport }),
  });
  t.after(() => debugging.end());
  const open = async () => (await findMachine(name)).openControl();
  const control = await open();
  t.after(() => control.close());
  const parking = new Parking({ control, clock: systemClock, delay, reopen: open });
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
    cut,
    status: () => witness.status(),
  };
}

/** Stands between vmkd and QEMU's monitor, whose socket this is. @returns see Parked.cut */
async function between(t: TestContext, file: string): Promise<Parked['cut']> {
  const real = `${file}.real`;
  renameSync(file, real);
  const open = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(real);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(file, resolve));
  const cut = (forGood: boolean): void => {
    if (forGood) server.close();
    for (const socket of open) socket.destroy();
  };
  t.after(() => cut(true));
  return cut;
}

async function untilMailbox({ target }: Debugging): Promise<void> {
  const { transport } = target;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(JSON.stringify(transport.state))), limit);
    const look = (): void => {
      if (transport.state.tier !== 'mailbox') return;
      clearTimeout(timer);
      stop();
      resolve();
    };
    const stop = transport.onChange.add(look);
    look();
  });
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
    await target.execution.resume();
    assert.equal(await status(), 'running');
    await ticksGrow(machine, limit);
    await new Promise((resolve) => setTimeout(resolve, 3 * delay));
    assert.equal(await status(), 'running');
    await target.execution.pause(limit);
    await until('parked');
  });

  void it('a mailbox falls silent with its machine, and is used on as if nothing had been', async (t) => {
    const parked = await debugWithParking(t, 'mailbox');
    const { machine, target, parking, status, until } = parked;
    await untilMailbox(parked);
    const changes: string[] = [];
    target.transport.onChange.add(({ tier, why }) => changes.push(`${tier}: ${why?.message}`));
    parking.stands = true;
    for (let round = 0; round < 3; round++) {
      await until('parked');
      assert.equal(await status(), 'paused');
      // Longer than the guest waits for a host that falls silent.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      const { exchanges } = target.live.client;
      const { modules } = target.symbols;
      for (const { base } of modules)
        assert.equal(
          (await target.memory.readPartial(base, 4096)).length,
          4096,
          'memory is read while it rests',
        );
      assert.equal(target.live.client.exchanges, exchanges);
      assert.equal(await status(), 'paused');
      const context = await target.live.registers.context(0);
      assert.ok(context.rip > 0xffff_8000_0000_0000n);
    }
    await until('parked');
    await target.execution.resume();
    await machine.console.command('ticks', limit);
    await target.execution.pause(limit);
    assert.deepEqual(changes, []);
  });

  for (const transport of ['serial', 'mailbox'] as const) {
    void it(`a monitor that is lost while the machine rests is opened anew, to wake it (${transport})`, async (t) => {
      const parked = await debugWithParking(t, transport);
      const { target, parking, status, until, cut } = parked;
      if (transport === 'mailbox') await untilMailbox(parked);
      parking.stands = true;
      await until('parked');
      cut(false);
      const failed = await until('failed');
      assert.ok(failed.kind === 'failed' && failed.error.code === 'machine-monitor-lost');
      await target.live.registers.context(0);
      assert.equal(await status(), 'running');
    });

    void it(`a monitor that is lost for good leaves requests that fail, until somebody wakes it (${transport})`, async (t) => {
      const parked = await debugWithParking(t, transport);
      const { machine, target, parking, until, cut } = parked;
      if (transport === 'mailbox') await untilMailbox(parked);
      parking.stands = true;
      await until('parked');
      cut(true);
      await until('failed');
      await assert.rejects(
        target.live.registers.context(0),
        (error: unknown) =>
          error instanceof VmkdError && /^target-(no-reply|not-acknowledging)$/.test(error.code),
      );
      await machine.qmp('cont');
      const context = await target.live.registers.context(0);
      assert.ok(context.rip > 0xffff_8000_0000_0000n);
      await target.execution.resume();
      await machine.console.command('ticks', limit);
    });
  }

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
