/** Ranges as what debug registers can watch. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { virtualAddress } from '../../core/addresses';
import { watchPieces } from './watchPieces';

const sizes = (address: bigint, size: number): string | undefined =>
  watchPieces(virtualAddress(address), size)
    ?.map((piece) => `${piece.address.toString(16)}:${piece.size}`)
    .join(' ');

void describe('what debug registers can watch', () => {
  void it('is one aligned piece, or several side by side', () => {
    assert.equal(sizes(0x1000n, 8), '1000:8');
    assert.equal(sizes(0x1002n, 2), '1002:2');
    assert.equal(sizes(0x1000n, 16), '1000:8 1008:8');
    assert.equal(sizes(0x1005n, 5), '1005:1 1006:2 1008:2');
    assert.equal(sizes(0x1001n, 8), '1001:1 1002:2 1004:4 1008:1');
    assert.equal(sizes(0x1000n, 32), '1000:8 1008:8 1010:8 1018:8');
  });

  void it('is no more than there are registers, and no nonsense', () => {
    for (const [address, size] of [
      [0x1000n, 33],
      [0x1001n, 16],
      [0x1000n, 0],
      [0x1000n, -8],
      [0x1000n, NaN],
      [0x1000n, 1e300],
    ] as const)
      assert.equal(sizes(address, size), undefined, String(size));
  });
});
