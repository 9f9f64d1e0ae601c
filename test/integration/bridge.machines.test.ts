/** Whose machine a bridge takes hold of, and when it looks for it. */

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import { Bridge } from '../fixtures/bridge';
import { buildCli } from '../fixtures/cli';
import { monitorsIn } from '../fixtures/monitors';
import { tempFolder } from '../fixtures/tempFolder';
import { attach, go, nextEvent, read, version } from '../fixtures/windbg';
import { parked, statusOf } from '../fixtures/guestLife';
import { bootDemoKernel } from '../kernel/machine';

const limit = 60_000;

before(buildCli);

void describe('a bridge', () => {
  void it('takes no machine whose link only begins like its own', async (t) => {
    const folder = tempFolder(t);
    const monitors = monitorsIn(folder);
    const machine = await bootDemoKernel({ guestModule: 'boot', qemuArgs: monitors.qemuArgs });
    t.after(() => machine.stop());
    // Its link without the last letter, and the kernel behind it all the same: nobody can tell whose it is.
    const place = machine.kdLink.replace(/^unix:/, '');
    const server = createServer((socket) => {
      const other = connect(place);
      socket.pipe(other).pipe(socket);
      for (const end of [socket, other]) end.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(place.slice(0, -1), resolve));
    t.after(() => server.close());
    const bridge = new Bridge(`unix:${place.slice(0, -1)}`, folder);
    t.after(() => bridge.end());
    await bridge.said(/the kernel runs/);
    const windbg = await bridge.debugger();
    const stop = await attach(windbg);
    const { kernelBase } = await version(windbg);
    for (const end = Date.now() + 2000; Date.now() < end;) {
      await read(windbg, kernelBase, 512);
      assert.equal(await statusOf(machine), 'running');
    }
    // Its monitor is free.
    const witness = await monitors.witness();
    witness.close();
    await go(windbg, stop);
    assert.doesNotMatch(bridge.stderr, /memory is read|mailbox|rests/);
  });

  void it('that was there before its machine finds memory and monitor when the machine has come', async (t) => {
    const folder = tempFolder(t);
    const port = path.join(folder, 'kd');
    const bridge = new Bridge(`unix:${port}`, folder);
    t.after(() => bridge.end());
    await bridge.said(/waits for/);
    const windbg = await bridge.debugger();
    windbg.breakIn();
    const machine = await bootDemoKernel({
      kd: { kind: 'unix-server', path: port },
      qemuArgs: monitorsIn(folder).qemuArgs,
      until: 'start',
    });
    t.after(() => machine.stop());
    const stop = await nextEvent(windbg);
    await bridge.said(/memory is read from/);
    await parked(machine, limit);
    await go(windbg, stop);
  });
});
