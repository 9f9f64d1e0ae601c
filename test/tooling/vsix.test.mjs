// What a package of the extension may have in it, and what not. The packages themselves are looked at when they are made.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
  budgetsKib,
  contentProblems,
  expectedNames,
  nativeFile,
  packageProblems,
  packedDocument,
} from '../../scripts/vsix.mjs';

const programs = ['adapter.js', 'extension.cjs', 'vmkd.js', 'iced_x86_bg.wasm'].map(
  (name) => `extension/dist/${name}`,
);

function problemsOf({ target = 'linux-x64', add = [], remove = [], kib = 1, expect = [] } = {}) {
  const native = target === 'universal' ? [] : [`extension/${nativeFile(target)}`];
  const expected = [...programs, ...native, ...expect];
  const names = [...expected.filter((name) => !remove.includes(name)), ...add];
  return packageProblems({ target, names, expected, kib }).join('\n');
}

test('a package is right if it has what it must, and nothing else', () => {
  for (const target of Object.keys(budgetsKib)) assert.equal(problemsOf({ target }), '');
  assert.match(problemsOf({ remove: [programs[3]] }), /iced_x86_bg\.wasm is missing/);
  assert.match(problemsOf({ add: ['extension/notes.txt'] }), /notes\.txt should not be there/);
});

test('native parts are those of its own system', () => {
  const windows = `extension/${nativeFile('win32-x64')}`;
  assert.match(problemsOf({ add: [windows], expect: [] }), /native parts are/);
  assert.match(problemsOf({ target: 'universal', add: [windows] }), /native parts are/);
  assert.match(problemsOf({ remove: [`extension/${nativeFile('linux-x64')}`] }), /native parts are \[\]/);
});

test('source maps, sources and tests are in none, even if somebody lists them', () => {
  for (const name of ['extension/dist/adapter.js.map', 'extension/src/a.ts', 'extension/test/a.js'])
    assert.match(problemsOf({ expect: [name] }), new RegExp(`${name.replaceAll('.', '\\.')} is a `));
});

test('a package above its budget is none', () => {
  const kib = budgetsKib['win32-x64'] + 1;
  assert.match(problemsOf({ target: 'win32-x64', kib }), /the budget is/);
});

test('folders are packed with all that is in them, documents under the names that vsce gives them', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'vmkd-vsix-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(path.join(folder, 'media', 'deep'), { recursive: true });
  for (const name of ['README.md', 'media/a.css', 'media/deep/b.png'])
    writeFileSync(path.join(folder, name), '');
  const names = expectedNames(folder, ['README.md', 'media']);
  for (const name of ['extension/readme.md', 'extension/media/a.css', 'extension/media/deep/b.png'])
    assert.ok(names.includes(name), name);
});

test('what it says of itself is so', () => {
  const manifest = { main: './dist/extension.cjs', icon: 'media/icon.png' };
  const names = ['extension/dist/extension.cjs', 'extension/media/icon.png', 'extension/media/a.png'];
  const said = (more = {}, readme = '![A](media/a.png)') =>
    contentProblems('win32-x64', names, (name) => {
      if (name === 'extension.vsixmanifest') return '<Identity TargetPlatform="win32-x64"/>';
      return name === 'extension/readme.md' ? readme : JSON.stringify({ ...manifest, ...more });
    }).join();
  assert.equal(said(), '');
  assert.match(said({ scripts: {} }), /for npm/);
  assert.match(said({ main: './dist/other.cjs' }), /other\.cjs is named, and missing/);
  assert.match(said({}, '![B](media/b.png)'), /b\.png is named, and missing/);
  assert.match(said({}, '[more](docs/more.md)'), /readme\.md has the link \[more\]\(docs\/more\.md\)/);
  assert.match(said({ description: 'See [more](more.md).' }), /package\.json has the link/);
});

test('documents are packed without links that lead nowhere there', () => {
  const kept = '![A](media/a.png), [B](https://b.example/c.md), [below](#below)';
  assert.equal(
    packedDocument(`See [the *map*](docs/map.md), [D](../d.md#e). ${kept}`),
    `See the *map*, D. ${kept}`,
  );
});
