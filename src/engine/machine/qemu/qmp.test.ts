/** The QMP client and peers that are slow, hostile or gone. What a QEMU says is in test/integration/machines.test.ts. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { VmkdError } from '../../core/errors';
import { connectQmp, type Qmp, type QmpAddress, type QmpEvent } from './qmp';

const greeting = '{"QMP":{"version":{},"capabilities":[]}}\r\n';

interface Command {
  readonly execute: string;
  readonly id: number;
}

/** A monitor that answers each command as `answer` says. */
async function monitor(
  t: TestContext,
  answer: (command: Command, socket: net.Socket) => void,
  hello = greeting,
): Promise<QmpAddress> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write(hello);
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString();
      const lines = text.split('\n');
      text = lines.pop()!;
      for (const line of lines) answer(JSON.parse(line) as Command, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
}

const reply = (socket: net.Socket, message: object): boolean => socket.write(`${JSON.stringify(message)}\n`);
const failsWith =
  (code: string, words = /./) =>
  (error: unknown) =>
    error instanceof VmkdError && error.code === code && words.test(error.message);

async function connected(
  t: TestContext,
  answer: (command: Command, socket: net.Socket) => void,
): Promise<Qmp> {
  const address = await monitor(t, (command, socket) => {
    if (command.execute === 'qmp_capabilities') reply(socket, { return: {}, id: command.id });
    else answer(command, socket);
  });
  const qmp = await connectQmp(address);
  t.after(() => qmp.close());
  return qmp;
}

test('answers find their commands, in whatever order and pieces they come', async (t) => {
  const held: Command[] = [];
  const qmp = await connected(t, (command, socket) => {
    held.push(command);
    if (held.length < 3) return;
    const lines = held.reverse().map(({ id, execute }) => `${JSON.stringify({ return: execute, id })}\r\n`);
    // One byte at a time, with a character of several bytes in between.
    const bytes = Buffer.from(`{"event":"SÖME","data":{"a":1}}\n\n${lines.join('')}`);
    for (const byte of bytes) socket.write(Uint8Array.of(byte));
  });
  const events: QmpEvent[] = [];
  qmp.onEvent.add((event) => events.push(event));
  assert.deepEqual(await Promise.all(['a', 'b', 'c'].map((name) => qmp.execute(name))), ['a', 'b', 'c']);
  assert.deepEqual(events, [{ name: 'SÖME', data: { a: 1 } }]);
});

test('a refusal is QEMU’s own words', async (t) => {
  const qmp = await connected(t, ({ id, execute }, socket) =>
    reply(
      socket,
      execute === 'a' ? { error: { class: 'GenericError', desc: 'not today' }, id } : { error: 5, id },
    ),
  );
  await assert.rejects(qmp.execute('a'), failsWith('machine-control-refused', /refused a: not today/));
  await assert.rejects(qmp.execute('b'), failsWith('machine-control-refused', /no reason/));
});

test('a command that is never answered fails after its limit, and the late answer is nobody’s', async (t) => {
  let late: (() => void) | undefined;
  const qmp = await connected(t, ({ id, execute }, socket) => {
    if (execute === 'slow') late = () => reply(socket, { return: 'late', id });
    else {
      late?.();
      reply(socket, { return: 'now', id });
    }
  });
  await assert.rejects(
    qmp.execute('slow', {}, 50),
    failsWith('machine-control-timeout', /slow within 0.05 s/),
  );
  assert.equal(await qmp.execute('quick'), 'now');
});

test('whoever is under way when the peer goes fails; so does who comes later', async (t) => {
  const qmp = await connected(t, (_, socket) => socket.destroy());
  const ends: string[] = [];
  qmp.onEnd.add(({ code }) => ends.push(code));
  await assert.rejects(Promise.all([qmp.execute('a'), qmp.execute('b')]), failsWith('machine-monitor-lost'));
  await assert.rejects(qmp.execute('c'), failsWith('machine-monitor-lost'));
  assert.deepEqual(ends, ['machine-monitor-lost']);
});

test('a peer that says nothing is a monitor that somebody else has', async (t) => {
  const address = await monitor(t, () => undefined, '');
  await assert.rejects(connectQmp(address, { milliseconds: 100 }), failsWith('machine-monitor-busy'));
});

test('a peer that is none', async (t) => {
  const address = await monitor(t, () => undefined, 'SSH-2.0-OpenSSH_9.2\r\n');
  await assert.rejects(connectQmp(address), failsWith('machine-monitor-lost', /no QMP/));
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as net.AddressInfo;
  await new Promise((resolve) => taken.close(resolve));
  await assert.rejects(
    connectQmp({ host: '127.0.0.1', port }),
    failsWith('machine-no-control', /ECONNREFUSED/),
  );
});

test('a line without an end is not kept for ever', async (t) => {
  const qmp = await connected(t, (_, socket) => {
    const part = Buffer.alloc(1 << 20, 'x');
    for (let i = 0; i < 20; i++) socket.write(part);
  });
  await assert.rejects(qmp.execute('a', {}, 60_000), failsWith('machine-monitor-lost', /a line of over/));
});

test('random messages end the connection or are ignored; nothing else happens', async (t) => {
  const seed = seedFromEnvironment();
  const random = randomFrom(seed);
  const pieces = [
    '{',
    '}',
    '"id"',
    ':',
    '2',
    ',',
    '"return"',
    '[]',
    '"event"',
    '"STOP"',
    'null',
    '"error"',
    '\n',
    '"desc"',
    'x',
    '\\',
    '"QMP"',
    '{}',
  ];
  for (let round = 0; round < 100; round++) {
    const text = Array.from({ length: random.below(200) }, () => random.pick(pieces)).join('');
    const qmp = await connected(t, (_, socket) => socket.end(`${text}\n`));
    const outcome = await qmp.execute('a').then(
      () => 'answered',
      (error: unknown) => (error instanceof VmkdError ? error.code : String(error)),
    );
    assert.match(
      outcome,
      /^(?:answered|machine-monitor-lost|machine-control-refused)$/,
      `seed ${seed}, round ${round}: ${text}`,
    );
    qmp.close();
  }
});
