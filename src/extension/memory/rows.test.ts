import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RowWindow, windowRows } from './rows';

const addresses = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const widths = fc.constantFrom(8, 16);

void describe('a window of rows', () => {
  void it('has the row that it was laid around in it, wherever that is', () => {
    fc.assert(
      fc.property(addresses, widths, (address, width) => {
        const rows = new RowWindow(width);
        const row = rows.rowOf(address);
        const place = rows.lay(row);
        assert.ok(place >= 0 && place < windowRows);
        assert.equal(rows.at(place), row);
        assert.ok(rows.addressOf(row) <= address && address < rows.addressOf(row) + BigInt(width));
      }),
    );
  });

  void it('is laid anew near its ends only, and then not at once again', () => {
    fc.assert(
      fc.property(addresses, fc.integer({ min: 0, max: windowRows - 1 }), (address, place) => {
        const rows = new RowWindow(16);
        rows.lay(rows.rowOf(address));
        const row = rows.at(place);
        if (!rows.isNearEnd(place)) return;
        assert.equal(rows.isNearEnd(rows.lay(row)), false);
      }),
    );
  });

  void it('ends where memory does', () => {
    const rows = new RowWindow(16);
    assert.equal(rows.lay(0n), 0);
    assert.equal(rows.isNearEnd(0), false);
    const last = (1n << 60n) - 1n;
    const place = rows.lay(last);
    assert.equal(rows.isNearEnd(place), false);
    assert.equal(rows.at(place + 1000), last);
  });
});
