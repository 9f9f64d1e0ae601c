import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { LinkReader } from '../../../test/fixtures/linkReader';
import {
  asNobody,
  endpointFor,
  failsWith,
  freePort,
  limit,
  readPair,
} from '../../../test/fixtures/linkTools';
import { ManualClock } from '../../../test/fixtures/manualClock';
import { tempFolder } from '../../../test/fixtures/tempFolder';
import type { Clock } from '../core/clock';
import type { OpenOptions } from './link';
import { ListeningEndpoint } from './listening';

const atOnce = { waitMilliseconds: 0 };
const unixOnly = process.platform === 'win32' ? 'not on Debian: Windows has no such sockets' : false;

async function converse(a: LinkReader, b: LinkReader): Promise<void> {
  a.link.write(Buffer.from('to b'));
  b.link.write(Buffer.from('to a'));
  assert.equal((await a.until(4)).toString(), 'to a');
  assert.equal((await b.until(4)).toString(), 'to b');
}

test('a Unix socket: both ends talk, one closes, the other sees it', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const [a, b] = await readPair(t, endpointFor(t, `unix-listen:${path}`), endpointFor(t, path));
  await converse(a, b);
  b.link.close();
  assert.equal(await b.end(), undefined);
  assert.equal((await a.end())?.code, 'link-lost');
});

for (const host of ['127.0.0.1', '[::1]', 'localhost']) {
  test(`TCP on ${host}`, async (t) => {
    const port = await freePort();
    const [a, b] = await readPair(
      t,
      endpointFor(t, `tcp-listen:${host}:${port}`),
      endpointFor(t, `tcp:${host}:${port}`),
    );
    await converse(a, b);
  });
}

test(
  'the socket file is its user’s alone, and goes at dispose; open links live on',
  { skip: unixOnly },
  async (t) => {
    const path = join(tempFolder(t), 'com1');
    const listener = endpointFor(t, `unix-listen:${path}`);
    const mask = process.umask(0o022);
    t.after(() => process.umask(mask));
    const [a, b] = await readPair(t, listener, endpointFor(t, path));
    assert.equal(process.umask(0o022), 0o022, 'the mask is put back');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await asNobody(async () => {
      if (process.geteuid?.() === 65534)
        await failsWith(endpointFor(t, path).open(atOnce), 'link-denied', /EACCES/);
    });
    await listener.dispose();
    assert.ok(!existsSync(path));
    await converse(a, b);
    await failsWith(listener.open(atOnce), 'cancelled', /cancelled/);
    await failsWith(endpointFor(t, path).open(atOnce), 'link-not-found', /ENOENT/);
  },
);

test('a second client is closed while the first lives', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const listener = endpointFor(t, `unix-listen:${path}`);
  const [a, b] = await readPair(t, listener, endpointFor(t, path));
  const next = listener.open(limit);
  const second = new LinkReader(await endpointFor(t, path).open(limit));
  assert.equal((await second.end())?.code, 'link-lost');
  await converse(a, b);
  b.link.close();
  const third = await endpointFor(t, path).open(limit);
  await converse(new LinkReader(await next), new LinkReader(third));
  third.close();
});

test('a client that comes back at once is let in, however often', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const listener = endpointFor(t, `unix-listen:${path}`);
  for (let boot = 0; boot < 50; boot++) {
    const opening = listener.open(limit);
    if (boot === 0) while (!existsSync(path)) await new Promise(setImmediate);
    const guest = connect({ path });
    guest.on('error', () => {});
    guest.write('b');
    const reader = new LinkReader(await opening);
    await reader.until(1);
    // Gone, and there again in the same moment.
    guest.destroy();
    const again = connect({ path });
    let refused = false;
    again.on('error', () => {}).on('close', () => (refused = true));
    assert.equal((await reader.end())?.code, 'link-lost');
    const second = new LinkReader(await listener.open(limit));
    again.write('c');
    await second.until(1);
    assert.ok(!refused);
    again.destroy();
    await second.end();
  }
});

/** An end that says “no” to a second client, and listens already. */
async function refusing(
  t: TestContext,
  clock?: Clock,
  patience: OpenOptions = { waitMilliseconds: Infinity },
) {
  const path = join(tempFolder(t), 'pipe');
  const listener = new ListeningEndpoint(path, { kind: 'unix-listen', path }, clock, {
    refusal: Buffer.from('no'),
  });
  t.after(() => listener.dispose());
  const opening = listener.open(patience);
  while (!existsSync(path)) await new Promise(setImmediate);
  return { path, listener, opening };
}

test(
  'a client that is not read cannot be seen to be gone: the next one is not refused yet',
  {
    skip: unixOnly,
  },
  async (t) => {
    const clock = new ManualClock();
    const { path, listener, opening } = await refusing(t, clock);
    const first = connect({ path });
    const link = await opening;
    first.destroy();
    const second = connect({ path });
    second.on('error', () => {});
    while (clock.pending === 0) await new Promise(setImmediate);
    for (let i = 0; i < 3; i++) {
      clock.fire(1000);
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      assert.ok(!second.closed && second.bytesRead === 0);
    }
    const reader = new LinkReader(link);
    await reader.end();
    const next = new LinkReader(await listener.open({ waitMilliseconds: Infinity }));
    second.write('c');
    await next.until(1);
    second.destroy();
    await next.end();
  },
);

