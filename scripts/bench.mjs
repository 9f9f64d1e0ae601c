// `npm run -s bench -- NAME`: measures test/bench/NAME.bench.ts. stdout gets one JSON object
// {"bench":NAME,"figures":[…]} and nothing else; the table and all chatter go to stderr. Without a name it
// lists the benches. Ends with 0 also if a goal is missed (the table says so), with 1 if it could not measure.

import { bootstrap, BootstrapError, ensureVsCode, main, say, vsCodeComplaint } from './bootstrap.mjs';
import { buildNative, nativeComplaint } from './native.mjs';
import { root, run } from './process.mjs';
import { buildKernel } from './testing/kernel.mjs';
import { sourceFiles } from './testing/plan.mjs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const limitMs = 900_000;
const pattern = /^test\/bench\/(.+)\.bench\.ts$/;

await main(async ([name]) => {
  const names = sourceFiles().flatMap((file) => pattern.exec(file)?.[1] ?? []);
  if (name === undefined) {
    process.stderr.write(`Benches (npm run -s bench -- NAME): ${names.join(', ') || 'none yet'}\n`);
    return 0;
  }
  if (!names.includes(name)) {
    throw new BootstrapError(`There is no bench '${name}'. There is: ${names.join(', ') || 'none yet'}.`);
  }

  await bootstrap();
  const { bundleForDevelopment } = await import('./bundle.mjs');
  const [{ bundle, error }] = await bundleForDevelopment([`test/bench/${name}.bench.ts`]);
  if (error !== undefined) throw new BootstrapError(error);
  const { default: bench } = await import(pathToFileURL(path.join(root, bundle)).href);
  if (bench.needsNative) {
    const complaint = nativeComplaint();
    if (complaint !== undefined) say(complaint);
    await bootstrap(complaint === undefined ? ['native'] : []);
    const problem = complaint === undefined ? await buildNative({ tests: true }) : undefined;
    if (problem !== undefined) throw new BootstrapError(problem);
  }
  if (bench.needsKernel) {
    await bootstrap(['kernel']);
    say('building the demo kernel');
    const problem = await buildKernel();
    if (problem !== undefined) throw new BootstrapError(problem);
  }

  await bootstrap(bench.tools ?? []);
  const env = {};
  if (bench.needsVsCode) {
    const complaint = vsCodeComplaint();
    if (complaint !== undefined) throw new BootstrapError(complaint);
    env.VMKD_VSCODE = await ensureVsCode();
  }

  say(`measuring ${name}`);
  const args = ['--enable-source-maps', 'scripts/testing/run-bench.mjs', name, bundle];
  const result = await run(process.execPath, args, { limitMs, output: 'show', env });
  if (result.timedOut)
    throw new BootstrapError(`The bench ${name} took over ${limitMs / 1000} s and was ended.`);
  if (result.leftovers.length > 0)
    throw new BootstrapError(`The bench left running: ${result.leftovers.join(', ')}.`);
  return result.code === 0 ? 0 : 1;
});
