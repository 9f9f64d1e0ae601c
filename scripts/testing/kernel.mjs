// Builds the demo kernel for whoever needs it: tests, benches, the demo.

import { run } from '../process.mjs';

const script = 'test/kernel/build.mjs';
const limitMs = 300_000;

/** Builds the demo kernel into build/kernel; quick when it is up to date. Returns undefined, or what went wrong. */
export async function buildKernel() {
  const built = await run(process.execPath, [script], { limitMs });
  if (built.code === 0) return undefined;
  return `${script} ${built.timedOut ? `took over ${limitMs / 1000} s` : 'failed'}\n${built.output.trim()}`;
}
