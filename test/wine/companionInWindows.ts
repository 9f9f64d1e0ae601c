/** What the companion pipe must do on Windows, as a named pipe; runs in Windows' Node (companion.test.ts starts it there). */

import assert from 'node:assert/strict';
import type { VmkdError } from '../../src/engine/core/errors';
import { systemClock } from '../../src/engine/core/clock';
import { Companion } from '../../src/engine/companion/companion';
import { attachText, pipeFor } from '../../src/engine/companion/pipePlace';
import { pipeEndpoint, servePipe } from '../../src/engine/companion/servePipe';
import { KdClient } from '../../src/engine/kd/client';
import { PacketType, encodeControlPacket } from '../../src/engine/kd/framing';
import { continue2X64 } from '../../src/engine/kd/manipulate/execution';
import { readVirtualMemory } from '../../src/engine/kd/manipulate/memory';
import { manipulateData, readManipulateHead } from '../../src/engine/kd/manipulate/message';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { decodeStateChange } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { KdcomChannel } from '../../src/engine/link/kdcomChannel';
import { memoryLinkPair } from '../../src/engine/link/memoryLink';
import { ModelTarget, modelBase } from '../fixtures/modelTarget';
import { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { runScenarios, type Scenarios } from './scenarios';

const limit = { waitMilliseconds: 5000 };
let names = 0;
const toEnd: (() => unknown)[] = [];

interface Served {
  readonly target: ModelTarget;
  readonly client: KdClient;
  /** Somebody who opens the pipe. */
  readonly open: () => Promise<ScriptedDebugger>;
  readonly serve: () => void;
}

/** A model kernel behind a pipe that nobody serves yet, but that is there. */
async function pipe(): Promise<Served> {
  const spec = pipeFor(`vmkd test ${process.pid} ${++names}`);
  const [near, far] = memoryLinkPair(systemClock);
  const target = new ModelTarget(far, systemClock);
  const companion = new Companion({ clock: systemClock, hasHost: false });
  const client = new KdClient({
    clock: systemClock,
    timing: { reply: 4000, order: 700, call: 100 },
    observer: { relay: (packet) => companion.relay(packet) },
    open: (owner) => Promise.resolve(new KdcomChannel(near, owner, { role: 'debugger', clock: systemClock })),
  });
  companion.follow({ client });
  await client.attach({ breakIn: false, milliseconds: 5000 });
  const exposures: VmkdError[] = [];
  const endpoint = pipeEndpoint(spec, systemClock, (why) => exposures.push(why));
  const abort = new AbortController();
  toEnd.push(() => client.detach());
  // Listening begins with the first wait.
  await assert.rejects(endpoint.open({ waitMilliseconds: 1 }), { code: 'link-timeout' });
  // There is no native part beside this script.
  assert.deepEqual(
    exposures.map(({ code }) => code),
    ['link-exposed'],
  );
  let serving: Promise<void> | undefined;
  toEnd.push(async () => {
    abort.abort();
    companion.close();
    await endpoint.dispose();
    await serving;
  });
  return {
    target,
    client,
    serve() {
      serving = servePipe(endpoint, { companion, clock: systemClock, signal: abort.signal });
    },
    async open() {
      const connector = createEndpoint(`pipe:${spec.kind === 'pipe-listen' ? spec.path : ''}`);
      const link = await connector.open(limit);
      toEnd.push(() => connector.dispose());
      toEnd.push(() => link.close());
      return new ScriptedDebugger(link, systemClock);
    },
  };
}

async function served(): Promise<Served> {
  const all = await pipe();
  all.serve();
  return all;
}

const go = (windbg: ScriptedDebugger): Promise<void> =>
  windbg.order(
    windbg.compose(continue2X64, { continueStatus: NtStatus.DbgContinue, dr7: 0x400n, symbolStart: 1n }),
  );

export const scenarios: Scenarios = {
  'is where VirtualKD has it, and WinDbg is told so': async () => {
    const spec = pipeFor('Windows 11 x64');
    assert.deepEqual(spec, { kind: 'pipe-listen', path: '\\\\.\\pipe\\kd_Windows_11_x64' });
    assert.equal(
      attachText(spec),
      'windbg -k com:pipe,port=\\\\.\\pipe\\kd_Windows_11_x64,resets=0,reconnect',
    );
  },

  'lets debuggers come and go': async () => {
    const { target, open } = await served();
    target.memory.set([1, 2, 3, 4]);
    for (let i = 0; i < 5; i++) {
      const windbg = await open();
      assert.equal(decodeStateChange(await windbg.attach()).kind, 'exception');
      const reply = await windbg.request(
        windbg.compose(readVirtualMemory, { address: modelBase, count: 3944 }),
      );
      assert.equal(readManipulateHead(reply).returnStatus, 0);
      assert.deepEqual([...manipulateData(reply).subarray(0, 4)], [1, 2, 3, 4]);
      if (i % 2 === 0) await go(windbg);
      windbg.close();
    }
  },

  'answers the RESETs that have queued in the pipe once': async () => {
    const { target, client, open, serve } = await pipe();
    target.breakNow();
    await client.waitForStop(5000);
    const windbg = await open();
    windbg.send(...Array.from({ length: 60 }, () => encodeControlPacket(PacketType.Reset, 0)));
    serve();
    await windbg.until(() => windbg.stops.length > 0, 'the stop');
    await windbg.until(() => windbg.resets > 1, 'another answer', 300, false);
    assert.equal(windbg.resets, 1);
  },

  'tells a second debugger why it is refused': async () => {
    const { open } = await served();
    const first = await open();
    await first.attach();
    const second = await open();
    await second.until(() => second.ended !== undefined, 'its end', 5000, false);
    assert.deepEqual(second.prints, ['vmkd: another debugger is attached to this pipe\n']);
    assert.ok(second.ended);
    await go(first);
  },

  'does not hold the kernel up for a debugger that reads nothing': async () => {
    const { target, client, open } = await served();
    const windbg = await open();
    await go(await attached(windbg));
    windbg.acknowledges = false;
    const started = performance.now();
    for (let i = 0; i < 2000; i++) await target.server.print(`line ${i}`.padEnd(400, '.'));
    assert.ok(performance.now() - started < 20_000);
    assert.equal(client.state.kind, 'running');
  },
};

async function attached(windbg: ScriptedDebugger): Promise<ScriptedDebugger> {
  await windbg.attach();
  return windbg;
}

await runScenarios(scenarios, async () => {
  for (const end of toEnd.splice(0).reverse()) await end();
});
