import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { asNobody, endpointFor, failsWith, freePort, limit } from '../../../test/fixtures/linkTools';
import { LinkReader } from '../../../test/fixtures/linkReader';
import { tempFolder } from '../../../test/fixtures/tempFolder';
import { createEndpoint } from './endpoint';

const atOnce = { waitMilliseconds: 0 };
const notLinux =
  process.platform === 'linux' ? false : 'not on Debian: other systems treat a full queue otherwise';
const unixOnly = process.platform === 'win32' ? 'not on Debian: Windows has no such sockets' : false;

/** A server that echoes, not one of ours. */
async function echoServer(test: TestContext, address: { path: string } | { host: string; port: number }) {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(address);
  await once(server, 'listening');
  test.after(() => server.close());
  return server;
}

async function echoes(test: TestContext, spec: string): Promise<void> {
  const link = await endpointFor(test, spec).open(limit);
  test.after(() => link.close());
  assert.equal(link.name, spec);
  const reader = new LinkReader(link);
  link.write(Buffer.from('break in'));
  assert.equal((await reader.until(8)).toString(), 'break in');
  link.close();
  assert.equal(await reader.end(), undefined);
}

test('connects to a Unix socket', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  await echoServer(t, { path });
  await echoes(t, `unix:${path}`);
  await echoes(t, path);
});

test('connects by TCP, to a name and to an address', async (t) => {
  const port = await freePort();
  await echoServer(t, { host: '127.0.0.1', port });
  await echoes(t, `tcp:127.0.0.1:${port}`);
  await echoes(t, `tcp:localhost:${port}`);
  await echoes(t, `com:ipport=${port},port=127.0.0.1`);
});

test('no pipe: link-not-found', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const error = await failsWith(
    endpointFor(t, `unix:${path}`).open(atOnce),
    'link-not-found',
    /com1 does not exist/,
  );
  assert.match(error.nextStep, /powered on/);
  await failsWith(endpointFor(t, `unix:${path}/x/com1`).open(atOnce), 'link-not-found', /ENOENT/);
});

test('no such host: link-not-found', async (t) => {
  const open = endpointFor(t, 'tcp:no-such-host.invalid:8001').open(atOnce);
  const error = await open.then(
    () => assert.fail('connected'),
    (thrown: unknown) => thrown as { code: string },
  );
  // A machine without a name server cannot say that there is no such host, only that it could not ask.
  assert.ok(['link-not-found', 'link-failed', 'link-timeout'].includes(error.code), error.code);
});

test('nobody listens: link-refused', async (t) => {
  await failsWith(
    endpointFor(t, `tcp:127.0.0.1:${await freePort()}`).open(atOnce),
    'link-refused',
    /ECONNREFUSED/,
  );
});

test('a socket whose owner is dead: link-refused', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  await abandonedSocket(path);
  await failsWith(endpointFor(t, path).open(atOnce), 'link-refused', /Nothing listens on .*ECONNREFUSED/);
});

test('a file that is no socket: link-refused', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  writeFileSync(path, '');
  await failsWith(endpointFor(t, path).open(atOnce), 'link-refused', /Nothing listens on/);
});

test('no right to the socket: link-denied, without waiting', { skip: unixOnly }, async (t) => {
  const folder = tempFolder(t);
  chmodSync(folder, 0o755);
  const path = join(folder, 'com1');
  await echoServer(t, { path });
  chmodSync(path, process.geteuid?.() === 0 ? 0o600 : 0);
  const endpoint = endpointFor(t, path);
  const started = performance.now();
  await asNobody(() => failsWith(endpoint.open(limit), 'link-denied', /EACCES/));
  assert.ok(performance.now() - started < 1000);
});

test('a path through a file, in a circle, or too long: link-bad-spec', { skip: unixOnly }, async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'circle'), join(folder, 'circle'));
  await failsWith(endpointFor(t, `${folder}/file/com1`).open(limit), 'link-bad-spec', /ENOTDIR/);
  await failsWith(endpointFor(t, `${folder}/circle`).open(limit), 'link-bad-spec', /ELOOP/);
  assert.throws(() => createEndpoint(`unix:/${'x'.repeat(200)}`), { code: 'link-bad-spec' });
});

test('a kind of link that this system lacks: link-bad-spec', () => {
  const foreign = process.platform === 'win32' ? 'unix:/tmp/com1' : 'pipe:com_1';
  assert.throws(() => createEndpoint(foreign), { code: 'link-bad-spec', message: /Windows/ });
});

test('the queue of the listener is full: link-busy, also after waiting', { skip: notLinux }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const listener = await frozenListener(t, path, 1);
  // Linux lets one more wait than the backlog says.
  for (let i = 0; i < 2; i++) {
    const link = await endpointFor(t, path).open(limit);
    t.after(() => link.close());
  }
  await failsWith(endpointFor(t, path).open(atOnce), 'link-busy', /EAGAIN/);
  await failsWith(
    endpointFor(t, path).open({ waitMilliseconds: 60 }),
    'link-busy',
    /held by another program/,
  );
  listener.kill('SIGKILL');
});

