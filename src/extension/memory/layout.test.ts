import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layoutFor } from './layout';
import { units, type Unit } from './units';

void describe('rows of memory', () => {
  void it('have as many units as there is room for', () => {
    assert.equal(layoutFor('bytes', 200).perRow, 16);
    assert.equal(layoutFor('bytes', 87).perRow, 16);
    assert.equal(layoutFor('bytes', 86).perRow, 8);
    assert.equal(layoutFor('bytes', 0).perRow, 1);
    assert.equal(layoutFor('text', 60).perRow, 32);
  });

  void it('lie in one page each', () => {
    for (const unit of Object.keys(units) as Unit[])
      for (let columns = 0; columns < 200; columns += 7)
        assert.equal(4096 % layoutFor(unit, columns).rowBytes, 0, unit);
  });
});
