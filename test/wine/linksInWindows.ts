/**
 * What a link over a Windows named pipe must do; runs in Windows' Node (links.test.ts starts it there).
 *
 * Not here, for Wine 8 cannot: a second listener of one name (it lets both listen, Windows refuses the second), and
 * a pipe that we may not open.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { VmkdError } from '../../src/engine/core/errors';
import { createEndpoint } from '../../src/engine/link/endpoint';
import type { ByteLink, LinkEndpoint } from '../../src/engine/link/link';
import { LinkReader } from '../fixtures/linkReader';
import { runScenarios, type Scenarios } from './scenarios';

const limit = { waitMilliseconds: 5000 };
const atOnce = { waitMilliseconds: 0 };

let names = 0;
const pipeName = () => `vmkd-test-${process.pid}-${++names}`;
const toEnd: (() => unknown)[] = [];

function endpoint(spec: string): LinkEndpoint {
  const made = createEndpoint(spec);
  toEnd.push(() => made.dispose());
  return made;
}

async function open(from: LinkEndpoint): Promise<LinkReader> {
  return new LinkReader(await opened(from));
}

async function opened(from: LinkEndpoint): Promise<ByteLink> {
  const link = await from.open(limit);
  toEnd.push(() => link.close());
  return link;
}

async function pair(name = pipeName()) {
  const [listener, connector] = [endpoint(`pipe-listen:${name}`), endpoint(`pipe:${name}`)];
  const [a, b] = await Promise.all([open(listener), open(connector)]);
  return { name, listener, connector, a, b };
}

async function fails(promise: Promise<unknown>, code: string, sentence: RegExp): Promise<void> {
  const error = await promise.then(
    () => assert.fail(`succeeded; awaited ${code}`),
    (thrown: unknown) => thrown as VmkdError,
  );
  assert.equal(error.code, code, error.message);
  assert.match(error.message, sentence);
}

async function converse(a: LinkReader, b: LinkReader): Promise<void> {
  a.link.write(Buffer.from('to b'));
  b.link.write(Buffer.from('to a'));
  assert.equal((await a.until(4)).toString(), 'to a');
  assert.equal((await b.until(4)).toString(), 'to b');
}

/** A pipe of one instance, in another thread that does not look at it until `release`, as a hung or taken port. */
async function lonelyPipe(name: string) {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const script = `
    const { workerData, parentPort } = require('node:worker_threads');
    const server = require('node:net').createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => socket.write(bytes));
    });
    server.listen(workerData.path, () => {
      parentPort.postMessage('up');
      setImmediate(() => Atomics.wait(workerData.gate, 0, 0, 10000));
    });`;
  const worker = new Worker(script, {
    eval: true,
    workerData: { path: `\\\\.\\pipe\\${name}`, gate },
    env: { ...process.env, NODE_PENDING_PIPE_INSTANCES: '1' },
  });
  toEnd.push(() => worker.terminate());
  await once(worker, 'message');
  return {
    release() {
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
    },
  };
}

