/** A session that was recorded is played again: as the target for a client, as the debugger for a server. In virtual time. */

import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ModelTarget, breakInStop, modelBase } from '../../../../test/fixtures/modelTarget';
import { randomFrom } from '../../../../test/fixtures/random';
import { tempFolder } from '../../../../test/fixtures/tempFolder';
import { VirtualClock } from '../../../../test/fixtures/virtualClock';
import { plus, virtualAddress } from '../../core/addresses';
import { KdClient } from '../../kd/client';
import { getContext } from '../../kd/manipulate/context';
import { readVirtualMemory, writeVirtualMemory } from '../../kd/manipulate/memory';
import { KdcomChannel } from '../kdcomChannel';
import type { ByteLink } from '../link';
import { memoryLinkPair } from '../memoryLink';
import { TraceWriter, readTraceChunks, traceEvents, traced } from '../trace';
import { scenesOf, type Scene } from './recording';
import { ReplayDebugger, type Comparison } from './replayDebugger';
import { ReplayTarget } from './replayTarget';

const attach = { breakIn: true, milliseconds: 10_000 } as const;

interface Session {
  readonly clock: VirtualClock;
  readonly client: KdClient;
  readonly prints: string[];
}

function clientOn(link: ByteLink, clock: VirtualClock): Session {
  const prints: string[] = [];
  const client = new KdClient({
    clock,
    observer: {
      onPrint: ({ text }) => prints.push(text),
      onPrompt: ({ prompt }) => Promise.resolve(`answer to ${prompt}`),
    },
    open: (owner) => Promise.resolve(new KdcomChannel(link, owner, { role: 'debugger', clock })),
  });
  return { clock, client, prints };
}

/** What a debugger does in it, and what it gets to know. */
async function lookAround({ clock, client, prints }: Session): Promise<unknown[]> {
  const seen: unknown[] = [await clock.run(client.attach(attach))];
  for (let i = 0; i < 3; i++) {
    const address = plus(modelBase, 100 * i);
    seen.push(await clock.run(client.request(readVirtualMemory, { address, count: 64 })));
    seen.push(await clock.run(client.request(getContext, {})));
    await clock.run(client.request(writeVirtualMemory, { address, count: 2 }, { data: Uint8Array.of(i, 7) }));
    seen.push(await clock.run(client.request(readVirtualMemory, { address, count: 4 })));
    await clock.run(client.continue());
    await clock.advance(10);
    client.callBreakIn();
    seen.push(await clock.run(client.waitForStop(10_000)));
  }
  seen.push([...prints]);
  return seen;
}

function modelOn(link: ByteLink, clock: VirtualClock): ModelTarget {
  const target = new ModelTarget(link, clock);
  target.memory.set(randomFrom(1).bytes(4096));
  return target;
}

async function record(t: TestContext): Promise<{ scenes: Scene[]; seen: unknown[] }> {
  const file = path.join(tempFolder(t), 'x.trace');
  const clock = new VirtualClock();
  const [near, far] = memoryLinkPair(clock);
  const writer = new TraceWriter(file, 'memory', clock, (error) => assert.fail(error));
  const target = modelOn(far, clock);
  const session = clientOn(traced(near, writer), clock);
  const orders = target.orders;
  // Between the first stop and the second it prints, and asks something.
  const chat = (async () => {
    while (orders.length === 0) await new Promise<void>((resolve) => clock.after(1, resolve));
    await target.server.print('hello');
    assert.equal(await target.server.prompt('who?', 100), 'answer to who?');
  })();
  const seen = await lookAround(session);
  await clock.run(chat);
  session.client.detach();
  writer.close();
  return { scenes: scenesOf(traceEvents(readTraceChunks(file))), seen };
}

void describe('a recording', () => {
  void it('is a conversation: stops with what was asked in them, prints, questions with their answers', async (t) => {
    const { scenes } = await record(t);
    assert.deepEqual(
      scenes.map(({ kind }) => kind),
      ['stop', 'said', 'asked', 'stop', 'stop', 'stop'],
    );
    const [first, , asked, second] = scenes;
    assert.ok(first?.kind === 'stop' && first.wanted && first.order !== undefined);
    // GetVersion, and what was asked.
    assert.equal(first.exchanges.length, 5);
    assert.ok(first.exchanges.every(({ reply }) => reply !== undefined));
    assert.ok(asked?.kind === 'asked' && asked.answer !== undefined);
    assert.match(Buffer.from(asked.answer).toString('latin1'), /answer to who\?$/);
    assert.ok(second?.kind === 'stop' && second.exchanges.length === 4);
  });

  void it('plays the target: a client gets to know what it got to know then', async (t) => {
    const { scenes, seen } = await record(t);
    const clock = new VirtualClock();
    const [near, far] = memoryLinkPair(clock);
    const replay = new ReplayTarget(
      (owner) => new KdcomChannel(far, owner, { role: 'target', clock }),
      scenes,
    );
    const running = replay.run().catch(() => undefined);
    const session = clientOn(near, clock);
    assert.deepEqual(await lookAround(session), seen);
    // What nobody has asked then has no answer.
    const { status } = await clock.run(
      session.client.request(readVirtualMemory, { address: virtualAddress(0n), count: 1 }),
    );
    assert.equal(status, 0xc0000001);
    session.client.detach();
    await clock.run(running);
    assert.equal(replay.report.stops, 4);
    assert.equal(replay.report.unrecorded.length, 1);
  });

  void it('plays the debugger: a server that is as it was answers as it did, another does not', async (t) => {
    const { scenes } = await record(t);
    const compare = async (change: (target: ModelTarget) => void): Promise<Comparison[]> => {
      const clock = new VirtualClock();
      const [near, far] = memoryLinkPair(clock);
      change(modelOn(far, clock));
      const replay = new ReplayDebugger(
        (owner) => new KdcomChannel(near, owner, { role: 'debugger', clock }),
        clock,
      );
      const all: Comparison[] = [];
      await clock.run(
        (async () => {
          for await (const one of replay.compare(scenes)) all.push(one);
        })(),
      );
      replay.close();
      return all;
    };
    const same = await compare(() => undefined);
    assert.equal(same.length, 4 + 5 + 4 + 4);
    assert.ok(same.every(({ isSame }) => isSame));
    const other = await compare((target) => {
      target.memory[10]! ^= 1;
      target.stops = { programCounter: virtualAddress(breakInStop.programCounter + 1n) };
    });
    assert.equal(other.length, same.length);
    const different = other.filter(({ isSame }) => !isSame);
    assert.equal(different.filter(({ request }) => request === undefined).length, 4);
    assert.equal(different.filter(({ request }) => request !== undefined).length, 1);
  });
});
