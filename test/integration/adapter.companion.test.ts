// test-limit: 600 s
/** VS Code and WinDbg on one kernel: the rows of docs/companion.md, with the real adapter and a real kernel. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { virtualAddress, type VirtualAddress } from '../../src/engine/core/addresses';
import { systemClock } from '../../src/engine/core/clock';
import { restoreBreakPoint, writeBreakPoint } from '../../src/engine/kd/manipulate/breakpoint';
import { readVirtualMemory, writeVirtualMemory } from '../../src/engine/kd/manipulate/memory';
import { readManipulateHead } from '../../src/engine/kd/manipulate/message';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { decodeStateChange } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import type { OwnEvents } from '../../src/protocol/ownRequests';
import { debugDemoKernel, type AdapterClient, type StoppedBody } from '../fixtures/adapter';
import { buildCli, vmkd } from '../fixtures/cli';
import { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { tempFolder } from '../fixtures/tempFolder';
import { breakIn, go, nextEvent, read, version, waitAsLookerOn } from '../fixtures/windbg';
import { ticksGrow } from '../fixtures/guestLife';
import type { DemoMachine } from '../kernel/machine';

const limit = 30_000;

before(buildCli);

const openedBy = (client: AdapterClient, place: string): Promise<{ pipe: string }> =>
  client.ask('vmkd/startCompanion', { place: `unix-listen:${place}` });

interface Shared {
  readonly machine: DemoMachine;
  readonly client: AdapterClient;
  /** Where the pipe is. */
  readonly pipe: string;
  /** Another debugger on the pipe. */
  readonly windbg: () => Promise<ScriptedDebugger>;
}

async function shared(t: TestContext, options: Record<string, unknown> = {}): Promise<Shared> {
  const pipe = path.join(tempFolder(t), 'pipe');
  const debugging = await debugDemoKernel({ companion: `unix-listen:${pipe}`, ...options });
  const { machine, client } = debugging;
  const debuggers: ScriptedDebugger[] = [];
  t.after(async () => {
    // First they: the adapter waits for who is attached.
    for (const one of debuggers) one.close();
    await debugging.end();
  });
  return {
    machine,
    client,
    pipe,
    async windbg() {
      const endpoint = createEndpoint(`unix:${pipe}`);
      const one = new ScriptedDebugger(await endpoint.open({ waitMilliseconds: limit }), systemClock);
      debuggers.push(one);
      return one;
    },
  };
}

const run = (client: AdapterClient): Promise<StoppedBody> =>
  client.stopAfter(() => client.continueRequest({ threadId: 1 }));

const say = (client: AdapterClient, expression: string): Promise<{ result: string }> =>
  client.ask('evaluate', { expression, context: 'repl' });

async function placeOf(client: AdapterClient, name: string): Promise<bigint> {
  const { breakpoints } = await client.ask<P.SetFunctionBreakpointsResponse['body']>(
    'setFunctionBreakpoints',
    { breakpoints: [{ name }] },
  );
  const [one] = breakpoints;
  assert.equal(one?.verified, true, one?.message);
  return BigInt(one.instructionReference!);
}

/** Where no healthy kernel comes to. */
const quietPlace = async (client: AdapterClient): Promise<VirtualAddress> =>
  virtualAddress(await placeOf(client, 'KeBugCheckEx'));

const statusOf = (reply: Uint8Array): number => readManipulateHead(reply).returnStatus;

