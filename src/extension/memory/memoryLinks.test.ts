import assert from 'node:assert/strict';
import { it } from 'node:test';
import { memoryLink, readMemoryLink } from './memoryLinks';

void it('a link to memory names a session and an address, and nothing else is one', () => {
  const { pathname: path, search } = new URL(`${memoryLink('vscode', 'a-1b2')}0xfffff80312345678`);
  const read = (query: string) => readMemoryLink({ path, query });
  assert.deepEqual(read(search.slice(1)), { sessionId: 'a-1b2', address: '0xfffff80312345678' });
  for (const query of ['', 'a&', '&0x1', 'a&0x1&', 'a&poi(1)', 'a&0x11112222333344445', 'a b&0x1'])
    assert.equal(read(query), undefined, query);
  assert.equal(readMemoryLink({ path: '/other', query: 'a&0x1' }), undefined);
});
