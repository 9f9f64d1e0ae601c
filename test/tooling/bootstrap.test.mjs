// The decisions of the set-up: which Node will do, when packages are reinstalled, what apt-get is asked.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import {
  aptCommands,
  findCommand,
  installHint,
  missingTools,
  nodeComplaint,
  stampOf,
  toolSets,
} from '../../scripts/bootstrap.mjs';

test('Node 20.19 and later will do, earlier ones get a sentence with a next step', () => {
  for (const good of ['20.19.0', '20.20.2', '21.0.0', '22.1.0', '100.0.0'])
    assert.equal(nodeComplaint(good), undefined);
  for (const bad of ['20.18.9', '18.20.0', '9.99.0', ''])
    assert.match(nodeComplaint(bad) ?? '', /20\.19 .*nodejs\.org/);
});

test('the stamp changes with the lock and the platform, not with line ends', () => {
  assert.equal(stampOf('{\n}\n', 'linux-x64'), stampOf('{\r\n}\r\n', 'linux-x64'));
  assert.notEqual(stampOf('{}', 'linux-x64'), stampOf('{ }', 'linux-x64'));
  assert.notEqual(stampOf('{}', 'linux-x64'), stampOf('{}', 'linux-arm64'));
  assert.match(stampOf('{}'), /^[0-9a-f]{64} \w+-\w+\n$/);
});

test('a tool is missing only if none of its commands is there', () => {
  const here =
    (...names) =>
    (name) =>
      names.includes(name) ? `/bin/${name}` : undefined;
  assert.deepEqual(missingTools(['kernel'], here('qemu-system-x86_64', 'clang', 'lld-link')), []);
  assert.deepEqual(
    missingTools(['kernel', 'test'], here('clang'))
      .filter(({ commands }) => commands.length > 0)
      .map((tool) => tool.debian),
    ['qemu-system-x86', 'lld', 'llvm', 'cabextract', 'gcab', 'openssl', 'gcc'],
  );
  for (const command of toolSets.wine[0].commands)
    assert.deepEqual(missingTools(['wine'], here(command)), []);
  for (const command of ['lldb-dap', 'lldb-dap-19', 'lldb-vscode-14'])
    assert.deepEqual(missingTools(['lldb'], here(command)), []);
  assert.equal(missingTools(['lldb'], here('lldb'))[0].debian, 'lldb');
  assert.deepEqual(missingTools([], here()), []);
});

test('apt-get is asked nothing, waits for its lock, and installs no extras', () => {
  const { update, install } = aptCommands(['clang', 'lld'], true);
  assert.deepEqual(update.slice(-1), ['update']);
  assert.deepEqual(install.slice(-4), ['install', '--no-install-recommends', 'clang', 'lld']);
  for (const call of [update, install]) {
    assert.deepEqual(call.slice(0, 4), ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q']);
    assert.ok(call.includes('-y') && call.includes('DPkg::Lock::Timeout=120'));
  }
});

test('without root, sudo is asked for no password and keeps the frontend setting', () => {
  const { update, install } = aptCommands(['clang'], false);
  for (const call of [update, install]) {
    assert.deepEqual(call.slice(0, 5), ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get']);
  }
});

test('every platform is told what to install', () => {
  const tools = toolSets.kernel;
  assert.match(
    installHint(tools, 'linux'),
    /apt-get install --no-install-recommends qemu-system-x86 clang lld$/,
  );
  assert.match(installHint(tools, 'darwin'), /^brew install qemu llvm lld,/);
  assert.match(installHint(tools, 'win32'), /^choco install .*qemu-system-x86_64, clang, lld-link/);
  assert.match(installHint(tools, 'freebsd'), /clang/);
  assert.equal(installHint([...toolSets.test, ...toolSets.test], 'linux').match(/llvm/g).length, 1);
});

test(
  'a command is found on PATH only if it can be run',
  { skip: process.platform === 'win32' && 'not on Debian: PATHEXT' },
  () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'vmkd-'));
    try {
      const file = path.join(folder, 'tool');
      const env = { PATH: `${path.join(folder, 'none')}${path.delimiter}${folder}` };
      writeFileSync(file, '#!/bin/sh\n');
      chmodSync(file, 0o644);
      assert.equal(findCommand('tool', env), undefined);
      chmodSync(file, 0o755);
      assert.equal(findCommand('tool', env), file);
      assert.equal(findCommand(file, { PATH: '' }), file);
      assert.equal(findCommand('tool', {}), undefined);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
