// The layer rule complains about what it must, through the real ESLint configuration, and about nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { importComplaint, roomOf, rooms } from '../../scripts/layers.mjs';
import { root } from '../../scripts/process.mjs';

// The sources below are no files, so rules that need types are off; all else is the project's configuration.
const eslint = new ESLint({
  cwd: root,
  overrideConfig: [
    tseslint.configs.disableTypeChecked,
    { files: ['**/*.ts'], languageOptions: { parserOptions: { projectService: false } } },
  ],
});

async function complaints(filePath, source) {
  const [{ messages }] = await eslint.lintText(source, { filePath });
  return messages.map(({ ruleId, message }) => `${ruleId ?? 'parser'}: ${message}`);
}

const violations = [
  [
    'src/engine/core/a.ts',
    "import '../kd/framing';",
    'vmkd/layers: src/engine/core may not import src/engine/kd',
  ],
  ['src/engine/kd/a.ts', "export * from '../link/link';", 'src/engine/kd may not import src/engine/link'],
  ['src/engine/kd/a.ts', "export { x } from '../../cli/main';", 'src/engine/kd may not import src/cli'],
  ['src/engine/kd/deep/a.ts', "await import('../../machine/vm');", 'may not import src/engine/machine'],
  ['src/engine/kd/a.ts', "export type T = import('../target/t').T;", 'may not import src/engine/target'],
  ['src/engine/kd/a.ts', "import t = require('../target/t'); t();", 'may not import src/engine/target'],
  ['src/engine/kd/a.ts', "require('../target/t');", 'may not import src/engine/target'],
  ['src/engine/kd/a.ts', "import '../target';", 'may not import src/engine/target'],
  ['src/engine/companion/a.ts', "import '../memory/cache';", 'may not import src/engine/memory'],
  [
    'src/engine/core/a.ts',
    "import 'vscode';",
    "Only src/extension may import 'vscode', src/engine/core may not",
  ],
  ['src/adapter/a.ts', "import 'vscode';", "Only src/extension may import 'vscode'"],
  ['src/cli/a.ts', "import '../adapter/session';", 'src/cli may not import src/adapter'],
  ['src/extension/a.ts', "import '../engine/kd/framing';", 'src/extension may not import src/engine/kd'],
  ['src/cli/a.ts', "import '../../test/bench/bench';", 'lies outside src/'],
  ['src/cli/a.test.ts', "import '../../scripts/x';", 'lies outside src/'],
  ['src/engine/a.ts', '', 'stands in no room'],
  ['src/other/a.ts', '', 'stands in no room'],
  ['src/engine/core/a.ts', "console.log('x');", 'no-console'],
  ['src/engine/core/a.ts', 'process.exit(1);', 'no-restricted-properties'],
];

for (const [file, source, expected] of violations) {
  test(`${file}: ${source || '(empty)'} is an error`, async () => {
    const found = await complaints(file, source);
    assert.ok(
      found.some((complaint) => complaint.includes(expected)),
      `expected '${expected}' in ${JSON.stringify(found)}`,
    );
  });
}

const allowed = [
  ['src/engine/kd/a.ts', "import '../core/errors';"],
  ['src/engine/kd/manipulate/a.ts', "import '../framing';"],
  ['src/engine/link/a.ts', "import '../kd/framing'; import 'node:net';"],
  ['src/engine/target/a.ts', "import '../windows/modules';"],
  ['src/engine/kd/a.test.ts', "import '../../../test/fixtures/x';"],
  ['src/cli/a.ts', "import '../engine/kd/framing'; console.log(process.exitCode);"],
  ['src/extension/a.ts', "import 'vscode'; import '../engine/machine/vmx';"],
  ['test/integration/a.test.ts', "import '../../src/cli/main'; import '../../src/engine/kd/framing';"],
];

for (const [file, source] of allowed) {
  test(`${file}: ${source} is fine`, async () => {
    assert.deepEqual(await complaints(file, source), []);
  });
}

test('every room knows only rooms that exist, and none knows itself', () => {
  for (const [room, known] of Object.entries(rooms)) {
    for (const other of known) assert.ok(Object.hasOwn(rooms, other) && other !== room, `${room} → ${other}`);
  }
});

test('the table has no cycle: some order builds every room after the rooms it knows', () => {
  const built = new Set();
  const names = Object.keys(rooms);
  for (let before = -1; before !== built.size;) {
    before = built.size;
    for (const name of names) if (rooms[name].every((known) => built.has(known))) built.add(name);
  }
  assert.deepEqual([...built].sort(), names.sort());
});

test('roomOf tells outside from roomless', () => {
  assert.equal(roomOf('test/kernel/build.mjs'), undefined);
  assert.equal(roomOf('src/engine/core/errors.ts'), 'engine/core');
  assert.equal(roomOf('src/engine/core'), null);
  assert.equal(roomOf('src/main.ts'), null);
  assert.equal(roomOf('src/toString/x.ts'), null);
});

test('a path that climbs out of src/ and back in is judged by where it ends', () => {
  assert.match(
    importComplaint('src/cli/a.ts', '../../src/adapter/session') ?? '',
    /may not import src\/adapter/,
  );
  assert.equal(importComplaint('src/cli/a.ts', '../../src/engine/kd/framing'), undefined);
});
