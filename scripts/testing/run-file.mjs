// Runs one test file in a process of its own and says what came of it.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from '../process.mjs';
import { fileResults } from './results.mjs';

const reporter = new URL('./reporter.mjs', import.meta.url).href;

/** Folders in use. An interrupt ends this process in the middle of a wait, without any `finally`. */
const folders = new Set();
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Each test file may give itself another limit by a comment: `// test-limit: 600 s`. */
const ownLimit = /^\/\/ test-limit: (\d+) s$/m;

/** A file whose matter is what processors do at the same time: `// test-processors: at once`. */
const processorsAtOnce = /^\/\/ test-processors: at once$/m;

/**
 * @param file the test file as people know it
 * @param runnable what Node runs: the file itself or its bundle
 * @returns its results, see results.mjs
 */
export async function runFile(file, runnable, limitMs, env) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vmkd-test-'));
  folders.add(folder);
  const report = path.join(folder, 'report.ndjson');
  try {
    const ended = await run(
      process.execPath,
      [
        '--enable-source-maps',
        `--test-reporter=${reporter}`,
        `--test-reporter-destination=${report}`,
        runnable,
      ],
      { limitMs, env },
    );
    return fileResults(file, readIfThere(report), ended, limitMs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}

/** The limit that the source asks for, in ms, or the one given. */
export function limitOf(source, otherwiseMs) {
  const match = ownLimit.exec(source);
  return match === null ? otherwiseMs : Number(match[1]) * 1_000;
}

/** How guests share the host with other tests: `in turn`, unless the source asks for `at once`. See test/kernel/machine.ts. */
export function guestsOf(source) {
  return processorsAtOnce.test(source) ? 'at once' : 'in turn';
}

/** A process that could not even start leaves no report. */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}