test(
  'who comes third is let in when those before it are gone, whenever that is seen',
  { skip: unixOnly },
  async (t) => {
    const { path, listener, ...first } = await refusing(t, undefined, limit);
    let { opening } = first;
    let last = connect({ path });
    for (let i = 0; i < 50; i++) {
      const link = await opening;
      // It is not read until the others are there.
      const second = connect({ path });
      await once(second, 'connect');
      second.destroy();
      const third = connect({ path });
      await once(third, 'connect');
      last.destroy();
      await new LinkReader(link).end();
      const gone = new LinkReader(await listener.open(limit));
      await gone.end();
      opening = listener.open(limit);
      last = third;
    }
    last.write('c');
    await new LinkReader(await opening).until(1);
    last.destroy();
  },
);

test('a client that is not read keeps nobody waiting for ever', { skip: unixOnly }, async (t) => {
  const clock = new ManualClock();
  const { path, opening } = await refusing(t, clock);
  const first = connect({ path });
  const link = await opening;
  const second = connect({ path });
  const refused = once(second, 'data') as Promise<[Buffer]>;
  while (clock.pending === 0) await new Promise(setImmediate);
  clock.fire(60_000);
  assert.equal((await refused)[0].toString(), 'no');
  clock.fire();
  link.close();
  first.destroy();
  second.destroy();
});

test(
  'a client that comes before open is kept with what it said, one that has gone again too',
  { skip: unixOnly },
  async (t) => {
    const path = join(tempFolder(t), 'com1');
    const listener = endpointFor(t, `unix-listen:${path}`);
    await failsWith(listener.open(atOnce), 'link-timeout', /Nobody connected/);
    const guest = connect({ path });
    await once(guest, 'connect');
    guest.end('hello');
    await once(guest, 'finish');
    const reader = new LinkReader(await listener.open(limit));
    assert.equal((await reader.end())?.code, 'link-lost');
    assert.equal(reader.bytes.toString(), 'hello');
  },
);

test('nobody comes: link-timeout; the wait can be cancelled', async (t) => {
  const listener = endpointFor(t, `tcp-listen:${await freePort()}`);
  await failsWith(listener.open({ waitMilliseconds: 50 }), 'link-timeout', /Nobody connected to tcp-listen/);
  const abort = new AbortController();
  const waiting = listener.open({ waitMilliseconds: Infinity, signal: abort.signal });
  setImmediate(() => abort.abort());
  await failsWith(waiting, 'cancelled', /cancelled/);
  await failsWith(listener.open({ ...limit, signal: AbortSignal.abort() }), 'cancelled', /cancelled/);
  const disposed = listener.open({ waitMilliseconds: Infinity });
  setImmediate(() => void listener.dispose());
  await failsWith(disposed, 'cancelled', /cancelled/);
});

test('disposed of while it starts: nothing stays', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const listener = endpointFor(t, `unix-listen:${path}`);
  const opening = failsWith(listener.open(limit), 'cancelled', /cancelled/);
  await listener.dispose();
  await opening;
  assert.ok(!existsSync(path));
});

test('the name is taken: link-in-use', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const other = createServer((socket) => socket.destroy());
  other.listen({ path });
  await once(other, 'listening');
  t.after(() => other.close());
  await failsWith(
    endpointFor(t, `unix-listen:${path}`).open(limit),
    'link-in-use',
    /listens on .*EADDRINUSE/,
  );
  assert.ok(existsSync(path));
  const port = await freePort();
  const first = endpointFor(t, `tcp-listen:${port}`);
  await failsWith(first.open(atOnce), 'link-timeout', /Nobody/);
  await failsWith(endpointFor(t, `tcp-listen:${port}`).open(limit), 'link-in-use', /EADDRINUSE/);
});

test('a file that is no socket stays as it is: link-in-use', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'notes.txt');
  writeFileSync(path, 'precious');
  const error = await failsWith(
    endpointFor(t, `unix-listen:${path}`).open(limit),
    'link-in-use',
    /no socket/,
  );
  assert.match(error.nextStep, /another name/);
  assert.equal(readFileSync(path, 'utf8'), 'precious');
});

test('a socket file whose owner died is replaced', { skip: unixOnly }, async (t) => {
  const path = join(tempFolder(t), 'com1');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script]), 'exit');
  assert.ok(existsSync(path));
  await converse(...(await readPair(t, endpointFor(t, `unix-listen:${path}`), endpointFor(t, path))));
});

test(
  'two who start at the same moment: one listens, the other says link-in-use',
  { skip: unixOnly },
  async (t) => {
    const path = join(tempFolder(t), 'com1');
    const outcomes = await Promise.all(
      [1, 2].map((n) =>
        endpointFor(t, `unix-listen:${path}`)
          .open({ waitMilliseconds: n })
          .catch((error: unknown) => (error as { code: string }).code),
      ),
    );
    assert.deepEqual(outcomes.sort(), ['link-in-use', 'link-timeout']);
  },
);

test('no right to the folder: link-denied; no folder: link-failed', { skip: unixOnly }, async (t) => {
  const folder = tempFolder(t);
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'closed'), { mode: 0o500 });
  const listener = endpointFor(t, `unix-listen:${folder}/closed/com1`);
  await asNobody(() => failsWith(listener.open(limit), 'link-denied', /EACCES/));
  await failsWith(
    endpointFor(t, `unix-listen:${folder}/none/com1`).open(limit),
    'link-failed',
    /folder .*com1/,
  );
  writeFileSync(join(folder, 'file'), '');
  await failsWith(endpointFor(t, `unix-listen:${folder}/file/com1`).open(limit), 'link-bad-spec', /ENOTDIR/);
});

test('a listener that failed can try again', { skip: unixOnly }, async (t) => {
  const folder = join(tempFolder(t), 'later');
  const listener = endpointFor(t, `unix-listen:${folder}/com1`);
  await failsWith(listener.open(atOnce), 'link-failed', /./);
  mkdirSync(folder);
  await converse(...(await readPair(t, listener, endpointFor(t, `${folder}/com1`))));
});
