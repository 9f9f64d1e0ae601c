import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { LinkReader } from '../../../test/fixtures/linkReader';
import { connectedPair, endpointFor, freePort, limit, readPair } from '../../../test/fixtures/linkTools';
import { linkError } from './osErrors';

async function endpoints(t: TestContext) {
  const port = await freePort();
  return [endpointFor(t, `tcp-listen:${port}`), endpointFor(t, `tcp:127.0.0.1:${port}`)] as const;
}

test('bytes from before attach come after it, and then the end', async (t) => {
  const [a, b] = await connectedPair(t, ...(await endpoints(t)));
  a.write(Buffer.from('early '));
  a.write(Buffer.from('bird'));
  a.close();
  // Time for all of it to arrive, and to be lost if it were read too early.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const reader = new LinkReader(b);
  assert.equal((await reader.end())?.code, 'link-lost');
  assert.equal(reader.bytes.toString(), 'early bird');
  assert.equal(reader.endings, 1);
});

test('the caller may reuse the array at once', async (t) => {
  const [a, b] = await readPair(t, ...(await endpoints(t)));
  const array = new Uint8Array(64 * 1024);
  for (let i = 0; i < 64; i++) a.link.write(array.fill(i));
  array.fill(255);
  const received = await b.until(64 * array.length);
  for (let i = 0; i < 64; i++) {
    const part = received.subarray(i * array.length, (i + 1) * array.length);
    assert.ok(part.every((byte) => byte === i));
  }
});

test('a reader that is slow to attach pushes back: queuedBytes grows, and nothing is lost', async (t) => {
  const [a, b] = await connectedPair(t, ...(await endpoints(t)));
  const sent = randomBytes(16 * 1024 * 1024);
  for (let i = 0; i < sent.length; i += 1 << 20) a.write(sent.subarray(i, i + (1 << 20)));
  assert.ok(a.queuedBytes > 1 << 20, `${a.queuedBytes} bytes queued`);
  const reader = new LinkReader(b);
  assert.ok((await reader.until(sent.length, 20_000)).equals(sent));
  assert.equal(a.queuedBytes, 0);
});

test('both ends write much at once', async (t) => {
  const readers = await readPair(t, ...(await endpoints(t)));
  const sent = randomBytes(4 * 1024 * 1024);
  for (const { link } of readers) link.write(sent);
  for (const reader of readers) assert.ok((await reader.until(sent.length)).equals(sent));
});

test('close: what was written before still goes out, onClosed comes once, later writes are swallowed', async (t) => {
  const [a, b] = await readPair(t, ...(await endpoints(t)));
  const sent = randomBytes(8 * 1024 * 1024);
  a.link.write(sent);
  assert.ok(a.link.queuedBytes > 0);
  a.link.close();
  a.link.close();
  a.link.write(Buffer.from('too late'));
  assert.equal(a.ended, undefined, 'onClosed never comes from within close');
  assert.equal(await a.end(), undefined);
  assert.equal((await b.end())?.code, 'link-lost');
  assert.ok(b.bytes.equals(sent));
  a.link.write(Buffer.from('too late'));
  a.link.close();
  assert.equal(a.link.queuedBytes, 0);
  assert.deepEqual([a.endings, b.endings], [1, 1]);
});

test('close does not wait for ever for a peer that reads nothing', async (t) => {
  const [a] = await connectedPair(t, ...(await endpoints(t)));
  const reader = new LinkReader(a);
  a.write(randomBytes(16 * 1024 * 1024));
  const started = performance.now();
  a.close();
  assert.equal(await reader.end(), undefined);
  assert.ok(performance.now() - started < 2000);
});

test('attach after the end tells the end; a second attach is a defect', async (t) => {
  const [a, b] = await connectedPair(t, ...(await endpoints(t)));
  a.close();
  await new LinkReader(b).end();
  const reader = new LinkReader(a);
  assert.equal(reader.ended, undefined);
  assert.equal(await reader.end(), undefined);
  assert.throws(() => new LinkReader(a), { code: 'internal' });
});

async function rawPeer(t: TestContext, allowHalfOpen: boolean) {
  const server = createServer({ allowHalfOpen });
  server.listen({ host: '127.0.0.1', port: await freePort() });
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const [link, [socket]] = await Promise.all([
    endpointFor(t, `tcp:127.0.0.1:${port}`).open(limit),
    once(server, 'connection') as Promise<[Socket]>,
  ]);
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  return { reader: new LinkReader(link), socket };
}

test('a peer that closes its half has closed the link', async (t) => {
  const { reader, socket } = await rawPeer(t, true);
  socket.end('last words');
  assert.equal((await reader.end())?.code, 'link-lost');
  assert.equal(reader.bytes.toString(), 'last words');
});

test('a connection reset: link-lost with its reason', async (t) => {
  const { reader, socket } = await rawPeer(t, false);
  socket.resetAndDestroy();
  const error = await reader.end();
  assert.equal(error?.code, 'link-lost');
  assert.match(error.message, /closed by its other end \(ECONNRESET\)/);
});

test('writing to a peer that is gone: link-lost, no unhandled error', async (t) => {
  const { reader, socket } = await rawPeer(t, false);
  socket.destroy();
  await once(socket, 'close');
  for (let i = 0; i < 100 && reader.ended === undefined; i++) {
    reader.link.write(Buffer.alloc(1024));
    await new Promise(setImmediate);
  }
  assert.equal((await reader.end())?.code, 'link-lost');
});

test('what a link says in words is kept: name and the system’s reason', () => {
  const failed = linkError('tcp:h:1', 'use', Object.assign(new Error('read EIO'), { code: 'EIO' }));
  assert.deepEqual([failed.code, failed.message], ['link-failed', 'tcp:h:1 failed: read EIO.']);
  // Windows' codes that no Unix system gives.
  assert.equal(linkError('pipe:x', 'connect', { code: 'EBUSY' }).code, 'link-busy');
  assert.equal(linkError('pipe:x', 'connect', { code: 'EPERM' }).code, 'link-denied');
  assert.equal(linkError('pipe:x', 'use', { code: 'EOF' }).code, 'link-lost');
  assert.equal(linkError('pipe:x', 'connect', 'no error at all').code, 'link-failed');
});

test('a client that leaves before it is accepted does no harm', async (t) => {
  const port = await freePort();
  const listener = endpointFor(t, `tcp-listen:${port}`);
  const opening = listener.open(limit);
  await new Promise(setImmediate);
  const hasty = connect({ host: '127.0.0.1', port });
  hasty.on('error', () => {});
  hasty.on('connect', () => hasty.resetAndDestroy());
  const reader = new LinkReader(await opening);
  assert.equal((await reader.end())?.code, 'link-lost');
});
