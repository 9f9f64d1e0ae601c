// test-limit: 600 s
/**
 * Debuggers that mean harm on the pipe of a real session with a real kernel: what they say is nonsense, floods and sudden ends.
 * The session looks, steps and goes on beside them, and every byte it reads is right. A few thousand packets here, many as a
 * soak test.
 */

import assert from 'node:assert/strict';
import path from 'node:path';
import { before, it } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { PacketType, encodeControlPacket, initialPacketId } from '../../src/engine/kd/framing';
import { createEndpoint } from '../../src/engine/link/endpoint';
import type { ByteLink } from '../../src/engine/link/link';
import { debugDemoKernel, type AdapterClient } from '../fixtures/adapter';
import { buildCli } from '../fixtures/cli';
import { ticksGrow } from '../fixtures/guestLife';
import { nonsense } from '../fixtures/hostileDebugger';
import { heldBy, type Held } from '../fixtures/processGauge';
import { randomFrom, seedFromEnvironment, type Random } from '../fixtures/random';
import { tempFolder } from '../fixtures/tempFolder';

const packets = process.env['VMKD_SOAK'] === 'full' ? 250_000 : 6000;
const limit = 60_000;
/** Bytes; the heap of Node breathes. */
const mostGrowth = 64 << 20;

before(buildCli);

void it(`${packets} packets of hostile debuggers beside a session`, async (t) => {
  const random = randomFrom(seedFromEnvironment());
  t.diagnostic(`seed ${random.seed}`);
  const pipe = path.join(tempFolder(t), 'pipe');
  const debugging = await debugDemoKernel(
    { companion: `unix-listen:${pipe}` },
    { guestModule: 'boot', memoryMiB: 128 },
  );
  const { machine, client } = debugging;
  const endpoint = createEndpoint(`unix:${pipe}`);
  let link: ByteLink | undefined;
  t.after(async () => {
    // The adapter waits for who is attached.
    link?.close();
    await endpoint.dispose();
    await debugging.end();
  });
  const code = await codeOf(client);
  let first: Held | undefined;
  let sent = 0;
  let connections = 0;
  while (sent < packets) {
    link = await endpoint.open({ waitMilliseconds: limit });
    connections++;
    const isOver = answering(link, random);
    for (let burst = 1 + random.below(4); burst > 0 && !isOver(); burst--) {
      for (let i = 1 + random.below(150); i > 0; i--, sent++) link.write(nonsense(random));
      await session(client, code, random);
    }
    link.close();
    if (sent > packets / 10) first ??= heldBy(client.process.pid!);
  }
  await client.until(() => /WinDbg is gone/.test(client.output('console')), 'the end of them');
  const last = heldBy(client.process.pid!);
  t.diagnostic(`${connections} connections: ${JSON.stringify(first)} → ${JSON.stringify(last)}`);
  assert.ok(last.handles <= first!.handles + 4, 'handles');
  assert.ok(last.memory <= first!.memory + mostGrowth, 'memory');
  await session(client, code, random);
  await client.continueRequest({ threadId: 1 });
  await ticksGrow(machine, limit);
});

/** Now and then it acknowledges, so that more is said to it. @returns Whether it was shown out */
function answering(link: ByteLink, random: Random): () => boolean {
  let isOver = false;
  link.attach({
    onBytes: () => {
      if (random.chance(0.3))
        link.write(encodeControlPacket(PacketType.Acknowledge, initialPacketId + random.below(2)));
    },
    onClosed: () => (isOver = true),
  });
  return () => isOver;
}

interface Code {
  readonly place: string;
  readonly bytes: string;
}

/** Bytes that never change. */
async function codeOf(client: AdapterClient): Promise<Code> {
  const { modules } = await client.ask<P.ModulesResponse['body']>('modules');
  const place = String(modules[0]!.addressRange).split('-')[0]!;
  return { place, bytes: await bytesAt(client, place) };
}

async function bytesAt(client: AdapterClient, place: string): Promise<string> {
  const { data } = await client.ask<NonNullable<P.ReadMemoryResponse['body']>>('readMemory', {
    memoryReference: place,
    count: 4096,
  });
  return data!;
}

/** What its user does meanwhile. */
async function session(client: AdapterClient, { place, bytes }: Code, random: Random): Promise<void> {
  assert.equal(await bytesAt(client, place), bytes, 'the kernel’s code has changed');
  switch (random.below(3)) {
    case 0:
      await client.stopAfter(() => client.nextRequest({ threadId: 1, granularity: 'instruction' }));
      return;
    case 1:
      await client.continueRequest({ threadId: 1 });
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      return;
    default: {
      const { result } = await client.ask<P.EvaluateResponse['body']>('evaluate', {
        expression: 'nt!KeNumberProcessors',
        context: 'watch',
      });
      assert.equal(result, '2');
    }
  }
}
