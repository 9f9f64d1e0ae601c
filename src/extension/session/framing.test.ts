import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../test/fixtures/random';
import { framed, MessageReader } from './framing';

void describe('messages on a stream', () => {
  void it('come as they were sent, in whatever pieces', (test) => {
    const random = randomFrom(seedFromEnvironment());
    test.diagnostic(`seed ${random.seed}`);
    const sent = Array.from({ length: 50 }, (_, seq) => ({
      seq,
      text: 'äß\r\n\r\n'.repeat(random.below(300)),
    }));
    const stream = Buffer.concat(sent.map(framed));
    const reader = new MessageReader();
    const got: unknown[] = [];
    for (let at = 0; at < stream.length;) {
      const end = at + 1 + random.below(2000);
      got.push(...reader.push(stream.subarray(at, end)));
      at = end;
    }
    assert.deepEqual(got, sent);
  });

  void it('may have other lines in their headers', () => {
    const reader = new MessageReader();
    assert.deepEqual(reader.push(Buffer.from('X: 1\r\ncontent-length: 2\r\nY: 2\r\n\r\n{}')), [{}]);
  });

  void it('are nothing else', () => {
    for (const text of [
      'no header at all'.repeat(300),
      'Content-Length: many\r\n\r\n',
      'Content-Length: 999999999\r\n\r\n',
      'Content-Length: 2\r\n\r\n}{',
    ])
      assert.throws(() => new MessageReader().push(Buffer.from(text)), text.slice(0, 40));
  });
});
