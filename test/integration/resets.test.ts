// test-limit: 400 s
// test-processors: at once
/**
 * Resets and reboots at random moments under one session, with the guest's module loaded early, late or never: each time the new
 * kernel is found, its memory proven anew, and nothing of the old one is served; whatever was under way ends.
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { plus, type VirtualAddress } from '../../src/engine/core/addresses';
import { VmkdError } from '../../src/engine/core/errors';
import type { Tier } from '../../src/engine/target/transport';
import { debug, limit, type Debugging } from '../fixtures/debugging';
import { ramOf } from '../fixtures/guestRam';
import { randomFrom, seedFromEnvironment, type Random } from '../fixtures/random';
import { tempFolder } from '../fixtures/tempFolder';
import { bootDemoKernel } from '../kernel/machine';

/** In all, by both kernels. */
const resets = process.env['VMKD_SOAK'] === 'full' ? 200 : 8;
/** Milliseconds for a kernel to boot and be found, on a machine that does other things besides. */
const bootLimit = 90_000;
const pageBytes = 4096;

void describe(`${resets} resets and reboots`, () => {
  for (const guestModule of ['boot', 'later'] as const) {
    void it(`with vmkd.sys loaded ${guestModule === 'boot' ? 'at boot' : 'by hand, or not'}`, async (t) => {
      const random = randomFrom(seedFromEnvironment() + Number(guestModule === 'later'));
      t.diagnostic(`seed ${random.seed}`);
      const session = await start(t, guestModule);
      const seen: string[] = [];
      for (let round = 0; round < resets / 2; round++) {
        const restarted = await restart(session, random);
        const loading: Loading =
          guestModule === 'boot' ? 'at boot' : random.pick(['early', 'late', 'never'] as const);
        const what = `round ${round}: ${restarted.what}, vmkd.sys ${loading}`;
        await untilReconnected(session, restarted, loading, what);
        seen.push(what);
      }
      assert.deepEqual(
        session.errors.filter((error) => (error as { code?: string }).code === 'internal'),
        [],
      );
      t.diagnostic(seen.join('; '));
    });
  }
});

interface Session extends Debugging {
  /** Kernels that were, the last one first. */
  readonly bases: VirtualAddress[];
}

async function start(t: TestContext, guestModule: 'boot' | 'later'): Promise<Session> {
  const machine = await bootDemoKernel({ memoryMiB: 64, guestModule });
  t.after(() => machine.stop());
  const session = await debug(machine, tempFolder(t), { guestRam: ramOf(machine), transport: 'mailbox' });
  t.after(() => session.end());
  return { ...session, bases: [session.target.live.stopped.version.kernelBase] };
}

interface Restarted {
  /** For people. */
  readonly what: string;
  /** The console's lines of before. */
  readonly from: number;
  readonly twice: boolean;
}

/** Does something, and has the machine begin anew in the middle of it. */
async function restart(session: Session, random: Random): Promise<Restarted> {
  const { target, machine } = session;
  const how = random.pick(['reset', 'reset', 'reboot by the debugger', 'reboot by the guest'] as const);
  const stands = how === 'reboot by the debugger' || (how === 'reset' && random.chance(0.5));
  if (!stands) await target.execution.resume();
  const whileItRuns = how === 'reset' ? (['nothing', 'pausing'] as const) : (['nothing'] as const);
  const deed = random.pick(stands ? (['nothing', 'reading', 'stepping'] as const) : whileItRuns);
  const what = `${how} while it ${stands ? 'stands' : 'runs'}, ${deed}`;
  const doing = deeds[deed](session).catch(() => undefined);
  await setTimeout(random.below(300));
  let from = machine.console.lines.length;
  const restarted = new Promise<void>((resolve) => {
    const stop = target.live.client.restarts.add(() => {
      stop();
      resolve();
    });
  });
  // Who cannot obey is reset.
  await orders[how](session).catch(() => machine.qmp('system_reset'));
  const twice = random.chance(0.3);
  if (twice) {
    await setTimeout(random.below(1500));
    from = machine.console.lines.length;
    await machine.qmp('system_reset');
  }
  await inTime(restarted, `${what}: the new kernel is heard of`);
  await inTime(doing, `${what}: what was under way ends`);
  return { what, from, twice };
}

const deeds = {
  nothing: (): Promise<unknown> => Promise.resolve(),
  reading: ({ target, bases }: Session): Promise<unknown> =>
    target.live.memory.readPartial(bases[0]!, 1 << 16),
  stepping: ({ target }: Session): Promise<unknown> =>
    target.execution.step({ kind: 'into', granularity: 'instruction', processor: 0 }),
  pausing: ({ target }: Session): Promise<unknown> => target.execution.pause(limit),
};

