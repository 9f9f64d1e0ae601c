import assert from 'node:assert/strict';
import { it } from 'node:test';
import { copiedText } from './copied';
import { PageStore, pageBytes } from './pageStore';

const page = BigInt(pageBytes);

/** Page 1 is there, page 2 cannot be read, of page 3 nothing is known. */
function known(): PageStore {
  const store = new PageStore();
  const [run] = store.wanted(1n, 2n);
  const bytes = new Uint8Array(pageBytes).fill(0x41);
  bytes.set([0x42, 0x00], pageBytes - 2);
  store.received(run!, bytes, pageBytes);
  return store;
}

void it('what is copied is bytes, or text where text is shown, and ?? only where there is nothing', () => {
  const store = known();
  const copied = (from: bigint, to: bigint, unit: Parameters<typeof copiedText>[0]['unit']) =>
    copiedText({ from, to, unit }, (at) => store.page(at / page));
  const end = 2n * page;
  assert.equal(copied(end - 4n, end, 'bytes'), '41 41 42 00');
  assert.equal(copied(end - 4n, end, 'dwords'), '41 41 42 00');
  assert.equal(copied(end - 4n, end, 'text'), 'AAB.');
  assert.equal(copied(end - 2n, end, 'utf16'), 'B');
  assert.equal(copied(end - 1n, end + 2n, 'bytes'), '00 ?? ??');
  assert.equal(copied(end - 1n, end + 1n, 'text'), '.\ufffd');
  assert.equal(copied(end, 3n * page + 1n, 'bytes'), undefined, 'it was never read');
});
