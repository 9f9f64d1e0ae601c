/**
 * Tests that run inside VS Code's extension host, in the newest VS Code and in the oldest that is supported. A host that was
 * killed, and a suite that has run nothing, are failures.
 */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runTests, TestRunFailedError } from '@vscode/test-electron';
import { build } from 'esbuild';
import { buildCli } from '../fixtures/cli';
import { kernelImages } from '../fixtures/liveSymbols';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';
import type { InsideResults } from './inside/run';

const program = path.resolve('build/bundles/vscode/code.mjs');
const suite = path.resolve('build/bundles/vscode/inside.cjs');

let machine: DemoMachine;
let folder: string;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'vmkd-inside-'));
  buildCli();
  await bundle('test/fixtures/vscode/shim.ts', program, 'esm', '#!/usr/bin/env node');
  chmodSync(program, 0o755);
  await bundle('test/vscode/inside/run.ts', suite, 'cjs', '');
  machine = await bootDemoKernel({ cpus: 2 });
});
after(async () => {
  await machine.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** @returns What each test came to. @throws if none was run */
async function runInside(vsCode: string, more: Record<string, string> = {}): Promise<InsideResults> {
  const results = path.join(folder, 'results.json');
  rmSync(results, { force: true });
  let failure: TestRunFailedError | undefined;
  try {
    await runTests({
      vscodeExecutablePath: program,
      extensionDevelopmentPath: path.resolve('.'),
      extensionTestsPath: suite,
      extensionTestsEnv: {
        VMKD_VSCODE: vsCode,
        VMKD_INSIDE_RESULTS: results,
        VMKD_INSIDE_LINK: machine.kdLink,
        VMKD_INSIDE_SYMBOLS: kernelImages,
        VMKD_INSIDE_SOURCES: path.resolve('test/kernel/drivers/vmkdemo'),
        ...more,
      },
    });
  } catch (thrown) {
    if (!(thrown instanceof TestRunFailedError)) throw thrown;
    failure = thrown;
  }
  return readResults(results, failure);
}

function readResults(file: string, failure: TestRunFailedError | undefined): InsideResults {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as InsideResults;
  } catch {
    throw new Error(`No test was run in VS Code: ${failure?.message ?? 'and it says that all is well'}`);
  }
}

void describe('inside VS Code', () => {
  for (const [which, variable] of [
    ['newest', 'VMKD_VSCODE'],
    ['oldest', 'VMKD_VSCODE_OLDEST'],
  ] as const) {
    void it(`the ${which} runs every test, and all pass`, async () => {
      const { passed, failed } = await runInside(process.env[variable]!);
      assert.deepEqual(failed, []);
      assert.equal(passed.length, 9);
    });
  }

  void it('a host that ends before its tests have is a failure', async () => {
    await assert.rejects(
      runInside(process.env['VMKD_VSCODE']!, { VMKD_INSIDE_DIES: '1' }),
      /No test was run in VS Code: Test run failed with code 70/,
    );
  });
});

async function bundle(entry: string, outfile: string, format: 'cjs' | 'esm', banner: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format,
    packages: 'external',
    banner: { js: banner },
  });
}
