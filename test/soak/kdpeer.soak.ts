/** The demo kernel's KD stub under an independent debugger, the bad line and the shared breakpoint included. */

import { test } from 'node:test';
import { runKdpeer } from '../kernel/kdpeer/run';

for (let round = 1; round <= 3; round++) {
  test(`all of kdpeer, round ${round}`, () => runKdpeer([], 900_000, 340));
}
