import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pageBytes, PageStore } from './pageStore';

const filled = (pages: number, value: number): Uint8Array => new Uint8Array(pages * pageBytes).fill(value);

void describe('pages of memory', () => {
  void it('are asked for once, in runs', () => {
    const store = new PageStore();
    assert.deepEqual(store.wanted(10n, 12n), [{ page: 10n, count: 3 }]);
    assert.deepEqual(store.wanted(9n, 13n), [
      { page: 9n, count: 1 },
      { page: 13n, count: 1 },
    ]);
    store.received({ page: 10n, count: 3 }, filled(3, 1), 0);
    assert.deepEqual(store.wanted(10n, 12n), []);
    assert.equal(store.page(11n)?.bytes?.[5], 1);
    assert.equal(store.wanted(100n, 131n).length, 2);
  });

  void it('that are absent are known as such; of what nobody has spoken of, nothing is known', () => {
    const store = new PageStore();
    const [run] = store.wanted(0n, 3n);
    store.received(run!, filled(1, 7), 2 * pageBytes);
    assert.equal(store.page(0n)?.bytes?.[0], 7);
    assert.equal(store.page(1n)?.bytes, undefined);
    assert.ok(store.page(2n));
    assert.equal(store.page(3n), undefined);
    assert.deepEqual(store.wanted(0n, 3n), [{ page: 3n, count: 1 }]);
  });

  void it('are compared with the stop before, not with what was there before a write', () => {
    const store = new PageStore();
    store.renew(1);
    const read = (value: number): void => store.received(store.wanted(5n, 5n)[0]!, filled(1, value), 0);
    const changed = (): boolean => store.hasChanged(store.page(5n)!, 0);
    read(1);
    assert.equal(changed(), false);
    store.renew(2);
    assert.equal(changed(), false, 'nothing is known of this stop yet');
    read(2);
    assert.equal(changed(), true);
    store.renew(2);
    read(3);
    assert.equal(changed(), true);
    store.renew(2);
    read(1);
    assert.equal(changed(), false);
  });

  void it('that were asked for before a stop are old when they come', () => {
    const store = new PageStore();
    store.renew(1);
    const [run] = store.wanted(5n, 5n);
    store.renew(2);
    store.received(run!, filled(1, 9), 0);
    assert.equal(store.page(5n), undefined);
    assert.deepEqual(store.wanted(5n, 5n), [{ page: 5n, count: 1 }]);
    store.refused({ page: 5n, count: 1 });
    assert.deepEqual(store.wanted(5n, 5n), [{ page: 5n, count: 1 }]);
  });

  void it('are not kept without end', () => {
    const store = new PageStore();
    for (let page = 0n; page < 6000n; page += 16n)
      for (const run of store.wanted(page, page + 15n)) store.received(run, filled(run.count, 1), 0);
    assert.equal(store.page(0n), undefined);
    assert.ok(store.page(5999n));
  });
});
