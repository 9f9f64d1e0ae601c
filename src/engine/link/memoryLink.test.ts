import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinkReader } from '../../../test/fixtures/linkReader';
import { systemClock } from '../core/clock';
import { memoryLinkPair } from './memoryLink';

const pair = () =>
  memoryLinkPair(systemClock).map((link) => new LinkReader(link)) as [LinkReader, LinkReader];

test('delivers in order, not at once, and not what the array became', async () => {
  const [a, b] = pair();
  const array = Buffer.from('one');
  a.link.write(array);
  array.write('two');
  a.link.write(array);
  assert.equal(b.bytes.length, 0);
  assert.equal(a.link.queuedBytes, 6);
  assert.equal((await b.until(6)).toString(), 'onetwo');
  assert.equal(a.link.queuedBytes, 0);
});

test('keeps bytes and the end for a late reader', async () => {
  const [a, b] = memoryLinkPair(systemClock);
  a.write(Buffer.from('early'));
  a.close();
  a.write(Buffer.from('late'));
  await new Promise(setImmediate);
  const reader = new LinkReader(b);
  assert.equal((await reader.end())?.code, 'link-lost');
  assert.equal(reader.bytes.toString(), 'early');
  const closer = new LinkReader(a);
  assert.equal(await closer.end(), undefined);
  assert.throws(() => new LinkReader(a), { code: 'internal' });
});

test('both ends end once, whoever closes', async () => {
  const [a, b] = pair();
  b.link.close();
  a.link.close();
  b.link.close();
  assert.equal(await b.end(), undefined);
  assert.equal((await a.end())?.code, 'link-lost');
  await new Promise(setImmediate);
  assert.deepEqual([a.endings, b.endings], [1, 1]);
});

test('a reader that closes within onBytes gets no more', async () => {
  const [a, b] = memoryLinkPair(systemClock);
  const seen: string[] = [];
  b.attach({
    onBytes: (chunk) => {
      seen.push(Buffer.from(chunk).toString());
      b.close();
    },
    onClosed: (error) => seen.push(error?.code ?? 'closed'),
  });
  a.write(Buffer.from('one'));
  a.write(Buffer.from('two'));
  await new LinkReader(a).end();
  await new Promise(setImmediate);
  assert.deepEqual(seen, ['one', 'closed']);
});

test('two ends that never stop talking do not starve timers', async () => {
  const [a, b] = memoryLinkPair(systemClock);
  let turns = 0;
  for (const link of [a, b]) {
    link.attach({
      onBytes: (chunk) => {
        turns++;
        link.write(chunk);
      },
      onClosed: () => {},
    });
  }
  a.write(Buffer.from('x'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  a.close();
  assert.ok(turns > 4096, `${turns} turns`);
});
