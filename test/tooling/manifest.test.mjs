// The manifest of the extension (package.json) and the sources agree.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { derivedManifest } from '../../scripts/manifest.mjs';

test('the schema of launch configurations is that of the adapter', async () => {
  assert.equal(
    readFileSync('package.json', 'utf8'),
    await derivedManifest(),
    'package.json is out of date: run node scripts/manifest.mjs',
  );
});
