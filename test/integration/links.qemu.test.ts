/**
 * Links to serial ports of a real QEMU, which is where VMware's habits can be had here: one client at a time, either
 * end of the connection, the port gone with the machine. The machine stays paused: no guest is needed.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { VmkdError } from '../../src/engine/core/errors';
import type { ByteLink, LinkEndpoint } from '../../src/engine/link/link';
import { LinkReader } from '../fixtures/linkReader';
import { endpointFor, failsWith, freePort } from '../fixtures/linkTools';
import { tempFolder } from '../fixtures/tempFolder';

const limit = { waitMilliseconds: 20_000 };

/** A paused machine with these serial ports. It is ended after the test, or by `powerOff`. */
function startMachine(t: TestContext, ...ports: string[]): { powerOff(): Promise<void> } {
  const serial = ports.flatMap((port, i) => [
    '-chardev',
    `${port},id=port${i}`,
    '-serial',
    `chardev:port${i}`,
  ]);
  const args = [
    '-M',
    'pc',
    '-m',
    '16',
    '-display',
    'none',
    '-monitor',
    'none',
    '-nodefaults',
    '-S',
    ...serial,
  ];
  const child = spawn('qemu-system-x86_64', args, { stdio: 'inherit' });
  const exited = once(child, 'exit');
  const powerOff = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  t.after(powerOff);
  return { powerOff };
}

async function open(t: TestContext, endpoint: LinkEndpoint): Promise<LinkReader> {
  const link = await endpoint.open(limit);
  t.after(() => link.close());
  return new LinkReader(link);
}

/** QEMU lets a client in when its main loop comes round to it; so the answer is asked for until it is the one awaited. */
async function diagnosis(endpoint: LinkEndpoint, link: ByteLink, awaited: string | undefined): Promise<void> {
  const deadline = performance.now() + 5000;
  let found: VmkdError | undefined;
  do {
    found = await endpoint.diagnoseSilence?.(link);
    if (found?.code === awaited) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  } while (performance.now() < deadline);
  assert.fail(`after 5 s the diagnosis is ${found?.code}, awaited ${awaited}`);
}

async function secondDebugger(t: TestContext, spec: string, port: string): Promise<void> {
  startMachine(t, port);
  const endpoints = [1, 2, 3].map(() => endpointFor(t, spec)) as [LinkEndpoint, LinkEndpoint, LinkEndpoint];
  const first = await open(t, endpoints[0]);
  await diagnosis(endpoints[0], first.link, undefined);
  const second = await open(t, endpoints[1]);
  await diagnosis(endpoints[1], second.link, 'target-second-debugger');
  assert.equal(await endpoints[0].diagnoseSilence?.(first.link), undefined, 'the first one has the port');
  const error = await endpoints[1].diagnoseSilence?.(second.link);
  assert.match(error?.message ?? '', /one client in at a time/);
  assert.equal(await endpoints[2].diagnoseSilence?.(second.link), undefined, 'another endpoint’s link');

  first.link.close();
  await diagnosis(endpoints[1], second.link, undefined);
  const third = await open(t, endpoints[2]);
  await diagnosis(endpoints[2], third.link, 'target-second-debugger');
  assert.equal(
    await endpoints[1].diagnoseSilence?.(second.link),
    undefined,
    'the second one has the port now',
  );
}

test('a second debugger on a Unix socket is told so, the first is not', async (t) => {
  const path = join(tempFolder(t), 'com1');
  await secondDebugger(t, `unix:${path}`, `socket,path=${path},server=on,wait=off`);
});

test('a second debugger on a TCP port is told so, the first is not', async (t) => {
  const port = await freePort();
  await secondDebugger(t, `tcp:127.0.0.1:${port}`, `socket,host=127.0.0.1,port=${port},server=on,wait=off`);
});

test('QEMU’s queue holds two: the next debugger finds the port busy', async (t) => {
  const path = join(tempFolder(t), 'com1');
  startMachine(t, `socket,path=${path},server=on,wait=off`);
  const holder = endpointFor(t, path);
  await diagnosis(holder, (await open(t, holder)).link, undefined);
  for (let i = 0; i < 2; i++) {
    const waiting = endpointFor(t, path);
    await diagnosis(waiting, (await open(t, waiting)).link, 'target-second-debugger');
  }
  await failsWith(endpointFor(t, path).open({ waitMilliseconds: 0 }), 'link-busy', /EAGAIN/);
});

test('the machine is switched on late, off, and on again: one endpoint follows', async (t) => {
  const path = join(tempFolder(t), 'com1');
  const endpoint = endpointFor(t, `unix:${path}`);
  await failsWith(endpoint.open({ waitMilliseconds: 0 }), 'link-not-found', /ENOENT/);
  for (let boot = 0; boot < 2; boot++) {
    const opening = open(t, endpoint);
    const machine = startMachine(t, `socket,path=${path},server=on,wait=off`);
    const reader = await opening;
    // QEMU ends the connection only of a client that it has let in.
    await diagnosis(endpoint, reader.link, undefined);
    await machine.powerOff();
    assert.equal((await reader.end())?.code, 'link-lost');
  }
});

for (const kind of ['unix', 'tcp'] as const) {
  test(`the machine is the client (${kind}): it is let in, sees us go, and comes back`, async (t) => {
    const path = join(tempFolder(t), 'com1');
    const port = await freePort();
    const endpoint = endpointFor(t, kind === 'unix' ? `unix-listen:${path}` : `tcp-listen:${port}`);
    const address = kind === 'unix' ? `path=${path}` : `host=127.0.0.1,port=${port}`;
    const opening = open(t, endpoint);
    const machine = startMachine(t, `socket,${address},server=off,reconnect=1`);
    const first = await opening;
    first.link.close();
    assert.equal(await first.end(), undefined);
    const second = await open(t, endpoint);
    await machine.powerOff();
    assert.equal((await second.end())?.code, 'link-lost');
  });
}
