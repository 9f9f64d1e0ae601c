// The verdict of a test run, from what the files reported and how they ended.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  describe,
  exitCode,
  fileResults,
  forbiddenSkips,
  slowestText,
  summaryLine,
} from '../../scripts/testing/results.mjs';
import { guestsOf, limitOf } from '../../scripts/testing/run-file.mjs';
import { matches, planFiles } from '../../scripts/testing/plan.mjs';

const fine = { code: 0, signal: null, timedOut: false, failedToStart: undefined, output: '', leftovers: [] };
const lines = (...objects) => objects.map((object) => `${JSON.stringify(object)}\n`).join('');
const passed = { status: 'passed', where: 'f', name: 'a' };
const failed = { status: 'failed', where: 'f', name: 'b', detail: 'boom\nat x' };
const skipped = { status: 'skipped', where: 'f', name: 'c', detail: 'no wine' };
const notHere = { status: 'skipped', where: 'f', name: 'd', detail: 'not on Debian: pipes' };

test('the summary counts', () => {
  assert.equal(summaryLine([passed, passed, failed, skipped, notHere]), '2 passed, 1 failed, 2 skipped');
  assert.equal(summaryLine([]), '0 passed, 0 failed, 0 skipped');
});

test('a long run says where its time went, the longest first', () => {
  const times = [
    { where: 'a', millis: 1_000 },
    { where: 'b', millis: 299_000 },
  ];
  assert.equal(slowestText(times), 'what took longest:\n   299 s  b\n     1 s  a\n');
  assert.equal(slowestText(times.slice(0, 1)), '');
  const many = Array.from({ length: 50 }, () => ({ where: 'c', millis: 10_000 }));
  assert.equal(slowestText(many).split('\n').length, 1 + 20 + 1);
});

test('a failure fails the run, and so does testing nothing', () => {
  assert.equal(exitCode([passed, skipped], false), 0);
  assert.equal(exitCode([passed, failed], false), 1);
  assert.equal(exitCode([], false), 1);
});

test('where everything must run, only "not on Debian:" may be skipped', () => {
  assert.equal(exitCode([passed, skipped], true), 1);
  assert.equal(exitCode([passed, notHere], true), 0);
  assert.deepEqual(forbiddenSkips([passed, failed, skipped, notHere]), [skipped]);
});

test('people see failures in full and skips with reasons', () => {
  assert.equal(describe([passed]), '');
  assert.equal(describe([skipped]), '  skipped  f: c: no wine\n');
  assert.match(describe([failed]), /FAILED {3}f: b\n +boom\n +at x\n/);
});

test('reported tests become results', () => {
  const text = lines(
    { event: 'start', name: 'a' },
    { event: 'pass', name: 'a', millis: 1 },
    { event: 'fail', name: 's > b', error: 'boom', millis: 2 },
    { event: 'skip', name: 'c', reason: 'why', millis: 0 },
  );
  const results = fileResults('f', text, { ...fine, code: 1 }, 1000);
  assert.deepEqual(
    results.map(({ status, name, detail }) => [status, name, detail]),
    [
      ['passed', 'a', undefined],
      ['failed', 's > b', 'boom'],
      ['skipped', 'c', 'why'],
    ],
  );
});

const only = (results) => {
  assert.equal(results.length, 1);
  assert.equal(results[0].status, 'failed');
  return results[0].detail;
};

test('a file that ran no test has failed', () => {
  assert.match(only(fileResults('f', '', { ...fine, output: 'hello' }, 1000)), /ran no test\nhello/);
});

test('a file that dies without a failed test has failed', () => {
  assert.match(only(fileResults('f', '', { ...fine, code: 3 }, 1000)), /code 3/);
  const results = fileResults(
    'f',
    lines({ event: 'pass', name: 'a' }),
    { ...fine, code: null, signal: 'SIGSEGV' },
    1,
  );
  assert.match(only(results.slice(1)), /SIGSEGV/);
});

test('a hung file says what was under way, also when its last line was cut off', () => {
  const text =
    lines({ event: 'start', name: 'a' }, { event: 'pass', name: 'a' }, { event: 'start', name: 'b' }) +
    '{"eve';
  const results = fileResults('f', text, { ...fine, code: null, signal: 'SIGTERM', timedOut: true }, 2500);
  assert.match(only(results.slice(1)), /hung.* 2\.5 s; under way: b$/);
});

test('a file that leaves a process behind has failed', () => {
  const results = fileResults(
    'f',
    lines({ event: 'pass', name: 'a' }),
    { ...fine, leftovers: ['qemu (7)'] },
    1000,
  );
  assert.match(only(results.slice(1)), /left running: qemu \(7\)/);
});

test('a file may give itself another limit', () => {
  assert.equal(limitOf('// a\n// test-limit: 600 s\nimport x;', 5), 600_000);
  assert.equal(limitOf("const s = '// test-limit: 600 s';", 5), 5);
});

test('processors of a guest take turns, unless the file is about what they do at the same time', () => {
  assert.equal(guestsOf('// test-limit: 600 s\n// test-processors: at once\nimport x;'), 'at once');
  assert.equal(guestsOf("const s = '// test-processors: at once';"), 'in turn');
});

test('files go to the suite of their folder, and patterns choose among them', () => {
  const files = [
    'src/engine/kd/framing.test.ts',
    'src/engine/kd/framing.ts',
    'test/integration/break.test.ts',
    'test/soak/lossy.soak.ts',
    'test/tooling/x.test.mjs',
    'test/wine/pipe.test.ts',
  ];
  const plan = (patterns, soak) =>
    planFiles(files, patterns, soak).map((suite) => [suite.name, ...suite.files]);
  assert.deepEqual(plan([], false), [
    ['unit', 'src/engine/kd/framing.test.ts', 'test/tooling/x.test.mjs'],
    ['integration', 'test/integration/break.test.ts'],
    ['wine', 'test/wine/pipe.test.ts'],
  ]);
  assert.deepEqual(plan(['kd/'], false), [['unit', 'src/engine/kd/framing.test.ts']]);
  assert.deepEqual(plan([], true), [['soak', 'test/soak/lossy.soak.ts']]);
  assert.deepEqual(plan(['nothing'], false), []);
  assert.ok(matches('types', []) && matches('types', ['typ']) && !matches('lint', ['typ']));
});
