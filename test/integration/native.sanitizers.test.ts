/**
 * native/host under the address and undefined-behaviour sanitizers, without Node: test/fixtures/native/check.c. A look one
 * byte beyond a buffer, an overflow, a leak, or a file that is cut short in mid-copy would end it.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { nativeProgram, notBuilt } from '../fixtures/nativeHost';
import { seedFromEnvironment } from '../fixtures/random';
import { tempFolder } from '../fixtures/tempFolder';

const limit = 100_000;

const checks = {
  ranges: '200,000 lists of ranges, hostile ones too, become pieces that lie inside',
  file: 'a file is copied from, and a window writes its pages and nothing else',
  truncation: 'a file that is cut short while it is copied and written, over and over, is lost, not our end',
  strangers: 'a SIGBUS that is not of our mappings goes where it went before',
  process: 'a process is copied from and written to, and is lost when it is gone',
  watch: 'a watch sees every change, tells one at a time, and stops at once',
  refusals: 'what is no RAM file is refused',
};

describe('native/host under sanitizers', { skip: notBuilt }, () => {
  for (const [name, sentence] of Object.entries(checks)) {
    test(sentence, (t) => {
      const seed = seedFromEnvironment();
      t.diagnostic(`seed ${seed}`);
      const { status, signal, stderr } = spawnSync(
        nativeProgram('check'),
        [name, String(seed), tempFolder(t)],
        { encoding: 'utf8', timeout: limit },
      );
      assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' }, `seed ${seed}`);
    });
  }
});
