/**
 * A line that loses nothing and is slow, as that of a virtual machine whose host is busy, or that was paused: whatever is
 * sent again for it, each print and each stop of a target is heard of once, though a stop is as the one before, byte for byte.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allFaults, FaultyEndpoint, type Faults } from '../../../test/fixtures/faultyLink';
import { ModelTarget, modelBase } from '../../../test/fixtures/modelTarget';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { plus } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { KdClient, type ClientObserver } from '../kd/client';
import { writeBreakPoint } from '../kd/manipulate/breakpoint';
import { readVirtualMemory } from '../kd/manipulate/memory';
import { KdcomChannel } from './kdcomChannel';

const stops = 500;

interface Counts {
  readonly heard: number;
  readonly made: number;
  readonly said: readonly string[];
}

function setUp(seed: number, faults: Faults, observer: ClientObserver = {}) {
  const clock = new VirtualClock();
  const endpoint = new FaultyEndpoint({ clock, random: randomFrom(seed + 1), faults });
  const target = new ModelTarget(endpoint.target, clock);
  const client = new KdClient({
    clock,
    firstSequence: seed,
    observer,
    open: async (owner) =>
      new KdcomChannel(await endpoint.open({ waitMilliseconds: 10_000 }), owner, { role: 'debugger', clock }),
  });
  return { clock, target, client };
}

/** Stops again and again at the same place; at each stop up to `mostRequests` are made before it is let go. */
async function countStops(seed: number, faults: Faults, mostRequests: number): Promise<Counts> {
  const random = randomFrom(seed);
  const said: string[] = [];
  const { clock, target, client } = setUp(seed, faults, { onPrint: ({ text }) => said.push(text) });
  // As in a loop with a breakpoint, and a print.
  const onLetGo = async (): Promise<void> => {
    await target.server.print(`turn ${target.orders.length}`, 0, Infinity);
    target.breakNow();
  };
  target.onLetGo = () => void onLetGo();
  let heard = 0;
  let places = 0;
  const request = async (): Promise<void> => {
    if (random.chance(0.8)) await client.request(readVirtualMemory, { address: modelBase, count: 8 });
    else {
      const { status } = await client.request(writeBreakPoint, { address: plus(modelBase, places++) });
      assert.equal(status, 0, 'a breakpoint was set twice');
    }
  };
  const exchange = async (): Promise<void> => {
    await client.attach({ breakIn: true, milliseconds: 120_000 });
    while (heard < stops) {
      await client.waitForStop(60_000);
      heard++;
      // One that must not be sent again may be unsure, if it took too long.
      for (let n = random.below(mostRequests + 1); n > 0; n--) await request().catch(mustBeUnsure);
      await client.continue();
    }
  };
  await clock.run(exchange(), 24 * 3_600_000);
  return { heard, made: target.orders.length, said };
}

function mustBeUnsure(thrown: unknown): void {
  if (!(thrown instanceof VmkdError) || thrown.code !== 'request-unsure') throw thrown;
}

void describe('on a line that stands still for up to five seconds now and then', () => {
  const stalls = { ...allFaults(0), stall: 0.03 };
  void it('an attach takes the time that it was given', async (t) => {
    const first = seedFromEnvironment();
    t.diagnostic(`seed ${first}`);
    for (let seed = first; seed < first + 1000; seed++) {
      const { clock, client } = setUp(seed, { ...allFaults(0), stall: 0.05 });
      await clock.run(client.attach({ breakIn: true, milliseconds: 30_000 })).catch((error: unknown) => {
        throw new Error(`seed ${seed}`, { cause: error });
      });
    }
  });

  for (const [what, faults, mostRequests] of [
    ['a target is let go at once', stalls, 0],
    ['a target is asked before', stalls, 2],
    ['packets come in pieces', { ...stalls, split: 0.2 }, 2],
  ] as const)
    void it(`${what}: each stop and each print is heard of, and once`, async (t) => {
      const first = seedFromEnvironment();
      t.diagnostic(`seed ${first}`);
      for (let seed = first; seed < first + 4; seed++) {
        const { heard, made, said } = await countStops(seed, faults, mostRequests);
        assert.equal(heard, made, `seed ${seed}`);
        // The last one may be under way.
        assert.deepEqual(
          said.slice(0, made - 1),
          Array.from({ length: made - 1 }, (_, i) => `turn ${i + 1}`),
          `seed ${seed}`,
        );
        assert.ok(said.length <= made);
      }
    });
});
