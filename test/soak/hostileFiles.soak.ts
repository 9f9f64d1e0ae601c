/** The damaged files of symbols.hostile.test.ts: 210,000 PDBs, images and cabinets, and names. */

import { hostileTests } from '../fixtures/hostile/run';

hostileTests({
  'PDBs by clang': 80_000,
  'PDBs with OMAP and unwind data': 40_000,
  'PDBs by MSVC': 5_000,
  images: 60_000,
  cabinets: 25_000,
  names: 60_000,
});
