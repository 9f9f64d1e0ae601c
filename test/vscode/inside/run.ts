/**
 * What VS Code's extension host loads and runs as its tests: mocha, with the suites beside this file. What came of them is
 * written into the file of VMKD_INSIDE_RESULTS, too: an exit code cannot tell that nothing was run.
 */

import { writeFileSync } from 'node:fs';
import type Mocha from 'mocha';
import { kernelSuite } from './kernel';
import { manifestSuite } from './manifest';

export interface InsideResults {
  readonly passed: readonly string[];
  readonly failed: readonly { readonly title: string; readonly error: string }[];
}

export type Bdd = Pick<Mocha.MochaGlobals, 'after' | 'before' | 'describe' | 'it'>;

/** Milliseconds for one test: computers that run tests are busy. */
const limit = 120_000;

export async function run(): Promise<void> {
  if (process.env['VMKD_INSIDE_DIES'] !== undefined) process.kill(process.pid, 'SIGKILL');
  // An ES module, that a require of VS Code's does not always give as it is.
  const { default: Runner } = await import('mocha');
  const mocha = new Runner({ ui: 'bdd', color: false, timeout: limit });
  const bdd = {} as Mocha.MochaGlobals;
  mocha.suite.emit('pre-require', bdd, '', mocha);
  manifestSuite(bdd);
  kernelSuite(bdd);
  const passed: string[] = [];
  const failed: { title: string; error: string }[] = [];
  await new Promise<void>((resolve, reject) => {
    const runner = mocha.run((failures) => {
      writeFileSync(
        process.env['VMKD_INSIDE_RESULTS']!,
        JSON.stringify({ passed, failed } satisfies InsideResults),
      );
      if (failures === 0) resolve();
      else reject(new Error(`${failures} failed`));
    });
    runner.on('pass', (test) => passed.push(test.fullTitle()));
    runner.on('fail', (test, error: Error) =>
      failed.push({ title: test.fullTitle(), error: String(error.stack) }),
    );
  });
}
