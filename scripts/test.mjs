// `npm test [-- pattern…]` and `npm run test:soak [-- pattern…]`: everything that tells whether vmkd is sound.
//
// Each test file runs in a process of its own, in its own process group: a file that hangs is ended with all
// that it started, one that leaves a process behind fails. Steps and unit tests run side by side, files that
// need the demo kernel in a few lanes afterwards. With CI=true on Linux a skip fails too, unless its reason starts
// with "not on Debian:".
//
// Node's own run() is not used: it can end a hung file, but not the QEMU which that file started.

import { mkdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  bootstrap,
  ensureTools,
  ensureVsCode,
  ensureWindowsNode,
  main,
  say,
  vsCodeComplaint,
} from './bootstrap.mjs';
import { buildNative, nativeComplaint } from './native.mjs';
import { root, run } from './process.mjs';
import { buildKernel } from './testing/kernel.mjs';
import { matches, planFiles, sourceFiles, stepLimitMs, steps } from './testing/plan.mjs';
import { describe, exitCode, forbiddenSkips, slowestText, summaryLine } from './testing/results.mjs';
import { guestsOf, limitOf, runFile } from './testing/run-file.mjs';

const everythingMustRun = process.env.CI === 'true' && process.platform === 'linux';

/** The build of what is shipped, once it is wanted. Above all that runs at once. */
let built;

await main(async (args) => {
  const started = performance.now();
  const soak = args.includes('--soak');
  const patterns = args.filter((arg) => !arg.startsWith('--'));
  await bootstrap();
  mkdirSync(path.join(root, 'build/cache'), { recursive: true });

  const suites = planFiles(sourceFiles(), patterns, soak);
  const wantedSteps = soak ? [] : steps.filter((step) => matches(step.name, patterns));
  const { bundleForDevelopment } = await import('./bundle.mjs');
  const bundles = await bundleForDevelopment(suites.flatMap((s) => s.files).filter((f) => f.endsWith('.ts')));
  const bundleOf = new Map(bundles.map((bundle) => [bundle.entry, bundle]));
  const env = { VMKD_SOAK: soak ? 'full' : '' };
  const fileJobs = (suite, extraEnv) =>
    suite.files.map((file) => {
      const source = readFileSync(path.join(root, file), 'utf8');
      const limitMs = limitOf(source, suite.limitMs);
      // A soak has the machine for itself.
      const guests = soak ? {} : { VMKD_GUESTS: guestsOf(source) };
      const run = async () => {
        const began = performance.now();
        try {
          return await runTestFile(file, bundleOf.get(file), limitMs, { ...env, ...guests, ...extraEnv });
        } finally {
          times.push({ where: file, millis: performance.now() - began });
        }
      };
      return { run, limitMs, suite };
    });

  const times = [];
  const results = [];
  const finish = (some) => {
    results.push(...some);
    process.stdout.write(describe(some));
  };
  const parallel = suites.filter((suite) => suite.lanes === undefined);
  const inTurn = suites.filter((suite) => suite.lanes !== undefined);
  say(
    `${wantedSteps.length} steps, ${suites.map((s) => `${s.files.length} ${s.name} files`).join(', ') || 'no test files'}`,
  );
  await inParallel(
    [
      ...wantedSteps.map((step) => ({ run: () => runStep(step) })),
      ...parallel.flatMap((suite) => fileJobs(suite, {})),
    ],
    finish,
  );
  for (const group of [
    inTurn.filter(({ shares }) => shares),
    ...inTurn.filter(({ shares }) => !shares).map((suite) => [suite]),
  ]) {
    const jobs = [];
    for (const suite of group) {
      const ready = await prepare(suite);
      if (ready.problem === undefined) ready.problem = await buildOnce();
      if (ready.problem === undefined) jobs.push(...fileJobs(suite, ready.env));
      else finish(suite.files.map((file) => ({ ...ready.problem, where: file, name: '(file)' })));
    }
    // What may take long comes first, so that no lane is left with it in the end.
    jobs.sort((one, other) => other.limitMs - one.limitMs);
    await inParallel(jobs, finish, Math.max(0, ...group.map(({ lanes }) => lanes)));
  }

  if (results.length === 0) say(`nothing matches ${patterns.join(' ') || 'here'}, so nothing was tested`);
  const code = exitCode(results, everythingMustRun);
  if (everythingMustRun && forbiddenSkips(results).length > 0) {
    say(`on CI these may not be skipped:\n${describe(forbiddenSkips(results))}`);
  }
  const slowest = slowestText(times);
  if (slowest !== '') say(slowest.trimEnd());
  say(`${((performance.now() - started) / 1000).toFixed(1)} s`);
  process.stdout.write(`${summaryLine(results)}\n`);
  return code;
});

