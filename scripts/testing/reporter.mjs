// The child's side of the test runner: a node:test reporter that writes one JSON object a line, so that the
// runner knows what passed, failed and was skipped, and what was under way when a file had to be ended.
//
// Lines: { event: 'start' | 'pass' | 'fail' | 'skip', name, millis?, reason?, error? }. `name` is the full
// path of the test, ` > ` between its parts. Suites, and tests that failed only because a test in them did,
// give no line of their own.

import { inspect } from 'node:util';

export default async function* report(source) {
  const path = [];
  for await (const { type, data } of source) {
    if (type === 'test:dequeue') {
      yield line({ event: 'start', name: data.name });
    } else if (type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    } else if (type === 'test:pass' || type === 'test:fail') {
      path.length = data.nesting;
      const result = resultOf(type, data);
      if (result !== undefined) yield line({ name: [...path, data.name].join(' > '), ...result });
    }
  }
}

function resultOf(type, { details, skip, todo }) {
  const millis = Math.round(details.duration_ms);
  if (skip !== undefined && skip !== false)
    return { event: 'skip', reason: text(skip, 'no reason given'), millis };
  if (todo !== undefined && todo !== false)
    return { event: 'skip', reason: `todo: ${text(todo, '?')}`, millis };
  if (type === 'test:pass') return details.type === 'suite' ? undefined : { event: 'pass', millis };
  if (details.error?.failureType === 'subtestsFailed') return undefined;
  const cause = details.error?.cause ?? details.error;
  return { event: 'fail', millis, error: cause instanceof Error ? inspect(cause) : String(cause) };
}

function text(value, otherwise) {
  return typeof value === 'string' && value !== '' ? value : otherwise;
}

function line(object) {
  return `${JSON.stringify(object)}\n`;
}