void describe('WinDbg beside a session', () => {
  void it('A3 C5 C6 S1 C2 sees what VS Code shows, without its int3s, and may not change it', async (t) => {
    const { client, windbg: connect } = await shared(t);
    const fibonacci = await placeOf(client, 'VmkDemoFibonacci');
    await run(client);
    const checksum = await placeOf(client, 'VmkDemoChecksum');
    await run(client);
    // Both are known now; that of the checksum is where the kernel stands, the other stays in the code.
    await client.ask('setFunctionBreakpoints', {
      breakpoints: [{ name: 'VmkDemoFibonacci' }, { name: 'VmkDemoChecksum' }],
    });
    await run(client);
    const windbg = await connect();
    const shownStop = decodeStateChange(await windbg.attach(false));
    assert.ok([fibonacci, checksum].includes(shownStop.programCounter));
    await client.until(() => /WinDbg is attached/.test(client.output('console')), 'that WinDbg is there');
    const other = shownStop.programCounter === fibonacci ? checksum : fibonacci;
    assert.notEqual((await read(windbg, other, 16))[0], 0xcc);
    const write = windbg.compose(writeVirtualMemory, { address: virtualAddress(other) }, Uint8Array.of(0x90));
    assert.equal(statusOf(await windbg.request(write)), NtStatus.Unsuccessful);
    // It waits, and is shown the next stop; then it stays behind.
    await waitAsLookerOn(windbg);
    await run(client);
    const next = await nextEvent(windbg);
    assert.equal(next.kind, 'exception');
    await client.ask('setFunctionBreakpoints', { breakpoints: [] });
    await client.continueRequest({ threadId: 1 });
    const late = windbg.compose(readVirtualMemory, { address: virtualAddress(other), count: 4 });
    assert.equal(statusOf(await windbg.request(late)), NtStatus.Unsuccessful);
    const pause = await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    assert.equal(pause.reason, 'pause');
    assert.equal(statusOf(await windbg.request(late)), NtStatus.Unsuccessful);
    await waitAsLookerOn(windbg);
    assert.equal((await nextEvent(windbg)).kind, 'exception');
    assert.equal(statusOf(await windbg.request(late)), 0);
  });

  void it('H1 C1 B1 B4 C4 P2 P3 H3 is handed the kernel, and VS Code looks on, then takes it back', async (t) => {
    // covers: handOver
    const { client, machine, windbg: connect } = await shared(t);
    await placeOf(client, 'VmkDemoWork');
    const windbg = await connect();
    const stop = decodeStateChange(await windbg.attach(false));
    await client.ask('handOver', { to: 'windbg' });
    const asleep = await client.event<P.BreakpointEvent['body']>(
      'breakpoint',
      0,
      ({ breakpoint }) => !breakpoint.verified,
    );
    assert.match(asleep.breakpoint.message ?? '', /Another debugger drives/);
    assert.match((await say(client, '.kernel')).result, /WinDbg drives/);
    let from = client.messages.length;
    await go(windbg, stop);
    await client.event('continued', from);
    await ticksGrow(machine, limit);
    assert.match((await client.refusal('pause', { threadId: 1 })).message, /Another debugger drives/);
    from = client.messages.length;
    const own = await breakIn(windbg);
    const shown = await client.event<StoppedBody>('stopped', from);
    assert.equal(shown.description, 'Paused in WinDbg');
    const { stackFrames } = (await client.stackTraceRequest({ threadId: shown.threadId! })).body;
    assert.ok(stackFrames.length > 1);
    for (const command of ['continue', 'next', 'stepIn'])
      assert.match((await client.refusal(command, { threadId: 1 })).message, /Another debugger drives/);
    const { breakpoints } = await client.ask<P.SetFunctionBreakpointsResponse['body']>(
      'setFunctionBreakpoints',
      { breakpoints: [{ name: 'VmkDemoWork' }, { name: 'VmkDemoChecksum' }] },
    );
    assert.deepEqual(
      breakpoints.map(({ verified }) => verified),
      [false, false],
    );
    from = client.messages.length;
    await say(client, '.kernel take');
    await client.event<P.BreakpointEvent['body']>(
      'breakpoint',
      from,
      ({ breakpoint }) => breakpoint.id === breakpoints[1]!.id && breakpoint.verified,
    );
    // It keeps its prompt, and looks on.
    await version(windbg);
    const hit = await run(client);
    assert.equal(hit.reason, 'function breakpoint');
    await client.ask('setFunctionBreakpoints', { breakpoints: [] });
    assert.equal(own.kind, 'exception');
  });

  void it('P1 P3 H2 H4 its breakpoints sleep while VS Code drives, and stop for it when it drives', async (t) => {
    const { client, machine, windbg: connect } = await shared(t);
    const quiet = await quietPlace(client);
    const work = await placeOf(client, 'VmkDemoWork');
    await client.ask('setFunctionBreakpoints', { breakpoints: [] });
    const windbg = await connect();
    await windbg.attach(false);
    const set = await windbg.request(windbg.compose(writeBreakPoint, { address: virtualAddress(work) }));
    assert.equal(statusOf(set), 0);
    await waitAsLookerOn(windbg);
    await client.continueRequest({ threadId: 1 });
    await ticksGrow(machine, limit);
    await client.ask('handOver', { to: 'windbg' });
    const hit = await nextEvent(windbg);
    assert.equal(hit.programCounter, work);
    // As WinDbg does at each stop; NT has taken it out already.
    const { handle } = writeBreakPoint.reply.read(set);
    await windbg.request(windbg.compose(restoreBreakPoint, { handle }));
    await go(windbg, hit, 1);
    const stepped = await nextEvent(windbg);
    await windbg.request(windbg.compose(writeBreakPoint, { address: virtualAddress(work) }));
    await go(windbg, stepped);
    assert.equal((await nextEvent(windbg)).programCounter, work);
    await windbg.request(windbg.compose(writeBreakPoint, { address: quiet }));
    await go(windbg, await stepAway(windbg));
    await client.ask('handOver', { to: 'session' });
    await ticksGrow(machine, limit);
    assert.equal(windbg.pending, 0);
  });

  void it('D2 P4 VS Code drives when it dies, and what it had in the kernel is gone', async (t) => {
    const { client, machine, windbg: connect } = await shared(t);
    const quiet = await quietPlace(client);
    await client.ask('setFunctionBreakpoints', { breakpoints: [] });
    for (const standing of [true, false]) {
      const windbg = await connect();
      await windbg.attach(false);
      await client.ask('handOver', { to: 'windbg' });
      await windbg.request(windbg.compose(writeBreakPoint, { address: quiet }));
      const from = client.messages.length;
      if (!standing) await go(windbg, decodeStateChange(windbg.stops.at(-1)!));
      windbg.close();
      await client.until(
        () => client.output('console').split('This session drives').length > (standing ? 1 : 2),
        'that this session drives',
      );
      if (standing) assert.equal(client.isRunning, false);
      else await client.event('continued', from);
      if (standing) await client.continueRequest({ threadId: 1 });
      await ticksGrow(machine, limit);
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    }
  });

  void it('D4 P5 it drives on when the session ends, and the adapter waits for it', async (t) => {
    const { client, machine, windbg: connect } = await shared(t);
    await placeOf(client, 'VmkDemoWork');
    const windbg = await connect();
    const stop = decodeStateChange(await windbg.attach(false));
    await client.disconnectRequest({});
    await go(windbg, stop);
    await ticksGrow(machine, limit);
    const again = await breakIn(windbg);
    await version(windbg);
    assert.equal(client.process.exitCode, null);
    assert.equal(again.kind, 'exception');
    windbg.close();
    assert.equal(await client.exited, 0);
    await ticksGrow(machine, limit);
  });

  void it('D4 an adapter that is told to end lets the kernel go', async (t) => {
    const { client, machine, windbg: connect } = await shared(t);
    const windbg = await connect();
    await windbg.attach(false);
    await client.disconnectRequest({});
    client.process.kill('SIGTERM');
    assert.equal(await client.exited, 0);
    await windbg.until(() => windbg.ended !== undefined, 'its end', limit, false);
    assert.ok(windbg.ended);
    await ticksGrow(machine, limit);
  });

  void it('D5 when the adapter is killed, the kernel is let go', async (t) => {
    const { client, machine, windbg: connect } = await shared(t);
    const windbg = await connect();
    await windbg.attach(false);
    client.process.kill('SIGKILL');
    await client.exited;
    await windbg.until(() => windbg.ended !== undefined, 'its end', limit, false);
    assert.ok(windbg.ended);
    await ticksGrow(machine, limit);
  });

  void it('B2 H5 is no hand-over without it, and its break-in is a wish', async (t) => {
    const companionTrace = path.join(tempFolder(t), 'pipe.trace');
    const { client, machine, windbg: connect } = await shared(t, { companionTrace });
    assert.match((await client.refusal('handOver', { to: 'windbg' })).message, /No debugger is attached/);
    const windbg = await connect();
    await windbg.attach(false);
    await waitAsLookerOn(windbg);
    await client.continueRequest({ threadId: 1 });
    windbg.breakIn();
    await client.until(() => /WinDbg wants the kernel to stop/.test(client.output('console')), 'the wish');
    await ticksGrow(machine, limit);
    await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    const { stdout } = await vmkd(['trace', companionTrace]);
    assert.match(stdout, /→ break-in\n.*← [0-9a-f]{8} StateChange64 exception/);
  });
});

