/** Links over real Windows named pipes: runs linksInWindows.ts in Windows' Node under Wine, one test for each scenario. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Wine } from '../fixtures/wine';
import { scenarios } from './linksInWindows';

interface Result {
  readonly name: string;
  readonly error?: string;
}

const wine = await Wine.start();
const skip = typeof wine === 'string' ? wine : false;

describe('in Windows', { skip }, () => {
  const results = new Map<string, Result>();
  let output = '';

  const folder = mkdtempSync(join(tmpdir(), 'vmkd-'));

  before(async () => {
    if (typeof wine === 'string') return;
    output = await wine.runNode('test/wine/linksInWindows.ts', folder, 200_000);
    const file = join(folder, 'results.ndjson');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    for (const line of lines) {
      const result = JSON.parse(line) as Result;
      results.set(result.name, result);
    }
  });

  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    if (typeof wine !== 'string') await wine.close();
  });

  for (const name of Object.keys(scenarios)) {
    test(name, () => {
      const result = results.get(name);
      assert.ok(result !== undefined, `it did not come to this; output: ${output}`);
      assert.equal(result.error, undefined);
    });
  }
});
