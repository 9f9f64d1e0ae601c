// Every request and capability of the debug adapter has a test over the wire, and the documents that are derived from the
// adapter are up to date.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { adapterDocuments } from '../../scripts/adapter-docs.mjs';

test('the adapter’s documents say what is there, and each request and capability has a test', async () => {
  const { documents, problems } = await adapterDocuments();
  assert.deepEqual(problems, []);
  for (const [name, text] of Object.entries(documents))
    assert.equal(
      readFileSync(name, 'utf8'),
      text,
      `${name} is out of date: run node scripts/adapter-docs.mjs`,
    );
});
