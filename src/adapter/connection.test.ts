/** Messages on their way to a client: their order, and what the end of a stream means. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { Connection } from './connection';

const frame = (message: object): string => {
  const json = JSON.stringify(message);
  return `Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`;
};

function connected() {
  const input = new PassThrough();
  const output = new PassThrough();
  const requests: string[] = [];
  let closed = 0;
  let raw = '';
  output.on('data', (chunk: Buffer) => (raw += chunk.toString()));
  const connection = new Connection(
    input,
    output,
    ({ command }) => requests.push(command),
    () => closed++,
  );
  return {
    input,
    connection,
    requests,
    closings: () => closed,
    sent: () =>
      raw
        .split(/Content-Length: \d+\r\n\r\n/)
        .slice(1)
        .map((json) => JSON.parse(json) as { type: string; event?: string; command?: string })
        .map(({ event, command }) => event ?? command),
  };
}

const request = { seq: 1, type: 'request' as const, command: 'next' };

void describe('a connection', () => {
  void it('keeps events behind the response that they are held for, in order', async () => {
    const { connection, sent } = connected();
    connection.send('before');
    const first = connection.holdEvents();
    const second = connection.holdEvents();
    connection.send('continued');
    first();
    first();
    connection.send('stopped');
    connection.respond(request, { success: true });
    second();
    connection.send('after');
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.deepEqual(sent(), ['before', 'next', 'continued', 'stopped', 'after']);
  });

  void it('takes requests in pieces, and leaves nonsense alone', async () => {
    const { input, requests } = connected();
    const text = frame({ ...request, command: 'grüße' }) + frame(request);
    for (const byte of Buffer.from(text)) input.write(Buffer.from([byte]));
    input.write('Content-Length: 9\r\n\r\nnonsense!');
    input.write(frame({ type: 'response', request_seq: 3 }));
    input.write(frame(request));
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.deepEqual(requests, ['grüße', 'next', 'next']);
  });

  void it('tells once that the client has gone, and says no more to it', async () => {
    const { input, connection, closings, sent } = connected();
    input.end();
    await once(input, 'close');
    connection.send('late');
    connection.respond(request, { success: true });
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.equal(closings(), 1);
    assert.deepEqual(sent(), []);
  });
});