const orders = {
  reset: ({ machine }: Session): Promise<unknown> => machine.qmp('system_reset'),
  'reboot by the debugger': ({ target }: Session): Promise<unknown> => target.execution.reboot(),
  'reboot by the guest': async ({ machine }: Session): Promise<unknown> => {
    const from = machine.console.lines.length;
    // Nobody answers; and the order must not lie there still when the next kernel looks for some.
    machine.console.command('reboot', 1).catch(() => undefined);
    return machine.console.waitFor(/./, limit, from);
  },
};

type Loading = 'at boot' | 'early' | 'late' | 'never';

/**
 * A machine that is reset twice may have said so of the first time only: what is under way when the second comes to light fails
 * as such, and it is the kernel after it that counts.
 */
async function untilReconnected(
  session: Session,
  restarted: Restarted,
  loading: Loading,
  what: string,
): Promise<void> {
  let restarts = 0;
  const stop = session.target.live.client.restarts.add(() => restarts++);
  try {
    for (;;) {
      const heard = restarts;
      try {
        await inTime(reconnected(session, restarted, loading), what, 2 * bootLimit);
        return;
      } catch (error) {
        const { cause } = error as Error;
        const isFailed = cause instanceof VmkdError && cause.code === 'target-running';
        if (!isFailed || !restarted.twice || heard === restarts) throw error;
      }
    }
  } finally {
    stop();
  }
}

/** The new kernel stands, and all ways to its memory say the same. */
async function reconnected(session: Session, { from }: Restarted, loading: Loading): Promise<void> {
  const { target, machine, bases } = session;
  const boot = async (): Promise<void> => {
    if (target.state.kind === 'stopped') await target.execution.resume();
    await machine.console.waitFor(/^console ready$/, bootLimit, from);
  };
  const load = async (): Promise<void> => {
    await boot();
    await machine.console.command('load vmkd.sys', limit);
  };
  if (loading === 'early') await load();
  await target.execution.pause(bootLimit);
  if (target.guestMemory.state.kind === 'unproven') {
    // It has only just begun.
    await boot();
    await target.execution.pause(limit);
  }
  const { kernelBase } = target.live.stopped.version;
  assert.ok(!bases.includes(kernelBase), `the kernel moves: ${kernelBase.toString(16)}`);
  await sameByBothWays(session);
  if (loading === 'late') await load();
  // It may have been stopped before it came to its drivers.
  if (loading === 'at boot') await boot();
  if (target.state.kind === 'running') await target.execution.pause(limit);
  if (loading !== 'never') await untilTier(session, 'mailbox');
  await sameByBothWays(session);
  bases.unshift(kernelBase);
}

/** A few pages of modules, and places where the last kernels lay. */
async function sameByBothWays({ target, bases }: Session): Promise<void> {
  const { guestMemory, live, memory } = target;
  assert.equal(guestMemory.state.kind, 'verified', JSON.stringify(guestMemory.state));
  const { modules } = target.symbols;
  assert.ok(modules.length >= 3);
  const places = modules.flatMap(({ base, module: { size } }) =>
    [0, size / 2, size - pageBytes].map((offset) => plus(base, offset - (offset % pageBytes))),
  );
  for (const place of [...places, ...bases.slice(0, 2)]) {
    const { exchanges } = live.client;
    const ours = await memory.readPartial(place, pageBytes);
    if (ours.length > 0) assert.equal(live.client.exchanges, exchanges, 'it came out of guest RAM');
    assert.deepEqual(ours, await live.memory.readPartial(place, pageBytes), place.toString(16));
  }
}

function untilTier({ target: { transport } }: Session, tier: Tier): Promise<void> {
  const reached = new Promise<void>((resolve) => {
    const look = (): void => {
      if (transport.state.tier !== tier) return;
      stop();
      resolve();
    };
    const stop = transport.onChange.add(look);
    look();
  });
  const why = (): string => JSON.stringify(transport.state);
  return inTime(reached, `tier ${tier}`, limit).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}: ${why()}`, { cause: error });
  });
}

async function inTime<T>(work: Promise<T>, what: string, milliseconds = bootLimit): Promise<T> {
  const timer = new AbortController();
  const late = setTimeout(milliseconds, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what}: not within ${milliseconds / 1000} s`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  } finally {
    timer.abort();
  }
}
