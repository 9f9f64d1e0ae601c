// What there is to run: the steps (types, lint, dead exports) and the suites (which test files, under which
// conditions). A new kind of test is a new row of `suites`.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from '../process.mjs';

const second = 1_000;

/** The checks that are not test files. Each counts as one test. `commands` run one after the other. */
export const steps = [
  {
    name: 'types',
    commands: [
      ['typescript/bin/tsc', '--noEmit', '--pretty', 'false'],
      ['typescript/bin/tsc', '--noEmit', '--pretty', 'false', '-p', 'src/extension/pages'],
    ],
  },
  {
    name: 'lint',
    commands: [
      ['eslint/bin/eslint.js', '.', '--max-warnings', '0'],
      [
        'prettier/bin/prettier.cjs',
        '--check',
        '--log-level',
        'warn',
        '--cache',
        '--cache-location',
        'build/cache/prettier',
        '.',
      ],
    ],
  },
  { name: 'knip', commands: [['knip/bin/knip.js', '--no-progress']] },
];

export const stepLimitMs = 240 * second;

/**
 * Suites, the first that matches a file has it.
 *
 *   lanes        how many files at a time, and no other suite beside them, unless both share; without it, beside the steps
 *                and whatever else has none
 *   shares       see lanes
 *   tools        tool sets of bootstrap
 *   kernel       the demo kernel must have been built
 *   native       native/host is built where it can be, with the programs of its tests
 *   windowsNode  VMKD_WINDOWS_NODE names a node.exe
 *   vsCode       VMKD_VSCODE is the folder of a VS Code server, VMKD_VSCODE_OLDEST of the oldest that is supported
 *   soak         only when that is asked for
 *   limitMs      for each file
 */
const suites = [
  {
    name: 'soak of VS Code',
    soak: true,
    pattern: /^test\/soak\/vscode.*\.soak\.ts$/,
    lanes: 1,
    tools: ['kernel', 'test', 'browser'],
    kernel: true,
    native: true,
    vsCode: true,
    limitMs: 3600 * second,
  },
  {
    name: 'soak',
    soak: true,
    pattern: /^test\/soak\/.*\.soak\.ts$/,
    lanes: 1,
    tools: ['kernel', 'test'],
    kernel: true,
    native: true,
    limitMs: 7200 * second,
  },
  {
    name: 'wine',
    pattern: /^test\/wine\/.*\.test\.ts$/,
    lanes: 1,
    shares: true,
    tools: ['kernel', 'wine'],
    kernel: true,
    native: true,
    windowsNode: true,
    limitMs: 300 * second,
  },
  {
    name: 'vscode',
    pattern: /^test\/vscode\/.*\.test\.ts$/,
    lanes: 1,
    tools: ['kernel', 'test', 'browser'],
    kernel: true,
    native: true,
    vsCode: true,
    limitMs: 600 * second,
  },
  {
    name: 'emacs',
    pattern: /^test\/integration\/adapter\.emacs\.test\.ts$/,
    lanes: 1,
    shares: true,
    tools: ['kernel', 'emacs'],
    kernel: true,
    limitMs: 300 * second,
  },
  {
    name: 'integration',
    // Much of what these do is waiting: two share a machine of two processors well.
    pattern: /^test\/(integration|e2e|kernel)\/.*\.test\.ts$/,
    lanes: 2,
    shares: true,
    tools: ['kernel', 'test'],
    kernel: true,
    native: true,
    limitMs: 300 * second,
  },
  {
    name: 'unit',
    pattern: /^(src|test)\/.*\.test\.(ts|mjs)$/,
    tools: [],
    limitMs: 120 * second,
  },
];

/**
 * The suites to run with their files: `{ ...suite, files }`, without empty ones.
 * `patterns`: a file is taken if its path holds any of them, or there are none.
 */
export function planFiles(files, patterns, soak) {
  const byName = new Map(suites.map((suite) => [suite.name, { ...suite, files: [] }]));
  for (const file of files) {
    const suite = suites.find((candidate) => candidate.pattern.test(file));
    if (suite !== undefined && matches(file, patterns)) byName.get(suite.name).files.push(file);
  }
  const wanted = [...byName.values()].filter((suite) => (suite.soak === true) === soak);
  return wanted.filter((suite) => suite.files.length > 0).reverse();
}

/** Whether a file or step is asked for. */
export function matches(name, patterns) {
  return patterns.length === 0 || patterns.some((pattern) => name.includes(pattern));
}

/** All files of src/ and test/, relative to the repository, `/` separators, sorted. */
export function sourceFiles() {
  const found = [];
  for (const top of ['src', 'test']) {
    let entries = [];
    try {
      entries = readdirSync(path.join(root, top), { withFileTypes: true, recursive: true });
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const file = path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name));
      found.push(file.split(path.sep).join('/'));
    }
  }
  return found.sort();
}
