// Every request and capability of the debug adapter has a test over the wire, and the document that says so is up to date.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { coverage } from '../../scripts/dap-coverage.mjs';

test('docs/dap-coverage.md says what is there, and each line has a test', async () => {
  const { text, problems } = await coverage();
  assert.deepEqual(problems, []);
  assert.equal(
    readFileSync('docs/dap-coverage.md', 'utf8'),
    text,
    'out of date: run node scripts/dap-coverage.mjs',
  );
});