export const scenarios: Scenarios = {
  'this is Windows': async () => {
    assert.equal(process.platform, 'win32');
  },
  'both ends talk, one closes, the other sees it': async () => {
    const { a, b } = await pair();
    await converse(a, b);
    b.link.close();
    assert.equal(await b.end(), undefined);
    assert.equal((await a.end())?.code, 'link-lost');
    assert.deepEqual([a.endings, b.endings], [1, 1]);
  },
  'every way to write the name is the same pipe': async () => {
    const name = pipeName();
    const listener = endpoint(`pipe-listen:\\\\.\\pipe\\${name}`);
    for (const spec of [
      `pipe:${name}`,
      `\\\\.\\pipe\\${name}`,
      `com:pipe,port=\\\\.\\pipe\\${name},resets=0,reconnect`,
    ]) {
      const [a, b] = await Promise.all([open(listener), open(endpoint(spec))]);
      assert.equal(b.link.name, spec);
      await converse(a, b);
      b.link.close();
      await a.end();
    }
  },
  'no pipe: link-not-found': async () => {
    await fails(endpoint(`pipe:${pipeName()}`).open(atOnce), 'link-not-found', /does not exist \(ENOENT\)/);
  },
  'it never appears: link-timeout in time': async () => {
    const started = performance.now();
    await fails(
      endpoint(`pipe:${pipeName()}`).open({ waitMilliseconds: 300 }),
      'link-timeout',
      /At last: .*ENOENT/,
    );
    const took = performance.now() - started;
    assert.ok(took >= 290 && took < 2000, `took ${took} ms`);
  },
  'the wait can be cancelled': async () => {
    const abort = new AbortController();
    const waiting = endpoint(`pipe:${pipeName()}`).open({ waitMilliseconds: Infinity, signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await fails(waiting, 'cancelled', /cancelled/);
  },
  'the pipe is taken: link-busy, at once and after waiting': async () => {
    const name = pipeName();
    const pipe = await lonelyPipe(name);
    await opened(endpoint(`pipe:${name}`));
    const started = performance.now();
    await fails(endpoint(`pipe:${name}`).open(atOnce), 'link-busy', /held by another program \(EBUSY\)/);
    assert.ok(performance.now() - started < 2000);
    await fails(
      endpoint(`pipe:${name}`).open({ waitMilliseconds: 400 }),
      'link-busy',
      /held by another program/,
    );
    pipe.release();
  },
  'a taken pipe that comes free within the wait': async () => {
    const name = pipeName();
    const pipe = await lonelyPipe(name);
    const first = await opened(endpoint(`pipe:${name}`));
    const opening = open(endpoint(`pipe:${name}`));
    setTimeout(() => pipe.release(), 300);
    const second = await opening;
    second.link.write(Buffer.from('echo'));
    assert.equal((await second.until(4)).toString(), 'echo');
    first.close();
  },
  'a pipe that appears late': async () => {
    const name = pipeName();
    const opening = open(endpoint(`pipe:${name}`));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const [a, b] = await Promise.all([open(endpoint(`pipe-listen:${name}`)), opening]);
    await converse(a, b);
  },
  'power-off and on, three times: link-lost, and the same endpoint opens the next one': async () => {
    const name = pipeName();
    const guest = endpoint(`pipe:${name}`);
    for (let boot = 0; boot < 3; boot++) {
      const opening = open(guest);
      const server = createServer();
      const arrival = once(server, 'connection') as Promise<[Socket]>;
      server.listen(`\\\\.\\pipe\\${name}`);
      const [reader, [socket]] = await Promise.all([opening, arrival]);
      socket.on('error', () => {});
      socket.write(`boot ${boot}`);
      await reader.until(6);
      socket.destroy();
      server.close();
      assert.equal((await reader.end())?.code, 'link-lost');
    }
  },
  'the client goes and comes back: the listener follows': async () => {
    const { listener, connector, a, b } = await pair();
    await converse(a, b);
    for (let i = 0; i < 5; i++) {
      b.link.close();
      await a.end();
      const [again, other] = await Promise.all([open(listener), open(connector)]);
      await converse(again, other);
      other.link.close();
      await again.end();
    }
  },
  'a second client is closed while the first lives': async () => {
    const { connector, a, b } = await pair();
    const second = await open(connector);
    assert.equal((await second.end())?.code, 'link-lost');
    await converse(a, b);
  },
  'nobody comes: link-timeout': async () => {
    await fails(
      endpoint(`pipe-listen:${pipeName()}`).open({ waitMilliseconds: 50 }),
      'link-timeout',
      /Nobody connected/,
    );
  },
  'dispose removes the name, open links live on': async () => {
    const { listener, connector, name, a, b } = await pair();
    await listener.dispose();
    await converse(a, b);
    a.link.close();
    await b.end();
    await fails(connector.open(atOnce), 'link-not-found', /ENOENT/);
    await fails(listener.open(atOnce), 'cancelled', /cancelled/);
    const again = await pair(name);
    await converse(again.a, again.b);
  },
  'bytes from before attach, and the end, come after it': async () => {
    const name = pipeName();
    const [a, b] = await Promise.all([
      opened(endpoint(`pipe-listen:${name}`)),
      opened(endpoint(`pipe:${name}`)),
    ]);
    a.write(Buffer.from('early '));
    a.write(Buffer.from('bird'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const reader = new LinkReader(b);
    assert.equal((await reader.until(10)).toString(), 'early bird');
    a.close();
    assert.equal((await reader.end())?.code, 'link-lost');
  },
  'much both ways; the caller reuses the array at once': async () => {
    const { a, b } = await pair();
    const array = new Uint8Array(64 * 1024);
    for (let i = 0; i < 32; i++) {
      a.link.write(array.fill(i));
      b.link.write(array.fill(255 - i));
    }
    array.fill(77);
    const [atA, atB] = await Promise.all([a.until(32 * array.length), b.until(32 * array.length)]);
    for (let i = 0; i < 32; i++) {
      const part = (of: Buffer) => of.subarray(i * array.length, (i + 1) * array.length);
      assert.ok(part(atB).every((byte) => byte === i) && part(atA).every((byte) => byte === 255 - i));
    }
    // The news that a write is complete comes after its bytes have.
    const deadline = performance.now() + 2000;
    while (a.link.queuedBytes + b.link.queuedBytes > 0 && performance.now() < deadline) {
      await new Promise(setImmediate);
    }
    assert.deepEqual([a.link.queuedBytes, b.link.queuedBytes], [0, 0]);
  },
  'what was written before close still goes out': async () => {
    const { a, b } = await pair();
    a.link.write(Buffer.from('last words'));
    a.link.close();
    assert.equal(await a.end(), undefined);
    assert.equal((await b.end())?.code, 'link-lost');
    assert.equal(b.bytes.toString(), 'last words');
  },
  'writes to a peer that is gone are swallowed, and the link is lost': async () => {
    const { a, b } = await pair();
    b.link.close();
    for (let i = 0; i < 200 && a.ended === undefined; i++) {
      a.link.write(Buffer.alloc(1024));
      await new Promise(setImmediate);
    }
    assert.equal((await a.end())?.code, 'link-lost');
    a.link.write(Buffer.from('late'));
    a.link.close();
  },
  'no Unix sockets here: link-bad-spec': async () => {
    assert.throws(() => createEndpoint('unix:/tmp/com1'), { code: 'link-bad-spec', message: /Windows/ });
  },
  'TCP too: both ends, and nobody there': async () => {
    const probe = createServer();
    probe.listen({ host: '127.0.0.1', port: 0 });
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    probe.close();
    await once(probe, 'close');
    const [a, b] = await Promise.all([
      open(endpoint(`tcp-listen:${port}`)),
      open(endpoint(`tcp:127.0.0.1:${port}`)),
    ]);
    await converse(a, b);
    a.link.close();
    assert.equal((await b.end())?.code, 'link-lost');
    const stranger = connect({ host: '127.0.0.1', port });
    stranger.on('error', () => {});
    stranger.destroy();
  },
};

await runScenarios(scenarios, async () => {
  for (const end of toEnd.splice(0)) await end();
});