/** A session whose configuration wants no pipe. */
const withoutPipe = { companion: undefined };

void describe('a session that began without a pipe', () => {
  void it('O1 O3 opens it, shows WinDbg out when it closes it, and opens it again', async (t) => {
    // covers: vmkd/startCompanion, vmkd/stopCompanion
    const { client, machine, pipe, windbg: connect } = await shared(t, withoutPipe);
    assert.match((await client.refusal('handOver', { to: 'windbg' })).message, /no companion pipe.*start/s);
    const opened = await openedBy(client, pipe);
    assert.equal(opened.pipe, `unix:${pipe}`);
    const told = await client.event<OwnEvents['vmkd/companion']>('vmkd/companion');
    assert.deepEqual(told, { pipe: opened.pipe, windbg: 'absent', driver: 'session' });
    const windbg = await connect();
    await windbg.attach(false);
    await version(windbg);
    const from = client.messages.length;
    await say(client, '.kernel stop');
    await windbg.until(() => windbg.ended !== undefined, 'its end', limit, false);
    await client.event<OwnEvents['vmkd/companion']>('vmkd/companion', from, (body) => body.pipe === null);
    assert.ok(!existsSync(pipe));
    assert.match((await client.refusal('vmkd/stopCompanion')).message, /no companion pipe/);
    // The session drives as before.
    await placeOf(client, 'VmkDemoWork');
    await run(client);
    await say(client, `.kernel start unix-listen:${pipe}`);
    const next = await connect();
    const stop = decodeStateChange(await next.attach(false));
    assert.equal(stop.kind, 'exception');
    await client.ask('vmkd/stopCompanion');
    await client.ask('setFunctionBreakpoints', { breakpoints: [] });
    await client.continueRequest({ threadId: 1 });
    await ticksGrow(machine, limit);
  });

  void it('O2 says that a name is taken, or that there is a pipe', async (t) => {
    const { client, pipe } = await shared(t, withoutPipe);
    const other = createServer((socket) => socket.destroy());
    t.after(() => other.close());
    other.listen(pipe);
    await once(other, 'listening');
    const taken = await client.refusal('vmkd/startCompanion', { place: `unix-listen:${pipe}` });
    assert.match(taken.message, /EADDRINUSE/);
    assert.match(
      (await client.refusal('vmkd/startCompanion', { place: 'tcp:127.0.0.1:1' })).message,
      /a link that listens/,
    );
    assert.match((await client.refusal('vmkd/startCompanion', { place: 7 })).message, /damaged/);
    await openedBy(client, `${pipe}2`);
    const present = await client.refusal('vmkd/startCompanion', {});
    assert.match(present.message, /There is a companion pipe already: unix:.*pipe2/);
    assert.match((await say(client, '.kernel')).result, /This session drives/);
  });

  void it('O4 has the kernel back, without what WinDbg had in it', async (t) => {
    const { client, machine, pipe, windbg: connect } = await shared(t, withoutPipe);
    const quiet = await quietPlace(client);
    await client.ask('setFunctionBreakpoints', { breakpoints: [] });
    const codeAt = async (): Promise<string> => {
      const memoryReference = `0x${quiet.toString(16)}`;
      return (await client.ask<{ data: string }>('readMemory', { memoryReference, count: 4 })).data;
    };
    const clean = await codeAt();
    for (const standing of [true, false]) {
      await openedBy(client, pipe);
      const windbg = await connect();
      await windbg.attach(false);
      await client.ask('handOver', { to: 'windbg' });
      await windbg.request(windbg.compose(writeBreakPoint, { address: quiet }));
      assert.notEqual(await codeAt(), clean);
      const from = client.messages.length;
      if (!standing) {
        await go(windbg, decodeStateChange(windbg.stops.at(-1)!));
        await client.event('continued', from);
      }
      await client.ask('vmkd/stopCompanion');
      await windbg.until(() => windbg.ended !== undefined, 'its end', limit, false);
      assert.equal(client.isRunning, !standing);
      if (standing) await client.continueRequest({ threadId: 1 });
      await ticksGrow(machine, limit);
      const pause = await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      assert.equal(pause.reason, 'pause');
      assert.equal(await codeAt(), clean);
    }
  });
});

/** Off the place where it stands, by one instruction. */
async function stepAway(windbg: ScriptedDebugger) {
  await go(windbg, decodeStateChange(windbg.stops.at(-1)!), 1);
  return nextEvent(windbg);
}
