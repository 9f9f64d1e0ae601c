import assert from 'node:assert/strict';
import { it } from 'node:test';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { CodeRanges } from './codeRanges';

void it('finds what holds an address, innermost first: as by looking at all, in any order and overlap', () => {
  const random = randomFrom(seedFromEnvironment());
  console.log(`seed ${random.seed}`);
  for (let round = 0; round < 400; round++) {
    const space = 1 + random.below(60);
    const ranges = Array.from({ length: random.below(20) }, () => ({
      begin: random.below(space),
      size: random.chance(0.1) ? 0xffff_ffff : random.below(space),
    }));
    if (random.chance(0.5)) ranges.sort((a, b) => a.begin - b.begin || b.size - a.size);
    const table = new CodeRanges(
      ranges.length,
      (i) => ranges[i]!.begin,
      (i) => ranges[i]!.size,
    );
    for (let rva = 0; rva < space * 2; rva++) {
      const wanted = ranges
        .filter(({ begin, size }) => rva >= begin && rva < begin + size)
        .sort((a, b) => b.begin - a.begin || a.size - b.size);
      assert.deepEqual(
        [...table.holding(rva)].map((i) => ranges[i]),
        wanted,
      );
    }
  }
});
