/** Parking in virtual time: every order of events. The machine is a stand-in; test/integration/parking.test.ts has a real one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { VmkdError } from '../core/errors';
import type { MachineControl, MachineEvent } from './control';
import { Parking } from './parking';

/** A machine that takes its time, and tells what happens to it. */
class StandIn implements MachineControl {
  readonly isQuick = true;
  readonly way = 'a stand-in';
  paused = false;
  orders: string[] = [];
  latency = 5;
  broken: 'pause' | 'unpause' | undefined;
  hangs = false;
  #listeners = new Set<(event: MachineEvent) => void>();

  constructor(private readonly clock: VirtualClock) {}

  power = () => Promise.resolve(this.paused ? ('paused' as const) : ('running' as const));
  pause = () => this.#obey('pause', true);
  unpause = () => this.#obey('unpause', false);
  reset = async () => {
    this.tell({ kind: 'reset' });
  };
  close = (): void => undefined;

  watch(listener: (event: MachineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get watchers(): number {
    return this.#listeners.size;
  }

  tell(event: MachineEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** By somebody else. */
  becomes(paused: boolean): void {
    this.paused = paused;
    this.tell({ kind: paused ? 'paused' : 'resumed' });
  }

  async #obey(order: 'pause' | 'unpause', paused: boolean): Promise<void> {
    this.orders.push(order);
    await new Promise<void>((resolve) => this.clock.after(this.latency, resolve));
    if (this.hangs) await new Promise(() => undefined);
    if (this.broken === order) throw new VmkdError('machine-control-refused', `no ${order}`);
    if (this.paused !== paused) this.becomes(paused);
  }
}

function setUp() {
  const clock = new VirtualClock();
  const machine = new StandIn(clock);
  const parking = new Parking({ control: machine, clock, delay: 1000, wakeLimit: 2000 });
  const states: string[] = [];
  parking.onState.add(({ kind }) => states.push(kind));
  return { clock, machine, parking, states };
}

const failsWith = (code: string) => (error: unknown) => error instanceof VmkdError && error.code === code;
const nothing = (): Promise<void> => Promise.resolve();

test('a kernel that stands idle is parked after the delay, and the first need wakes it', async () => {
  const { clock, machine, parking, states } = setUp();
  await clock.advance(5000);
  assert.deepEqual(machine.orders, []);
  parking.stands = true;
  await clock.advance(990);
  assert.equal(machine.paused, false);
  await clock.advance(100);
  assert.deepEqual([machine.paused, parking.state.kind], [true, 'parked']);
  const seen = await clock.run(parking.use(() => Promise.resolve(machine.paused)));
  assert.equal(seen, false);
  await clock.advance(1100);
  assert.deepEqual(states, ['parked', 'awake', 'parked']);
  await clock.run(parking.end());
  assert.deepEqual([machine.paused, machine.watchers, clock.pending], [false, 0, 0]);
});

test('each need begins the delay anew; a running kernel is never parked', async () => {
  const { clock, machine, parking } = setUp();
  parking.stands = true;
  for (let i = 0; i < 10; i++) {
    await clock.advance(900);
    await clock.run(parking.use(nothing));
  }
  parking.stands = false;
  await clock.advance(10_000);
  assert.deepEqual(machine.orders, []);
});

test('nobody is parked while he is inside, nor while the order to pause is under way', async () => {
  const { clock, machine, parking } = setUp();
  parking.stands = true;
  const long = parking.use(async () => {
    await new Promise<void>((resolve) => clock.after(5000, resolve));
    assert.equal(machine.paused, false);
  });
  await clock.run(long);
  machine.latency = 500;
  await clock.advance(1100);
  assert.deepEqual([machine.orders, machine.paused], [['pause'], false]);
  const during = await clock.run(parking.use(() => Promise.resolve(machine.paused)));
  assert.equal(during, false);
  assert.deepEqual(machine.orders, ['pause', 'unpause']);
});

test('the switch', async () => {
  const { clock, machine, parking, states } = setUp();
  parking.stands = true;
  await clock.run(parking.enable(false));
  await clock.advance(5000);
  assert.deepEqual(machine.orders, []);
  await clock.run(parking.enable(true));
  await clock.advance(1100);
  assert.equal(machine.paused, true);
  await clock.run(parking.enable(false));
  assert.equal(machine.paused, false);
  assert.deepEqual(states, ['off', 'awake', 'parked', 'awake', 'off']);
});

test('a machine that does not pause turns parking off, and is awake', async () => {
  const { clock, machine, parking } = setUp();
  machine.broken = 'pause';
  parking.stands = true;
  await clock.advance(1100);
  const { state } = parking;
  assert.ok(state.kind === 'failed' && state.error.code === 'machine-control-refused');
  await clock.run(parking.use(nothing));
  await clock.advance(10_000);
  assert.deepEqual(machine.orders, ['pause', 'unpause']);
  machine.broken = undefined;
  await clock.run(parking.enable(true));
  await clock.advance(1100);
  assert.equal(parking.state.kind, 'parked');
});

test('a machine that does not wake fails who needs it, and is tried again', async () => {
  const { clock, machine, parking } = setUp();
  parking.stands = true;
  await clock.advance(1100);
  machine.broken = 'unpause';
  await assert.rejects(clock.run(parking.use(nothing)), failsWith('machine-control-refused'));
  assert.equal(parking.state.kind, 'failed');
  machine.broken = undefined;
  machine.hangs = true;
  await assert.rejects(clock.run(parking.use(nothing)), failsWith('machine-control-timeout'));
  machine.hangs = false;
  await clock.run(parking.use(nothing));
  assert.equal(machine.paused, false);
});

test('a pause that comes too late is taken back', async () => {
  const { clock, machine, parking } = setUp();
  machine.latency = 3000;
  parking.stands = true;
  await clock.advance(10_000);
  assert.equal(parking.state.kind, 'failed');
  assert.deepEqual([machine.orders, machine.paused], [['pause', 'unpause'], false]);
  await clock.run(parking.use(nothing));
});

test('what somebody else has paused is waited for, and never resumed by us', async () => {
  const { clock, machine, parking } = setUp();
  parking.stands = true;
  machine.becomes(true);
  await clock.advance(5000);
  await assert.rejects(clock.run(parking.use(nothing)), failsWith('machine-paused'));
  clock.after(500, () => machine.becomes(false));
  await clock.run(parking.use(nothing));
  await clock.run(parking.end());
  assert.deepEqual(machine.orders, []);
});

test('a machine that was paused before is somebody else’s', async () => {
  const clock = new VirtualClock();
  const machine = new StandIn(clock);
  machine.paused = true;
  const parking = new Parking({ control: machine, clock, delay: 1000, wakeLimit: 2000 });
  await assert.rejects(clock.run(parking.use(nothing)), failsWith('machine-paused'));
  const waiting = parking.use(nothing);
  await clock.advance(100);
  machine.becomes(false);
  await clock.run(waiting);
  assert.deepEqual(machine.orders, []);
});

test('what somebody else resumes stays so until the guest is needed again', async () => {
  const { clock, machine, parking, states } = setUp();
  parking.stands = true;
  await clock.advance(1100);
  machine.becomes(false);
  await clock.advance(10_000);
  assert.deepEqual([machine.paused, states], [false, ['parked', 'awake']]);
  await clock.run(parking.use(nothing));
  await clock.advance(1100);
  assert.equal(machine.paused, true);
});

test('a reset wakes it: nobody else would', async () => {
  const { clock, machine, parking } = setUp();
  parking.stands = true;
  await clock.advance(1100);
  await machine.reset();
  await clock.advance(10_000);
  assert.deepEqual([machine.paused, parking.state.kind], [false, 'awake']);
});

test('powered off: there is nothing to wake', async () => {
  const { clock, machine, parking } = setUp();
  parking.stands = true;
  await clock.advance(1100);
  machine.tell({ kind: 'off' });
  await clock.run(parking.use(nothing));
  assert.deepEqual(machine.orders, ['pause']);
});

test('a lost monitor is told, and parking is over; whoever waits goes on', async () => {
  const { clock, machine, parking } = setUp();
  const error = new VmkdError('machine-monitor-lost', 'gone');
  machine.becomes(true);
  const waiting = parking.use(nothing);
  await clock.advance(100);
  machine.tell({ kind: 'lost', error });
  await clock.run(waiting);
  assert.deepEqual(parking.state, { kind: 'failed', error });
  parking.stands = true;
  await clock.advance(10_000);
  assert.deepEqual(machine.orders, []);
});

test('a monitor that is lost while the machine rests is opened anew, to wake it; then parking is over', async () => {
  for (const broken of [undefined, 'unpause'] as const) {
    const clock = new VirtualClock();
    const machine = new StandIn(clock);
    const other = new StandIn(clock);
    other.paused = true;
    other.broken = broken;
    let closed = 0;
    other.close = () => {
      closed++;
    };
    const reopen = () => Promise.resolve(other);
    const parking = new Parking({ control: machine, clock, delay: 1000, wakeLimit: 2000, reopen });
    parking.stands = true;
    await clock.advance(1100);
    assert.deepEqual(machine.orders, ['pause']);
    const error = new VmkdError('machine-monitor-lost', 'gone');
    machine.tell({ kind: 'lost', error });
    let wasAwake: boolean | undefined;
    await clock.run(
      parking.use(() => {
        wasAwake = !other.paused;
        return nothing();
      }),
    );
    // If nobody can wake it, KD's silence tells.
    assert.equal(wasAwake, broken === undefined);
    assert.deepEqual([machine.orders, other.orders, closed], [['pause'], ['unpause'], 1]);
    assert.deepEqual(parking.state, { kind: 'failed', error });
    await clock.advance(10_000);
    assert.deepEqual(other.orders, ['unpause']);
  }
});

test('what the action throws is thrown, and it counts as ended', async () => {
  const { clock, machine, parking } = setUp();
  parking.stands = true;
  await assert.rejects(clock.run(parking.use(() => Promise.reject(new Error('mine')))), /mine/);
  await clock.advance(1100);
  assert.equal(machine.paused, true);
});

test('any order of events: who is inside finds the machine awake, and at the end it is', async () => {
  const seed = seedFromEnvironment();
  for (let round = 0; round < 200; round++) {
    const random = randomFrom(seed + round);
    const { clock, machine, parking } = setUp();
    const where = `seed ${seed + round}`;
    let inside = 0;
    const violations: string[] = [];
    machine.watch(({ kind }) => {
      if (kind === 'paused' && inside > 0) violations.push(`paused with ${inside} inside`);
    });
    const uses: Promise<void>[] = [];
    const events: (() => void)[] = [
      () => {
        const held = random.below(1500);
        const use = parking.use(async () => {
          assert.equal(machine.paused, false, where);
          inside++;
          await new Promise<void>((resolve) => clock.after(held, resolve));
          inside--;
        });
        uses.push(use);
      },
      () => (parking.stands = random.chance(0.8)),
      () => void parking.enable(random.chance(0.7)),
      () => machine.paused && machine.becomes(false),
      () => void machine.reset(),
      () => (machine.latency = random.below(900)),
    ];
    for (let step = 0; step < 60; step++) {
      random.pick(events)();
      await clock.advance(random.below(1500));
    }
    await clock.run(Promise.all(uses));
    await clock.run(parking.end());
    assert.deepEqual(violations, [], where);
    assert.equal(machine.paused, false, where);
    assert.equal(clock.pending, 0, where);
  }
});
