/** Floating point of 80 bits. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeFloat, encodeExtended } from './floats';

void describe('floating point of 80 bits', () => {
  void it('is what the processor has', () => {
    const hexOf = (value: number): string => Buffer.from(encodeExtended(value)).reverse().toString('hex');
    assert.equal(hexOf(1), '3fff8000000000000000');
    assert.equal(hexOf(-2.5), 'c000a000000000000000');
    assert.equal(hexOf(Math.PI), '4000c90fdaa22168c000');
    assert.equal(hexOf(Infinity), '7fff8000000000000000');
    assert.equal(hexOf(0), '00000000000000000000');
  });

  void it('goes there and back', () => {
    for (const value of [0, -0, 1, -1, 1e300, 5e-324, Number.MAX_VALUE, Infinity, -Infinity, NaN, 0.1])
      assert.ok(Object.is(decodeFloat(encodeExtended(value)), value), String(value));
  });
});
