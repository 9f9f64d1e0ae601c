/** The debug console under a kernel that talks much and a client that listens slowly. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { Connection } from './connection';
import { guestText, Output } from './output';

interface Message {
  readonly event: string;
  readonly body: { readonly category: string; readonly output: string };
}

/** A client that reads from the stream when it is told to. */
function client() {
  const stream = new PassThrough({ highWaterMark: 64 * 1024 });
  const connection = new Connection(
    new PassThrough(),
    stream,
    () => undefined,
    () => undefined,
  );
  const output = new Output(connection);
  let raw = '';
  stream.pause();
  stream.on('data', (chunk: Buffer) => (raw += chunk.toString()));
  return {
    output,
    stream,
    /** Whether what came last holds a text. */
    ended: (text: string): boolean => raw.slice(-1000).includes(text),
    messages: (): Message[] =>
      raw
        .split(/Content-Length: \d+\r\n\r\n/)
        .filter((json) => json !== '')
        .map((json) => JSON.parse(json) as Message),
  };
}

void describe('output', () => {
  void it('of one turn is one event for each category, in order', async () => {
    const { output, stream, messages } = client();
    output.write('stdout', 'a');
    output.write('stdout', 'b\n');
    output.write('console', 'c\n');
    output.write('stdout', 'd\n');
    stream.resume();
    while (messages().length < 3) await once(stream, 'data');
    assert.deepEqual(
      messages().map(({ body }) => [body.category, body.output]),
      [
        ['stdout', 'ab\n'],
        ['console', 'c\n'],
        ['stdout', 'd\n'],
      ],
    );
  });

  void it('loses nothing when the client does not read, and keeps little of it in memory', async () => {
    const { output, stream, messages, ended } = client();
    let written = '';
    const total = 200_000;
    for (let i = 0; i < total; i++) {
      const line = `line ${i} of a kernel that talks and talks and talks and talks and talks\n`;
      written += line;
      output.write(i % 5000 === 4999 ? 'console' : 'stdout', line);
      if (i % 1000 === 0) await new Promise<void>((resolve) => setImmediate(() => resolve()));
    }
    stream.resume();
    while (!ended(`line ${total - 1} of`)) await once(stream, 'data');
    const all = messages();
    assert.equal(all.map(({ body }) => body.output).join(''), written);
    assert.ok(all.every(({ body }) => body.output.length <= 32 * 1024 && body.output.endsWith('\n')));
    assert.equal(all.filter(({ body }) => body.category === 'console').length, total / 5000);
    output.close();
  });

  void it('shows the control characters of a guest', () => {
    assert.equal(guestText('a\tb\r\n\x1b[31mred\x07'), 'a\tb\n\\x1b[31mred\\x07');
  });
});
