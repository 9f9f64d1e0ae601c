// test-limit: 300 s
/**
 * A session whose machine is taken back, reset or switched off beside its back: what VS Code is shown, and what WinDbg is told
 * on the companion pipe.
 */

import assert from 'node:assert/strict';
import path from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { systemClock } from '../../src/engine/core/clock';
import { readManipulateHead } from '../../src/engine/kd/manipulate/message';
import { getVersion } from '../../src/engine/kd/manipulate/version';
import { NtStatus } from '../../src/engine/kd/ntstatus';
import { decodeStateChange } from '../../src/engine/kd/stateChange';
import { createEndpoint } from '../../src/engine/link/endpoint';
import { debugDemoKernel, type AdapterClient } from '../fixtures/adapter';
import { buildCli } from '../fixtures/cli';
import { ticksGrow } from '../fixtures/guestLife';
import { monitorsIn } from '../fixtures/monitors';
import { ScriptedDebugger } from '../fixtures/scriptedDebugger';
import { snapshotArgs, takeBack, takeSnapshot } from '../fixtures/snapshots';
import { tempFolder } from '../fixtures/tempFolder';
import { hearsTheEnd, waitAsLookerOn } from '../fixtures/windbg';

const limit = 60_000;
/** Ticks: see bridge.reverts.test.ts. */
const aWhile = 64;

before(buildCli);

async function debugging(t: TestContext, options: Record<string, unknown> = {}) {
  const folder = tempFolder(t);
  const pipe = path.join(folder, 'pipe');
  const session = await debugDemoKernel(
    { companion: `unix-listen:${pipe}`, ...options },
    { memoryMiB: 64, qemuArgs: [...snapshotArgs(folder), ...monitorsIn(folder).qemuArgs] },
  );
  const debuggers: ScriptedDebugger[] = [];
  t.after(async () => {
    for (const one of debuggers) one.close();
    await session.end();
  });
  return {
    ...session,
    /** WinDbg, which stands where VS Code does. */
    windbg: async () => {
      const endpoint = createEndpoint(`unix:${pipe}`);
      const one = new ScriptedDebugger(await endpoint.open({ waitMilliseconds: limit }), systemClock);
      debuggers.push(one);
      await one.attach(false);
      return one;
    },
  };
}

async function breakAt(client: AdapterClient, ...names: readonly string[]): Promise<bigint[]> {
  const { breakpoints } = await client.ask<P.SetFunctionBreakpointsResponse['body']>(
    'setFunctionBreakpoints',
    { breakpoints: names.map((name) => ({ name })) },
  );
  return breakpoints.map(({ instructionReference }) => BigInt(instructionReference!));
}

const goes = (client: AdapterClient): Promise<unknown> => client.continueRequest({ threadId: 1 });

void describe('a session whose machine is taken back', () => {
  void it('has its breakpoints in the kernel of then, without a pause', async (t) => {
    const { machine, client } = await debugging(t);
    await goes(client);
    await ticksGrow(machine, limit);
    await takeSnapshot(machine, 'then');
    await client.stopAfter(() => breakAt(client, 'VmkDemoFibonacci'));
    await breakAt(client);
    await goes(client);
    await ticksGrow(machine, limit, aWhile);
    await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
    const [place] = await breakAt(client, 'VmkDemoFibonacci');
    // It stands elsewhere, and is taken back to where it runs.
    const stop = await client.stopAfter(() => takeBack(machine, 'then'));
    assert.equal(stop.reason, 'function breakpoint');
    assert.match(client.output('stderr') + client.output('console'), /taken back to an earlier state/);
    const { stackFrames } = await client.ask<P.StackTraceResponse['body']>('stackTrace', {
      threadId: stop.threadId,
    });
    assert.equal(BigInt(stackFrames[0]!.instructionPointerReference!), place);
    await breakAt(client);
    await goes(client);
    await ticksGrow(machine, limit);
  });

  for (const start of ['the same', 'another'] as const)
    void it(`takes out what was in the kernel of then, and is not any more: ${start} start of it`, async (t) => {
      const { machine, client } = await debugging(t);
      const [place] = await breakAt(client, 'KeBugCheckEx');
      await goes(client);
      await ticksGrow(machine, limit);
      await takeSnapshot(machine, 'then');
      await breakAt(client);
      await ticksGrow(machine, limit, aWhile);
      if (start === 'another')
        await Promise.all([machine.reset(), client.event('module', client.messages.length)]);
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      await goes(client);
      await ticksGrow(machine, limit, aWhile);
      await takeBack(machine, 'then');
      await client.until(
        () => /taken back/.test(client.output('stderr') + client.output('console')),
        'word of it',
      );
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      const { data } = await client.ask<NonNullable<P.ReadMemoryResponse['body']>>('readMemory', {
        memoryReference: `0x${place!.toString(16)}`,
        count: 1,
      });
      assert.notEqual(Buffer.from(data!, 'base64')[0], 0xcc);
      await goes(client);
      await ticksGrow(machine, limit);
    });
});

void describe('WinDbg beside a session whose kernel goes', () => {
  void it('G1 G3 G6 is told that the target is gone, if it waits, and shown the next stop', async (t) => {
    const { machine, client, windbg: connect } = await debugging(t);
    const windbg = await connect();
    await waitAsLookerOn(windbg);
    await goes(client);
    await ticksGrow(machine, limit);
    await takeSnapshot(machine, 'then');
    // The last says good-bye by itself.
    const reboot = async (): Promise<void> => {
      const from = machine.console.lines.length;
      machine.console.command('reboot', 1).catch(() => undefined);
      await machine.console.waitFor(/^console ready$/, limit, from);
    };
    for (const happening of [() => takeBack(machine, 'then'), () => machine.reset(), reboot]) {
      await ticksGrow(machine, limit, aWhile);
      await Promise.all([happening(), hearsTheEnd(windbg, limit)]);
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      assert.equal(decodeStateChange(await windbg.nextStop(limit)).kind, 'exception');
      await waitAsLookerOn(windbg);
      await goes(client);
    }
  });

  void it('G2 G6 is refused at its stop, and told at its “g”', async (t) => {
    const { machine, client, windbg: connect } = await debugging(t);
    await goes(client);
    await ticksGrow(machine, limit);
    await takeSnapshot(machine, 'then');
    for (const happening of [() => takeBack(machine, 'then'), () => machine.reset(), () => machine.stop()]) {
      await client.stopAfter(() => client.pauseRequest({ threadId: 1 }));
      const windbg = await connect();
      const from = client.messages.length;
      const happened = happening();
      await client.until(
        () =>
          client.messages
            .slice(from)
            .some(
              ({ type, ...rest }) => type === 'event' && /continued|terminated/.test(JSON.stringify(rest)),
            ),
        'that it goes',
      );
      const reply = await windbg.request(windbg.compose(getVersion));
      assert.equal(readManipulateHead(reply).returnStatus, NtStatus.Unsuccessful);
      await waitAsLookerOn(windbg);
      await hearsTheEnd(windbg, limit);
      await happened;
      windbg.close();
    }
  });
});
