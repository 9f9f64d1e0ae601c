/**
 * Debuggers come to the companion pipe, look, step, and go, orderly or not, again and again: first to the bridge alone, then to
 * a session that drives the same kernel. Nothing grows, no byte is wrong, the guest lives. A few cycles here, 10,000 as a soak
 * test.
 */

import assert from 'node:assert/strict';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../src/engine/core/clock';
import { continueApi } from '../../src/engine/kd/manipulate/execution';
import { getVersion } from '../../src/engine/kd/manipulate/version';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { decodeStateChange } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { debugDemoKernel, type AdapterClient } from '../fixtures/adapter';
import { Bridge } from '../fixtures/bridge';
import { buildCli } from '../fixtures/cli';
import { heldBy, type Held } from '../fixtures/processGauge';
import { randomFrom, seedFromEnvironment, type Random } from '../fixtures/random';
import { monitorsIn } from '../fixtures/monitors';
import { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { tempFolder } from '../fixtures/tempFolder';
import { attach, breakIn, go, nextEvent, read, version } from '../fixtures/windbg';
import { ticksGrow } from '../fixtures/guestLife';
import { bootDemoKernel } from '../kernel/machine';

const cycles = process.env['VMKD_SOAK'] === 'full' ? 10_000 : 24;
const limit = 60_000;
/** By serial port, the registers of a step alone take a tenth of a second. */
const kernel = { guestModule: 'boot', memoryMiB: 128 } as const;
/** Bytes that a process may grow by; the heap of Node breathes. */
const mostGrowth = 48 << 20;
const page = 4096;
const checkedPages = 16;

before(buildCli);

/** What is read must always be the same: code does not change. */
class Code {
  #pages: Uint8Array[] = [];

  async check(windbg: ScriptedDebugger, random: Random, most: number): Promise<void> {
    const { kernelBase } = await version(windbg);
    for (let i = 1 + random.below(most); i > 0; i--) {
      const n = random.below(checkedPages);
      // The first page is headers, then comes code.
      const bytes = await read(windbg, kernelBase + BigInt(n * page), 3944);
      this.#pages[n] ??= bytes.slice();
      assert.ok(Buffer.from(bytes).equals(this.#pages[n]), `page ${n} has changed`);
    }
  }
}

/** After the first tenth everything is warm. */
class Gauge {
  #first: Held | undefined;

  constructor(private readonly pid: number) {}

  cycle(i: number): void {
    if (i === Math.ceil(cycles / 10)) this.#first = heldBy(this.pid);
  }

  end(t: TestContext): void {
    const [first, last] = [this.#first!, heldBy(this.pid)];
    t.diagnostic(`${cycles} cycles: ${JSON.stringify(first)} → ${JSON.stringify(last)}`);
    assert.ok(last.handles <= first.handles + 2, 'handles');
    assert.ok(last.memory <= first.memory + mostGrowth, 'memory');
  }
}

void describe('debuggers that come and go', () => {
  void it(`${cycles} times, on the bridge`, async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const folder = tempFolder(t);
    const machine = await bootDemoKernel({ ...kernel, qemuArgs: monitorsIn(folder).qemuArgs });
    t.after(() => machine.stop());
    // It rests as often as it can.
    const bridge = new Bridge(machine.kdLink, folder, ['--park', '0.005']);
    t.after(() => bridge.end());
    await bridge.said(/the kernel runs/);
    const code = new Code();
    const gauge = new Gauge(bridge.pid);
    for (let i = 0; i < cycles; i++) {
      gauge.cycle(i);
      const windbg = await bridge.debugger();
      const end = random.below(6);
      if (end === 0) {
        // In the middle of a word.
        windbg.send(random.bytes(random.below(40)));
        windbg.close();
        continue;
      }
      const stop = await attach(windbg);
      await code.check(windbg, random, 4);
      if (end === 1) {
        windbg.request(windbg.compose(getVersion)).catch(() => undefined);
        windbg.close();
        continue;
      }
      if (end > 2) {
        await go(windbg, stop, 1);
        await go(windbg, await nextEvent(windbg));
        if (i % 8 === 0) await ticksGrow(machine, limit);
      }
      windbg.close();
    }
    gauge.end(t);
    assert.match(bridge.stderr, /the machine rests/);
    const windbg = await bridge.debugger();
    await go(windbg, await attach(windbg));
    await ticksGrow(machine, limit);
  });

  void it(`${cycles} times, beside a session`, async (t) => {
    const random = randomFrom(seedFromEnvironment());
    t.diagnostic(`seed ${random.seed}`);
    const pipe = path.join(tempFolder(t), 'pipe');
    const debugging = await debugDemoKernel({ companion: `unix-listen:${pipe}` }, kernel);
    const { machine, client } = debugging;
    let windbg: ScriptedDebugger | undefined;
    t.after(() => {
      // The adapter waits for who is attached.
      windbg?.close();
      return debugging.end();
    });
    const code = new Code();
    const gauge = new Gauge(client.process.pid!);
    for (let i = 0; i < cycles; i++) {
      gauge.cycle(i);
      // A client keeps all messages; that is not the adapter's memory.
      const endpoint = createEndpoint(`unix:${pipe}`);
      const link = await endpoint.open({ waitMilliseconds: limit });
      windbg = new ScriptedDebugger(link, systemClock);
      await visit(windbg, client, code, random);
      windbg.close();
      await endpoint.dispose();
      await driveAgain(client);
      if (i % 8 === 0) {
        await client.continueRequest({ threadId: 1 });
        await ticksGrow(machine, limit);
        await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      }
    }
    gauge.end(t);
    await client.continueRequest({ threadId: 1 });
    await ticksGrow(machine, limit);
  });
});

/** The session stands when it begins, and somebody drives when it ends. */
async function visit(
  windbg: ScriptedDebugger,
  client: AdapterClient,
  code: Code,
  random: Random,
): Promise<void> {
  const stop = decodeStateChange(await windbg.attach(false));
  await code.check(windbg, random, 2);
  switch (random.below(4)) {
    case 0:
      return;
    case 1:
      // As a looker-on.
      await windbg.order(windbg.compose(continueApi, { continueStatus: NtStatus.DbgContinue }));
      await client.stopAfter(() => client.stepInRequest({ threadId: 1, granularity: 'instruction' }));
      await nextEvent(windbg);
      await code.check(windbg, random, 2);
      return;
    default: {
      await client.ask('handOver', { to: 'windbg' });
      await go(windbg, stop, 1);
      const stepped = await nextEvent(windbg);
      await code.check(windbg, random, 2);
      if (random.chance(0.5)) return;
      await go(windbg, stepped);
      if (random.chance(0.5)) await go(windbg, await breakIn(windbg));
      if (random.chance(0.5)) await client.ask('handOver', { to: 'session' });
    }
  }
}

/** Until the session drives and stands: the debugger that drove is gone, and the adapter takes over. */
async function driveAgain(client: AdapterClient): Promise<void> {
  await client.until(() => lastDriver(client) !== 'windbg', 'that the session drives');
  await client.ask('handOver', { to: 'session' });
  if (client.isRunning) await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
}

function lastDriver(client: AdapterClient): unknown {
  const last = client.events.findLast(({ event }) => event === 'vmkd/companion');
  return (last?.body as { driver: string } | undefined)?.driver;
}
