import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasChanged, pageBytes, PageStore } from './pageStore';

const filled = (pages: number, value: number): Uint8Array => new Uint8Array(pages * pageBytes).fill(value);
const places = (runs: readonly { page: bigint; count: number }[]) =>
  runs.map(({ page, count }) => ({ page, count }));

void describe('pages of memory', () => {
  void it('are asked for once, in runs', () => {
    const store = new PageStore();
    const runs = store.wanted(10n, 12n);
    assert.deepEqual(places(runs), [{ page: 10n, count: 3 }]);
    assert.deepEqual(places(store.wanted(9n, 13n)), [
      { page: 9n, count: 1 },
      { page: 13n, count: 1 },
    ]);
    store.received(runs[0]!, filled(3, 1), 0);
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
    assert.deepEqual(places(store.wanted(0n, 3n)), [{ page: 3n, count: 1 }]);
  });

  void it('are compared with what they were when the kernel last ran on, not with what was there before a write', () => {
    const store = new PageStore();
    const read = (value: number): void => {
      store.renew();
      store.received(store.wanted(5n, 5n)[0]!, filled(1, value), 0);
    };
    const changed = (): boolean => hasChanged(store.page(5n)!, 0, 1);
    read(1);
    assert.equal(changed(), false);
    store.depart();
    store.renew();
    assert.equal(changed(), false, 'nothing is known of this stop yet');
    read(2);
    assert.equal(changed(), true);
    read(3);
    assert.equal(changed(), true);
    read(1);
    assert.equal(changed(), false);
    read(4);
    store.depart();
    assert.equal(changed(), false, 'it runs, and has changed nothing yet');
    read(5);
    assert.equal(changed(), true, 'seen while it runs');
    store.renew();
    assert.equal(changed(), true, 'it stands, and the page was not read again yet');
  });

  void it('that were not read in a stop are compared with an earlier one', () => {
    const store = new PageStore();
    store.received(store.wanted(5n, 5n)[0]!, filled(1, 1), 0);
    for (let stop = 0; stop < 3; stop++) {
      store.depart();
      store.renew();
    }
    store.received(store.wanted(5n, 5n)[0]!, filled(1, 2), 0);
    assert.equal(hasChanged(store.page(5n)!, 0, 1), true);
  });

  void it('that were asked for before a stop are old when they come, also if they were asked for again', () => {
    const store = new PageStore();
    const [old] = store.wanted(5n, 5n);
    store.renew();
    store.received(old!, filled(1, 9), 0);
    assert.equal(store.page(5n), undefined);
    const [run] = store.wanted(5n, 5n);
    store.received(old!, filled(1, 9), 0);
    assert.equal(store.page(5n), undefined);
    assert.equal(store.refused(old!), false);
    assert.deepEqual(store.wanted(5n, 5n), [], 'it is asked for');
    assert.equal(store.refused(run!), true);
    assert.equal(store.wanted(5n, 5n).length, 1);
  });

  void it('are not kept without end', () => {
    const store = new PageStore();
    for (let page = 0n; page < 6000n; page += 16n)
      for (const run of store.wanted(page, page + 15n)) store.received(run, filled(run.count, 1), 0);
    assert.equal(store.page(0n), undefined);
    assert.ok(store.page(5999n));
  });
});
