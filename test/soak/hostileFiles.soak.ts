/** The damaged files of symbols.hostile.test.ts, more than 200,000 of them. */

import { hostileTests } from '../fixtures/hostile/run';

hostileTests({
  'PDBs by clang': 120_000,
  'PDBs with OMAP and unwind data': 60_000,
  'PDBs by MSVC': 10_000,
  images: 80_000,
  cabinets: 40_000,
  names: 100_000,
});
