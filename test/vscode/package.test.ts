/** The packages that users get, for each system. What must be in them, and what not, `npm run package` itself looks at. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

test('the packages of all systems are made, and their sizes told', () => {
  const made = spawnSync(process.execPath, ['scripts/package.mjs'], { encoding: 'utf8' });
  const said = made.stderr;
  assert.equal(made.status, 0, said);
  const sizes = [...said.matchAll(/vmkd-([\w-]+?)-\d[\w.]*\.vsix (\d+) KiB of (\d+), \d+ files/g)];
  assert.deepEqual(
    sizes.map(([, target]) => target),
    ['linux-x64', 'win32-x64', 'universal'],
  );
  for (const [, target, kib, budget] of sizes)
    assert.ok(Number(kib) > 100 && Number(kib) <= Number(budget), target);
});
