/**
 * The whole protocol over a line that does everything a line can do wrong, in virtual time: 100,000 exchanges, none with
 * a wrong payload, none that hangs. `npm run test:soak lossy` takes more seeds.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FaultyEndpoint, allFaults } from '../../../test/fixtures/faultyLink';
import { ModelTarget, modelBase } from '../../../test/fixtures/modelTarget';
import { randomFrom, seedFromEnvironment, type Random } from '../../../test/fixtures/random';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { plus } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { KdClient } from '../kd/client';
import { readVirtualMemory, writeVirtualMemory } from '../kd/manipulate/memory';
import { KdcomChannel } from './kdcomChannel';

const exchanges = 100_000;
const probability = 0.05;
const memoryBytes = 1 << 20;
/** The upper half is written, each slot once before any is written again: a late repetition changes nothing. */
const slotBytes = 64;
const slots = memoryBytes / 2 / slotBytes;

interface Tally {
  done: number;
  attaches: number;
  failures: Map<string, number>;
}

async function exchangeMany(
  client: KdClient,
  target: ModelTarget,
  random: Random,
  tally: Tally,
): Promise<void> {
  const expected = target.memory.slice();
  while (tally.done < exchanges) {
    try {
      if (client.state.kind !== 'stopped') {
        client.detach();
        tally.attaches++;
        await client.attach({ breakIn: true, milliseconds: 120_000 });
      }
      if (random.chance(0.2)) await writeSlot(client, random, expected, tally.done);
      else await readSomewhere(client, random, expected);
      tally.done++;
    } catch (error) {
      // The line breaks all the time; what counts is that it is said, and that the next try works.
      assert.ok(error instanceof VmkdError, String(error));
      assert.ok(permitted.has(error.code), `${error.code}: ${error.message}`);
      tally.failures.set(error.code, (tally.failures.get(error.code) ?? 0) + 1);
      if (error.code === 'target-no-reply' || error.code === 'target-not-acknowledging') client.detach();
    }
  }
}

const permitted = new Set([
  'link-lost',
  'link-not-found',
  'link-timeout',
  'request-unsure',
  'target-no-reply',
  'target-not-acknowledging',
  'target-not-attached',
  'target-silent',
]);

async function readSomewhere(client: KdClient, random: Random, expected: Uint8Array): Promise<void> {
  const count = 1 + random.below(600);
  const offset = random.below(memoryBytes - count);
  const { status, fields, data } = await client.request(readVirtualMemory, {
    address: plus(modelBase, offset),
    count,
  });
  assert.equal(status, 0);
  assert.equal(fields.actual, count);
  assert.ok(
    Buffer.from(data).equals(expected.subarray(offset, offset + count)),
    `wrong bytes at ${offset}+${count}`,
  );
}

async function writeSlot(client: KdClient, random: Random, expected: Uint8Array, n: number): Promise<void> {
  const offset = memoryBytes / 2 + (n % slots) * slotBytes;
  const data = random.bytes(slotBytes);
  const write = async (): Promise<boolean> => {
    const reply = await client.request(
      writeVirtualMemory,
      { address: plus(modelBase, offset), count: slotBytes },
      { data },
    );
    return reply.status === 0;
  };
  // An exchange that broke off may have written or not; only the repetition tells.
  expected.set(data, offset);
  for (;;) {
    try {
      assert.ok(await write());
      return;
    } catch (error) {
      if (!(error instanceof VmkdError)) throw error;
      if (client.state.kind !== 'stopped' || error.code === 'target-no-reply') {
        client.detach();
        await client.attach({ breakIn: true, milliseconds: 120_000 }).catch(() => undefined);
      }
    }
  }
}

void describe('a lossy line', () => {
  void it(`${exchanges} exchanges with every fault at ${probability * 100} %`, async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const random = randomFrom(seed);
    const clock = new VirtualClock();
    const endpoint = new FaultyEndpoint({
      clock,
      random: randomFrom(seed + 1),
      faults: allFaults(probability),
    });
    const target = new ModelTarget(endpoint.target, clock, { memoryBytes });
    target.memory.set(random.bytes(memoryBytes));
    const client = new KdClient({
      clock,
      firstSequence: seed,
      open: async (owner) =>
        new KdcomChannel(await endpoint.open({ waitMilliseconds: 10_000 }), owner, {
          role: 'debugger',
          clock,
        }),
    });
    const tally: Tally = { done: 0, attaches: 0, failures: new Map() };
    // A hang is a deadlock of the virtual clock, or a day that passes without an end.
    const month = 30 * 24 * 3_600_000;
    await clock.run(exchangeMany(client, target, random, tally), month);
    t.diagnostic(
      JSON.stringify({
        ...tally,
        failures: Object.fromEntries(tally.failures),
        virtualSeconds: Math.round(clock.now() / 1000),
      }),
    );
    t.diagnostic(JSON.stringify(endpoint.counts));
    assert.equal(tally.done, exchanges);
    for (const [fault, count] of Object.entries(endpoint.counts))
      assert.ok(count > 100, `${fault} happened ${count} times`);
    client.detach();
  });
});
