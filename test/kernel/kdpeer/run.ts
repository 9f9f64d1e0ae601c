/** Runs the second opinion (kdpeer.mjs) for a test: in a process of its own, since it shares nothing with the product. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';

/** What kdpeer.mjs gets as its arguments, and when it is ended. Fails with its output when a check failed. */
export async function runKdpeer(
  args: readonly string[],
  limitMs: number,
  leastChecks: number,
): Promise<void> {
  const [failure, output] = await new Promise<[Error | null, string]>((resolve) => {
    // The runner's working directory is the repository.
    execFile(
      process.execPath,
      ['test/kernel/kdpeer/kdpeer.mjs', ...args],
      { timeout: limitMs, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => resolve([error, `${stdout}${stderr}`]),
    );
  });
  if (failure !== null) assert.fail(`kdpeer (limit ${limitMs / 1000} s): ${failure.message}\n${output}`);
  const [, passed, failed] = /^(\d+) passed, (\d+) failed\n$/m.exec(output) ?? assert.fail(output);
  assert.equal(Number(failed), 0, output);
  assert.ok(Number(passed) >= leastChecks, `only ${passed} checks, not ${leastChecks}:\n${output}`);
}
