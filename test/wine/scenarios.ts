/**
 * Scenarios that run in Windows' Node under Wine, one test for each. A file of scenarios gives them to `runScenarios`, which
 * runs them where it is started with `run`; its test file gives the same to `testInWindows`, which starts it there.
 *
 *   test (Linux) ── Wine ──▶ scenarios (Windows) ── a JSON line each ──▶ results.ndjson ──▶ test
 */

import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Wine } from '../fixtures/wine';

export type Scenarios = Readonly<Record<string, () => Promise<void>>>;

interface Result {
  readonly name: string;
  readonly error?: string;
}

/**
 * Declares a test for each scenario.
 * @param entry The file whose scenarios they are. @param wine Or why there is none.
 * @param prepare Puts into the folder where they run what they need.
 */
export function testInWindows(
  wine: Wine | string,
  entry: string,
  scenarios: Scenarios,
  prepare: (folder: string) => void = () => undefined,
): void {
  describe('in Windows', { skip: typeof wine === 'string' ? wine : false }, () => {
    const results = new Map<string, Result>();
    let output = '';

    const folder = mkdtempSync(join(tmpdir(), 'vmkd-'));

    before(async () => {
      if (typeof wine === 'string') return;
      prepare(folder);
      output = await wine.runNode(entry, folder, 200_000);
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
}

/**
 * Runs them one after the other, if this is the process for that. One that hangs is told so, and the next one runs.
 * @param cleanUp After each. @returns when this process may end
 */
export async function runScenarios(scenarios: Scenarios, cleanUp: () => Promise<void>): Promise<void> {
  if (process.argv[2] !== 'run') return;
  for (const [name, scenario] of Object.entries(scenarios)) {
    const started = performance.now();
    let error: string | undefined;
    try {
      await Promise.race([
        scenario(),
        new Promise((_resolve, reject) => {
          setTimeout(() => reject(new Error('took over 20 s')), 20_000).unref();
        }),
      ]);
    } catch (thrown) {
      error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    }
    await cleanUp();
    appendFileSync(
      'results.ndjson',
      `${JSON.stringify({ name, error, millis: performance.now() - started })}\n`,
    );
  }
  // A thread of Windows that waits for a busy pipe would keep us for up to 30 s.
  process.exit(0);
}
