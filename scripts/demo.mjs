// `npm run demo`: boots the demo kernel in QEMU and debugs it (test/demo/demo.ts, which gets our arguments).
// With --json stdout carries only the demo's JSON object; all chatter of the set-up goes to stderr.

import { bootstrap, BootstrapError, main, say } from './bootstrap.mjs';
import { run } from './process.mjs';
import { buildKernel } from './testing/kernel.mjs';

const limitMs = 180_000;

await main(async (args) => {
  await bootstrap(['kernel']);
  say('building the demo kernel');
  const problem = await buildKernel();
  if (problem !== undefined) throw new BootstrapError(problem);
  const { bundleForDevelopment } = await import('./bundle.mjs');
  const [{ bundle, error }] = await bundleForDevelopment(['test/demo/demo.ts']);
  if (error !== undefined) throw new BootstrapError(error);

  const result = await run(process.execPath, ['--enable-source-maps', bundle, ...args], {
    limitMs,
    output: 'show',
  });
  if (result.timedOut) throw new BootstrapError(`The demo took over ${limitMs / 1000} s and was ended.`);
  if (result.leftovers.length > 0)
    throw new BootstrapError(`The demo left running: ${result.leftovers.join(', ')}.`);
  return result.code ?? 1;
});
