/**
 * The state machines against peers that talk nonsense in good framing: floods, lies, contradictions. Nothing may throw but
 * VmkdErrors, nothing may grow without bound, and every call must end.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ModelTarget, breakInStop, modelBase } from '../../../test/fixtures/modelTarget';
import { randomFrom, seedFromEnvironment, type Random } from '../../../test/fixtures/random';
import { plainCreate } from '../../../test/fixtures/modelTarget';
import { VirtualClock } from '../../../test/fixtures/virtualClock';
import { VmkdError } from '../core/errors';
import { KdClient } from '../kd/client';
import { encodeDebugIo } from '../kd/debugIo';
import { encodeFileRequest } from '../kd/fileIo';
import {
  PacketType,
  breakInByte,
  encodeControlPacket,
  encodeDataPacket,
  initialPacketId,
  type ControlType,
  type DataType,
} from '../kd/framing';
import { getVersion } from '../kd/manipulate/version';
import { readVirtualMemory } from '../kd/manipulate/memory';
import { encodeManipulate } from '../kd/manipulate/message';
import { KdServer } from '../kd/server';
import { encodeStateChange } from '../kd/stateChange';
import { KdcomChannel } from './kdcomChannel';
import type { ByteLink } from './link';
import { memoryLinkPair } from './memoryLink';

const rounds = 160;
const burst = 150;

const payloads = (random: Random): readonly [DataType, Uint8Array][] => [
  [PacketType.StateChange64, encodeStateChange({ ...breakInStop, code: random.next() })],
  [PacketType.StateChange64, encodeStateChange(breakInStop)],
  [
    PacketType.StateManipulate,
    encodeManipulate(getVersion.reply, { apiNumber: 0x3146 }, { machineType: 0x8664, protocolVersion: 6 }),
  ],
  [
    PacketType.StateManipulate,
    encodeManipulate(
      readVirtualMemory.reply,
      { apiNumber: 0x3130 },
      { actual: random.next() },
      random.bytes(40),
    ),
  ],
  [PacketType.StateManipulate, random.bytes(56 + random.below(100))],
  [
    PacketType.DebugIo,
    encodeDebugIo({ kind: 'print', processorLevel: 0, processor: 0, text: 'x'.repeat(random.below(100)) }),
  ],
  [
    PacketType.DebugIo,
    encodeDebugIo({ kind: 'prompt', processorLevel: 0, processor: 0, prompt: '?', maxAnswer: random.next() }),
  ],
  [PacketType.FileIo, encodeFileRequest({ kind: 'create', name: '..\\..\\x', ...plainCreate })],
  [PacketType.FileIo, random.bytes(64 + random.below(40))],
  [PacketType.TraceIo, random.bytes(70)],
  [PacketType.ControlRequest, random.bytes(12)],
];

/** One thing that a hostile peer says. */
function nonsense(random: Random): Uint8Array {
  switch (random.below(8)) {
    case 0:
      return encodeControlPacket(
        random.pick([4, 5, 6] satisfies ControlType[]),
        random.pick([initialPacketId, initialPacketId + 1, random.next()]),
      );
    case 1:
      return random.bytes(random.below(60));
    case 2:
      return new Uint8Array(random.below(20)).fill(breakInByte);
    default: {
      const [type, payload] = random.pick(payloads(random));
      const id = random.pick([initialPacketId, initialPacketId + 1, initialPacketId + 0x800, random.next()]);
      const packet = encodeDataPacket(type, id, payload);
      return random.chance(0.2) ? packet.subarray(0, random.below(packet.length)) : packet;
    }
  }
}

interface Peer {
  received: number;
  sent: number;
  stop(): void;
}

/** Babbles in virtual time until told to stop; counts what comes back. @param hear Gets what comes back. */
function babble(
  link: ByteLink,
  clock: VirtualClock,
  random: Random,
  hear: (chunk: Uint8Array) => void = () => undefined,
): Peer {
  const state = { received: 0, sent: 0, running: true, stop: () => void (state.running = false) };
  link.attach({
    onBytes: (chunk) => {
      state.received += chunk.length;
      hear(chunk);
    },
    onClosed: () => state.stop(),
  });
  const speak = (): void => {
    if (!state.running) return;
    for (let i = 0; i < burst; i++) {
      const bytes = nonsense(random);
      state.sent += bytes.length;
      link.write(bytes);
    }
    clock.after(random.below(6000), speak);
  };
  clock.after(random.below(6000), speak);
  return state;
}

