// What a test run amounts to: results, the verdict, and the text of it. Pure functions.
//
// A result is { status: 'passed' | 'failed' | 'skipped', where, name, detail?, millis? }: `where` is the file
// or step, `detail` the failure's text or the reason for the skip.

/** A run is worth looking at from here on. */
const longRunMs = 300_000;
const slowestCount = 20;

/** A skip whose reason starts so is right even where everything must run. */
export const notOnDebian = 'not on Debian:';

/**
 * The results of one test file, from the lines of its reporter and how its process ended.
 * `ended`: `{ code, signal, timedOut, leftovers, output }` of `run`; `limitMs`: the limit it had.
 */
export function fileResults(where, reporterText, ended, limitMs) {
  const underWay = new Map();
  const results = [];
  for (const text of reporterText.split('\n')) {
    const line = parseLine(text);
    if (line === undefined) continue;
    if (line.event === 'start') {
      underWay.set(line.name, (underWay.get(line.name) ?? 0) + 1);
      continue;
    }
    const own = line.name.split(' > ').at(-1);
    underWay.set(own, (underWay.get(own) ?? 0) - 1);
    const status = { pass: 'passed', fail: 'failed', skip: 'skipped' }[line.event];
    results.push({ status, where, name: line.name, detail: line.error ?? line.reason, millis: line.millis });
  }

  const failed = (name, detail) => results.push({ status: 'failed', where, name, detail });
  const output = ended.output.trim() === '' ? '' : `\n${ended.output.trim()}`;
  if (ended.failedToStart) {
    failed('(file)', `could not start: ${ended.failedToStart.message}`);
  } else if (ended.timedOut) {
    const names = [...underWay].filter(([, count]) => count > 0).map(([name]) => name);
    const doing =
      names.length > 0
        ? `under way: ${names.join(', ')}`
        : 'no test reported to be under way: something keeps the process alive, or a test never yields';
    failed('(file)', `hung: ended after its limit of ${limitMs / 1000} s; ${doing}${output}`);
  } else {
    if (ended.code !== 0 && !results.some((r) => r.status === 'failed')) {
      failed('(file)', `ended with ${ended.signal ?? `code ${ended.code}`} though no test failed${output}`);
    } else if (results.length === 0) {
      failed('(file)', `ran no test${output}`);
    }
    if (ended.leftovers.length > 0) failed('(file)', `left running: ${ended.leftovers.join(', ')}`);
  }
  return results;
}

/** A line that was cut off when the file was ended is no line. */
function parseLine(text) {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The files that took longest, for whoever wants a run to be shorter: '' if all of it was short.
 * `times`: `{ where, millis }` of each file.
 */
export function slowestText(times) {
  const total = times.reduce((sum, { millis }) => sum + millis, 0);
  if (total < longRunMs) return '';
  const rows = [...times].sort((a, b) => b.millis - a.millis).slice(0, slowestCount);
  return `what took longest:\n${rows
    .map(({ where, millis }) => `${String(Math.round(millis / 1000)).padStart(6)} s  ${where}\n`)
    .join('')}`;
}

/** The last line of a run. */
export function summaryLine(results) {
  const count = (status) => results.filter((result) => result.status === status).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
}

/** Skips that fail the run where everything must run. */
export function forbiddenSkips(results) {
  return results.filter((r) => r.status === 'skipped' && !(r.detail ?? '').startsWith(notOnDebian));
}

/** 0 or 1. A run without a result has failed: it tested nothing. `everythingMustRun`: CI on Linux. */
export function exitCode(results, everythingMustRun) {
  if (results.length === 0 || results.some((r) => r.status === 'failed')) return 1;
  return everythingMustRun && forbiddenSkips(results).length > 0 ? 1 : 0;
}

/** The text about one file's or step's results, for people; '' if there is nothing to say. */
export function describe(results) {
  return results
    .filter((result) => result.status !== 'passed')
    .map(({ status, where, name, detail }) => {
      if (status === 'skipped') return `  skipped  ${where}: ${name}: ${detail}\n`;
      return `\n  FAILED   ${where}: ${name}\n${indent(detail ?? '')}\n\n`;
    })
    .join('');
}

function indent(text) {
  return text.replaceAll(/^(?=.)/gm, '           ');
}
