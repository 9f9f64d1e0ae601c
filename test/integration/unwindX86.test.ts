// test-limit: 400 s
/**
 * The x86 unwinder at every instruction that a machine does: code by clang, built in several ways, its own frame programs
 * out of the PDB, assembly code without any, a trap, a task gate. What the stack must be is known from counting calls.
 *
 * Not judged: code that starts the machine or enters a trap, and _chkstk, which moves its own return address.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { bundleFixture } from '../fixtures/bundleFixture';
import { tempFolder } from '../fixtures/tempFolder';
import type { Walked } from '../fixtures/x86/everyInstruction';

const builds: Readonly<Record<string, readonly string[]>> = {
  'without frame pointers': ['-O2', '-fomit-frame-pointer'],
  'small, without frame pointers': ['-Oz', '-fomit-frame-pointer'],
  'with frame pointers': ['-O2', '-fno-omit-frame-pointer'],
  'not optimized': ['-O0'],
};

let script: string;
before(async () => {
  script = await bundleFixture('x86/everyInstruction');
});

void describe('unwinding x86 code by clang at every instruction', () => {
  const methods = new Set<string>();
  for (const [name, options] of Object.entries(builds)) {
    void it(name, async (t) => {
      const args = ['--enable-source-maps', script, tempFolder(t), ...options];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const walked = JSON.parse(stdout) as Walked;
      for (const method of Object.keys(walked.methods)) methods.add(method);
      const counts = Object.entries(walked.methods).map(([method, count]) => `${count} ${method}`);
      t.diagnostic(
        `${walked.walks} stacks, up to ${walked.deepest} calls deep; frames: ${counts.join(', ')}`,
      );
      assert.ok(walked.walks > 4000 && walked.deepest > 7);
    });
  }
  after(() => assert.deepEqual([...methods].sort(), ['code', 'ebp', 'frame-data', 'trap', 'tss']));
});
