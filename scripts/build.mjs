// `npm run build`: makes the shipped bundles in dist/, and the native part in prebuilds/. A new bundle is a new row.

import { chmodSync, existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { bootstrap, BootstrapError, main, say } from './bootstrap.mjs';
import { buildNative, nativeComplaint } from './native.mjs';
import { root } from './process.mjs';

const bundles = [
  { entry: 'src/cli/main.ts', outfile: 'dist/vmkd.js', command: true },
  { entry: 'src/adapter/main.ts', outfile: 'dist/adapter.js' },
  { entry: 'src/extension/main.ts', outfile: 'dist/extension.cjs', kind: 'extension' },
  ...['doctor', 'memory', 'registers'].map((page) => ({
    entry: `src/extension/pages/${page}.ts`,
    outfile: `dist/pages/${page}.js`,
    kind: 'page',
  })),
];

await main(async () => {
  const complaint = nativeComplaint();
  await bootstrap(complaint === undefined ? ['native'] : []);
  const { bundleExtension, bundlePage, bundleProduct } = await import('./bundle.mjs');
  const makers = { extension: bundleExtension, page: bundlePage };
  for (const bundle of bundles) {
    if (!existsSync(path.join(root, bundle.entry))) throw new BootstrapError(`${bundle.entry} is missing.`);
    const outfile = path.join(root, bundle.outfile);
    await (makers[bundle.kind] ?? bundleProduct)(bundle);
    if (bundle.command) chmodSync(outfile, 0o755);
    say(`${bundle.outfile} ${(statSync(outfile).size / 1024).toFixed(0)} KiB`);
  }
  if (complaint !== undefined) say(`${complaint}; what is there of it in prebuilds/ stays as it is`);
  const problem = complaint === undefined ? await buildNative() : undefined;
  if (problem !== undefined) throw new BootstrapError(problem);
  return 0;
});