test('it never appears: link-timeout in time, with the last reason', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const started = performance.now();
  const error = await failsWith(
    endpointFor(t, path).open({ waitMilliseconds: 300 }),
    'link-timeout',
    /Waited 300 ms for .*com1. At last: .* does not exist \(ENOENT\)/,
  );
  const took = performance.now() - started;
  assert.ok(took >= 295 && took < 1500, `took ${took} ms`);
  assert.equal((error.cause as { code: string }).code, 'link-not-found');
});

test('a host that does not answer: link-timeout in time', { skip: notLinux }, async (t) => {
  // A listener whose queue is full drops what comes: as silent as a host behind a firewall.
  const port = await freePort();
  await frozenListener(t, port, 1);
  for (let i = 0; i < 2; i++) {
    const link = await endpointFor(t, `tcp:127.0.0.1:${port}`).open(limit);
    t.after(() => link.close());
  }
  const started = performance.now();
  const open = endpointFor(t, `tcp:127.0.0.1:${port}`).open({ waitMilliseconds: 200 });
  await failsWith(open, 'link-timeout', /did not answer within/);
  assert.ok(performance.now() - started < 1500);
});

for (const folderIsThere of [true, false]) {
  test(
    `a socket that appears late, its folder ${folderIsThere ? 'there' : 'missing too'}`,
    { skip: unixOnly },
    async (t) => {
      const folder = join(tempFolder(t), 'vm');
      if (folderIsThere) mkdirSync(folder);
      const path = join(folder, 'com1');
      const opening = endpointFor(t, path).open(limit);
      // Long enough for the pause between attempts to have grown.
      await new Promise((resolve) => setTimeout(resolve, 400));
      mkdirSync(folder, { recursive: true });
      const server = await echoServer(t, { path });
      const connected = once(server, 'connection');
      const started = performance.now();
      const link = await opening;
      t.after(() => link.close());
      await connected;
      // The watch sees it at once; polling takes a quarter of a second at most.
      const took = performance.now() - started;
      assert.ok(took < (folderIsThere && process.platform === 'linux' ? 100 : 600), `took ${took} ms`);
    },
  );
}

test('a port that begins to listen late', async (t) => {
  const port = await freePort();
  const opening = endpointFor(t, `tcp:127.0.0.1:${port}`).open(limit);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await echoServer(t, { host: '127.0.0.1', port });
  const link = await opening;
  link.close();
});

test(
  'the guest reboots: the link is lost, and the same endpoint opens the next one',
  { skip: unixOnly },
  async (t) => {
    const path = join(tempFolder(t), 'com1');
    const endpoint = endpointFor(t, path);
    for (let boot = 0; boot < 3; boot++) {
      const opening = endpoint.open(limit);
      const server: Server = createServer();
      const arrival = once(server, 'connection');
      server.listen({ path });
      const link = await opening;
      const reader = new LinkReader(link);
      const [socket] = (await arrival) as [Socket];
      socket.write(`boot ${boot}`);
      await reader.until(6);
      socket.destroy();
      server.close();
      const error = await reader.end();
      assert.equal(error?.code, 'link-lost');
      assert.equal(reader.bytes.toString(), `boot ${boot}`);
    }
  },
);

test('cancelled before, in mid-wait, in mid-connect, and by dispose', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const endpoint = endpointFor(t, path);
  await failsWith(endpoint.open({ ...limit, signal: AbortSignal.abort() }), 'cancelled', /was cancelled/);
  const during = new AbortController();
  const waiting = endpoint.open({ waitMilliseconds: Infinity, signal: during.signal });
  setTimeout(() => during.abort(), 50);
  await failsWith(waiting, 'cancelled', /was cancelled/);
  await echoServer(t, { path });
  const connecting = new AbortController();
  const opening = endpoint.open({ ...limit, signal: connecting.signal });
  connecting.abort();
  await failsWith(opening, 'cancelled', /was cancelled/);
  rmSync(path);
  const disposed = endpoint.open({ waitMilliseconds: Infinity });
  await endpoint.dispose();
  await failsWith(disposed, 'cancelled', /was cancelled/);
});

test('waits and links leave nothing behind', { skip: unixOnly }, async (t) => {
  const folder = tempFolder(t);
  const handles = () =>
    process.getActiveResourcesInfo().filter((kind) => /Pipe|TCP|FSEvent|Timeout/.test(kind));
  const before = handles().sort();
  await failsWith(
    endpointFor(t, join(folder, 'com1')).open({ waitMilliseconds: 50 }),
    'link-timeout',
    /Waited/,
  );
  const path = join(folder, 'com2');
  const server = await echoServer(t, { path });
  const link = await endpointFor(t, path).open(limit);
  const reader = new LinkReader(link);
  assert.notDeepEqual(handles().sort(), before);
  link.close();
  await reader.end();
  server.close();
  await once(server, 'close');
  assert.deepEqual(handles().sort(), before);
});

/** A process listens, and never accepts; it is killed after the test. */
async function frozenListener(t: TestContext, where: string | number, backlog: number) {
  const address = typeof where === 'string' ? { path: where } : { host: '127.0.0.1', port: where };
  const script = `
    const server = require('node:net').createServer();
    server.listen({ ...${JSON.stringify(address)}, backlog: ${backlog} }, () => {
      process.stdout.write('up', () => process.kill(process.pid, 'SIGSTOP'));
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return child;
}

/** A socket file whose process died without removing it. */
async function abandonedSocket(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script], { stdio: 'inherit' }), 'exit');
}