/** Runs jobs, so many at once, and of each suite as many as it has lanes; `done` gets each one's results as it ends. */
async function inParallel(jobs, done, lanes = Math.max(1, os.availableParallelism())) {
  const queue = [...jobs];
  const running = new Map();
  const next = () => {
    const at = queue.findIndex(({ suite }) => (running.get(suite) ?? 0) < (suite?.lanes ?? lanes));
    return at < 0 ? undefined : queue.splice(at, 1)[0];
  };
  const worker = async () => {
    // One that finds none now is not needed any more: what is left is for those who run that suite.
    for (let job = next(); job !== undefined; job = next()) {
      const { suite } = job;
      running.set(suite, (running.get(suite) ?? 0) + 1);
      done(await job.run());
      running.set(suite, running.get(suite) - 1);
    }
  };
  await Promise.all(Array.from({ length: lanes }, worker));
}

async function runStep({ name, commands }) {
  const started = performance.now();
  const complaints = [];
  for (const [script, ...args] of commands) {
    const result = await run(process.execPath, [path.join(root, 'node_modules', script), ...args], {
      limitMs: stepLimitMs,
      env: { NO_COLOR: '1', FORCE_COLOR: undefined },
    });
    const why = result.timedOut ? `took over ${stepLimitMs / 1000} s\n` : '';
    if (result.code !== 0) complaints.push(why + result.output.trim());
  }
  const millis = Math.round(performance.now() - started);
  const status = complaints.length === 0 ? 'passed' : 'failed';
  return [{ status, where: `npm run ${name}`, name, detail: complaints.join('\n'), millis }];
}

/** `bundle` is undefined for a file that runs as it is. */
async function runTestFile(file, bundle, limitMs, env) {
  if (bundle?.error !== undefined) {
    return [{ status: 'failed', where: file, name: '(bundle)', detail: bundle.error }];
  }
  return runFile(file, bundle?.bundle ?? file, limitMs, env);
}

/** What is shipped, for the files that run it: they need not build it each for itself, and at the same time. */
async function buildOnce() {
  built ??= run(process.execPath, [path.join(root, 'scripts/build.mjs')], { limitMs: stepLimitMs });
  const { code, output } = await built;
  return code === 0 ? undefined : { status: 'failed', detail: `npm run build failed\n${output}` };
}

/** What a suite needs, made ready: `{ env }`, or `{ problem }` with the status and detail for its files. */
async function prepare(suite) {
  // Where it cannot be built, tests that need it say so.
  const native = suite.native === true && nativeComplaint() === undefined;
  const noVsCode = suite.vsCode ? vsCodeComplaint() : undefined;
  if (noVsCode !== undefined) return { problem: { status: 'skipped', detail: noVsCode } };
  const missing = await ensureTools(native ? [...suite.tools, 'native'] : suite.tools);
  if (missing !== undefined) return { problem: { status: 'skipped', detail: missing } };
  if (suite.kernel) {
    say('building the demo kernel');
    const problem = await buildKernel();
    if (problem !== undefined) return { problem: { status: 'failed', detail: problem } };
  }
  if (native) {
    const problem = await buildNative({ tests: true });
    if (problem !== undefined) return { problem: { status: 'failed', detail: problem } };
  }
  return {
    env: {
      VMKD_BUILT: '1',
      ...(suite.windowsNode && { VMKD_WINDOWS_NODE: await ensureWindowsNode() }),
      ...(suite.vsCode && {
        VMKD_VSCODE: await ensureVsCode(),
        VMKD_VSCODE_OLDEST: await ensureVsCode('oldest'),
      }),
    },
  };
}