/** A sane target behind a line on which somebody else babbles too. */
function babbleOver(link: ByteLink, clock: VirtualClock, random: Random): Peer {
  const [near, far] = memoryLinkPair(clock);
  new ModelTarget(far, clock);
  const peer = babble(link, clock, random, (chunk) => near.write(chunk));
  near.attach({
    onBytes: (chunk) => {
      peer.sent += chunk.length;
      link.write(chunk);
    },
    onClosed: () => peer.stop(),
  });
  return peer;
}

function onlyVmkdErrors(error: unknown): void {
  assert.ok(error instanceof VmkdError, String(error));
  assert.notEqual(error.code, 'internal', error.message);
}

void describe('a hostile peer', () => {
  void it('as the target: every call of the client ends, in bounded time and traffic', async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    const ends = new Map<string, number>();
    const note = (what: string): void => void ends.set(what, (ends.get(what) ?? 0) + 1);
    for (let round = 0; round < rounds; round++) {
      const random = randomFrom(seed + round);
      const clock = new VirtualClock();
      const [near, far] = memoryLinkPair(clock);
      const peer = random.chance(0.5) ? babble(far, clock, random) : babbleOver(far, clock, random);
      const client = new KdClient({
        clock,
        firstSequence: seed,
        observer: {
          onError: onlyVmkdErrors,
          onPrompt: () =>
            new Promise((resolve) => clock.after(random.below(2000), () => resolve('x'.repeat(9000)))),
          onFile: () => Promise.resolve({ status: 0, handle: 1n, length: 2n }),
        },
        open: (owner) => Promise.resolve(new KdcomChannel(near, owner, { role: 'debugger', clock })),
      });
      const act = async (what: string, action: () => Promise<unknown>): Promise<void> => {
        const started = clock.now();
        try {
          await clock.run(action(), 600_000);
          note(`${what}: done`);
        } catch (error) {
          onlyVmkdErrors(error);
          note(`${what}: ${(error as VmkdError).code}`);
        }
        assert.ok(
          clock.now() - started <= 120_000,
          `${what} took ${clock.now() - started} ms, seed ${seed + round}`,
        );
      };
      await act('attach', () => client.attach({ breakIn: random.chance(0.7), milliseconds: 10_000 }));
      await act('read', () => client.request(readVirtualMemory, { address: modelBase, count: 4000 }));
      await act('continue', () => client.continue());
      await act('wait', () => client.waitForStop(5000));
      await act('read', () => client.request(readVirtualMemory, { address: modelBase, count: 4000 }));
      peer.stop();
      client.detach();
      // What we sent is in proportion to what we got: no storm, no queue.
      assert.ok(
        peer.received <= 4 * peer.sent + 200_000,
        `${peer.received} bytes for ${peer.sent}, seed ${seed + round}`,
      );
    }
    t.diagnostic(JSON.stringify(Object.fromEntries(ends)));
    // The peers' lies must have led to successes and failures alike, or this tested nothing.
    assert.ok((ends.get('attach: done') ?? 0) > 0);
    assert.ok([...ends.keys()].some((what) => /^read: (?!done)/.test(what)));
  });

  void it('as the debugger: the server serves, in bounded traffic', async (t) => {
    const seed = seedFromEnvironment();
    t.diagnostic(`seed ${seed}`);
    let served = 0;
    let released = 0;
    for (let round = 0; round < rounds; round++) {
      const random = randomFrom(seed + round);
      const clock = new VirtualClock();
      const [near, far] = memoryLinkPair(clock);
      const server = new KdServer((owner) => new KdcomChannel(far, owner, { role: 'target', clock }));
      server.serve(readVirtualMemory, ({ count }) => {
        served++;
        return { fields: { actual: count }, data: new Uint8Array(Math.min(count, 9999)) };
      });
      server.serve(getVersion, () => {
        served++;
        return {};
      });
      server.onError = onlyVmkdErrors;
      const peer = babble(near, clock, random);
      const says = (action: Promise<unknown>): Promise<unknown> =>
        action.then(() => released++, onlyVmkdErrors);
      const work = [says(server.stop(breakInStop)), says(server.print('hello', 0, 5))];
      await clock.advance(20_000);
      peer.stop();
      near.close();
      await clock.run(Promise.all(work), 600_000);
      assert.ok(
        peer.received <= 8 * peer.sent + 200_000,
        `${peer.received} bytes for ${peer.sent}, seed ${seed + round}`,
      );
    }
    assert.ok(served > 0);
  });
});
