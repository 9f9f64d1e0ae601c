// The manifest of the extension (package.json) and the sources agree.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { importSources } from '../../scripts/import-sources.mjs';
import { derivedManifest } from '../../scripts/manifest.mjs';

const { contributes, activationEvents, capabilities, icon } = JSON.parse(
  readFileSync('package.json', 'utf8'),
);
const names = await importSources(["export * from './src/extension/names';"]);
const sorted = (values) => [...values].sort();

test('the schema of launch configurations is that of the adapter', async () => {
  assert.equal(
    readFileSync('package.json', 'utf8'),
    await derivedManifest(),
    'package.json is out of date: run node scripts/manifest.mjs',
  );
});

test('commands and views are those of the sources', () => {
  assert.deepEqual(
    sorted(contributes.commands.map(({ command }) => command)),
    sorted(Object.values(names.commands)),
  );
  assert.deepEqual(sorted(contributes.views.debug.map(({ id }) => id)), sorted(Object.values(names.views)));
});

test('menus and steps name commands that there are, and contexts that somebody sets', () => {
  const known = new Set(Object.values(names.commands));
  const text = JSON.stringify([contributes.menus, contributes.viewsWelcome, contributes.walkthroughs]);
  for (const [, command] of text.matchAll(/"command":"(vmkd\.\w+)"|\(command:(vmkd\.\w+)\)/g))
    if (command !== undefined) assert.ok(known.has(command), command);
  const ours = new Set([...Object.values(names.contexts), ...Object.values(names.views)]);
  const clauses = [...Object.values(contributes.menus).flat(), ...contributes.views.debug].flatMap(
    ({ when }) => when ?? [],
  );
  for (const clause of clauses)
    for (const [name] of clause.matchAll(/\bvmkd\.\w+/g)) assert.ok(ours.has(name), `${name} in ${clause}`);
});

test('the debugger is offered as it must be, and only when it is wanted', () => {
  const [vmkd] = contributes.debuggers;
  assert.equal(vmkd.type, names.debugType);
  assert.deepEqual(
    vmkd.initialConfigurations.map(({ name }) => name),
    ['Attach to VMware kernel'],
  );
  assert.deepEqual(vmkd.variables, { pickVm: names.commands.pickVm });
  for (const event of activationEvents) assert.match(event, /^onDebug\w+:vmkd$/);
});

test('what a workspace must not decide is said to be so', () => {
  const { untrustedWorkspaces } = capabilities;
  assert.equal(untrustedWorkspaces.supported, 'limited');
  const settings = contributes.configuration.properties;
  assert.deepEqual(sorted(untrustedWorkspaces.restrictedConfigurations), sorted(Object.keys(settings)));
  for (const [name, { scope }] of Object.entries(settings)) assert.equal(scope, 'machine-overridable', name);
});

test('files that it names are there', () => {
  const files = contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.markdown));
  for (const file of [icon, ...files]) assert.ok(existsSync(file), file);
});

test('the README has every command of the palette, and no other', () => {
  const hidden = new Set(
    contributes.menus.commandPalette.filter(({ when }) => when === 'false').map(({ command }) => command),
  );
  const titles = contributes.commands.filter(({ command }) => !hidden.has(command)).map(({ title }) => title);
  const [, rows] = /^\| command \| does \|\n\| --- \| --- \|\n((?:\|.*\n)+)/m.exec(
    readFileSync('README.md', 'utf8'),
  );
  const listed = [...rows.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell]) => cell.split(', '));
  assert.deepEqual(sorted(listed), sorted(titles));
});
