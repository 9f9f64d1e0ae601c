// test-limit: 300 s
/**
 * Damaged PDBs, images, cabinets and names: each is read as far as it goes, or refused with a typed error, in bounded time
 * and memory. As many as take some seconds; 200,000 and more are test/soak/hostileFiles.soak.ts.
 */

import { hostileTests } from '../fixtures/hostile/run';

hostileTests({
  'PDBs by clang': 8_000,
  'PDBs with OMAP and unwind data': 3_000,
  'PDBs by MSVC': 400,
  images: 20_000,
  cabinets: 2_000,
  names: 20_000,
});
