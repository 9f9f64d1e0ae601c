// The runner on real test files: what node:test says, hangs, leftovers, crashes.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { parseStat, run } from '../../scripts/process.mjs';
import { runFile } from '../../scripts/testing/run-file.mjs';

const posixOnly = process.platform === 'win32' && 'not on Debian: Windows has no process groups';

/** The results of a test file with this source, as [status, name, first line of the detail]. */
async function results(source, limitMs = 20_000) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vmkd-'));
  try {
    const file = path.join(folder, 'sample.test.mjs');
    writeFileSync(
      file,
      `import { test, describe } from 'node:test';\nimport assert from 'node:assert/strict';\n${source}`,
    );
    const found = await runFile('sample', file, limitMs, {});
    return found.map(({ status, name, detail }) => [status, name, detail?.split('\n')[0]]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('passes, failures, skips and todos count once each, under their full names', async () => {
  const found = await results(`
    test('good', () => {});
    test('bad', () => assert.equal(1, 2));
    test('later', { skip: 'no wine' }, () => {});
    test('bare', { skip: true }, () => {});
    test('planned', { todo: 'issue 3' }, () => {});
    describe('suite', () => { test('inner', () => {}); test('broken', () => { throw new TypeError('boom'); }); });
    test('outer', async (t) => { await t.test('sub', () => {}); t.skip('decided late'); });
    describe.skip('no suite', () => { test('never', () => {}); });
  `);
  assert.deepEqual(
    found.map(([status, name]) => `${status} ${name}`),
    [
      'passed good',
      'failed bad',
      'skipped later',
      'skipped bare',
      'skipped planned',
      'passed suite > inner',
      'failed suite > broken',
      'passed outer > sub',
      'skipped outer',
      'skipped no suite',
    ],
  );
  const detail = (name) => found.find((result) => result[1] === name)[2];
  assert.match(detail('bad'), /AssertionError/);
  assert.match(detail('suite > broken'), /TypeError: boom/);
  assert.equal(detail('later'), 'no wine');
  assert.equal(detail('outer'), 'decided late');
});

test('a failing hook is a failure', async () => {
  const found = await results(`
    describe('s', async () => { const { before } = await import('node:test');
      before(() => { throw new Error('no kernel'); }); test('t', () => {}); });
  `);
  assert.ok(
    found.some(([status, , detail]) => status === 'failed' && /no kernel/.test(detail)),
    JSON.stringify(found),
  );
});

test('a file without tests, or that throws outside of them, has failed', async () => {
  assert.deepEqual(await results(''), [['failed', '(file)', 'ran no test']]);
  const [[status, name, detail]] = await results("throw new Error('at load');");
  assert.deepEqual([status, name], ['failed', '(file)']);
  assert.match(detail, /code 1/);
});

test('a hung test is ended and named', async () => {
  const stuck = "test('stuck', () => new Promise((r) => setTimeout(r, 60_000)));";
  const found = await results(`test('quick', () => {}); ${stuck}`, 1_500);
  assert.deepEqual(found[0].slice(0, 2), ['passed', 'quick']);
  assert.match(found.at(-1)[2], /^hung: .* 1\.5 s; under way: stuck/);
});

test('a test that never yields is ended too', async () => {
  const found = await results("test('busy', () => { for (;;); });", 1_500);
  assert.match(found.at(-1)[2], /^hung: .*a test never yields/);
});

test('a file kept alive after its tests is ended and told so', async () => {
  const found = await results("test('quick', () => { setInterval(() => {}, 1000); });", 1_500);
  assert.deepEqual(found[0].slice(0, 2), ['passed', 'quick']);
  assert.match(found.at(-1)[2], /^hung: .*something keeps the process alive/);
});

test('a process left behind fails the file and is ended', { skip: posixOnly }, async () => {
  const found = await results(`
    import { spawn } from 'node:child_process';
    spawn('sleep', ['321'], { stdio: 'ignore' }).unref();
    test('careless', () => {});
  `);
  assert.deepEqual(found[0].slice(0, 2), ['passed', 'careless']);
  const pid = Number(/^left running: sleep \((\d+)\)$/.exec(found[1][2])[1]);
  assert.ok(isGone(pid), `sleep ${pid} lives on`);
});

test(
  'a limit ends what the command started too, though it ignores SIGTERM',
  { skip: posixOnly },
  async () => {
    const source = `
    process.on('SIGTERM', () => {});
    console.log(require('node:child_process').spawn('sleep', ['321']).pid);
    setInterval(() => {}, 1000);`;
    const ended = await run(process.execPath, ['-e', source], { limitMs: 1_000 });
    assert.equal(ended.timedOut, true);
    assert.equal(ended.signal, 'SIGKILL');
    assert.ok(isGone(Number(ended.output.trim())), 'the child lives on');
  },
);

test('a command that is not there is a result, not a crash', async () => {
  const ended = await run('vmkd-no-such-command', [], { limitMs: 1_000 });
  assert.equal(ended.code, 127);
  assert.equal(ended.failedToStart.code, 'ENOENT');
});

test('a long output keeps its end', async () => {
  const source = "for (let i = 0; i < 200000; i++) console.log('line', i);";
  const ended = await run(process.execPath, ['-e', source], { limitMs: 30_000 });
  assert.ok(ended.output.endsWith('line 199999\n'));
  assert.ok(ended.output.length < 2 ** 20);
});

test('process names may hold spaces and parentheses', () => {
  assert.deepEqual(parseStat('12 (a) b (c) S 1 34 34 0'), { name: 'a) b (c', state: 'S', group: 34 });
  assert.equal(parseStat(undefined), undefined);
});

/** Whether a process is gone, or but a zombie that its new parent has not reaped. */
function isGone(pid) {
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  return process.platform === 'linux' && parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1')).state === 'Z';
}
