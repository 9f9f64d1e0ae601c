// Every row of the rules in docs/companion.md has a test that is named after it, and no test names a row that is not there.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const folders = ['src/engine/companion', 'test/integration'];

/** `it('H1 H3 the terminal takes …'` names H1 and H3. */
function namedRows() {
  const named = new Set();
  for (const folder of folders) {
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.test.ts'))) {
      const text = readFileSync(path.join(folder, file), 'utf8');
      for (const [, rows] of text.matchAll(/\bit\(\s*['`]((?:[A-Z]\d )+)/g))
        for (const row of rows.trim().split(' ')) named.add(row);
    }
  }
  return named;
}

test('every row of the companion’s rules has a test that is named after it', () => {
  const rules = readFileSync('docs/companion.md', 'utf8');
  const rows = [...rules.matchAll(/^\| ([A-Z]\d) \|/gm)].map(([, row]) => row);
  assert.ok(rows.length > 30);
  assert.equal(new Set(rows).size, rows.length, 'a row stands twice');
  const named = namedRows();
  assert.deepEqual(
    rows.filter((row) => !named.has(row)),
    [],
    'rows without a test',
  );
  assert.deepEqual(
    [...named].filter((row) => !rows.includes(row)),
    [],
    'tests of rows that are not there',
  );
});
