// `npm run package [-- TARGET…]`: the extension as build/vsix/vmkd-TARGET-VERSION.vsix, by @vscode/vsce, for each system that
// there is a native part for, and `universal` for all others, without one. Says their sizes, and fails above the budget.
//
// Invariants: what is packed is listed here, and staged in a folder of its own; what has come into the file is looked at
// afterwards (vsix.mjs); the manifest that is packed has nothing of npm's in it.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bootstrap, BootstrapError, main, say } from './bootstrap.mjs';
import { root, run } from './process.mjs';
import {
  budgetsKib,
  contentProblems,
  expectedNames,
  nativeFile,
  ofNpm,
  packageProblems,
  packedDocument,
  readVsix,
} from './vsix.mjs';

const targets = Object.keys(budgetsKib);

const packed = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'dist/adapter.js',
  'dist/extension.cjs',
  'dist/iced_x86_bg.wasm',
  'dist/pages',
  'dist/vmkd.js',
  'media',
];

/** @returns The file, and its size. `target`: one of `targets`; dist/ and prebuilds/ must have been built */
async function packageExtension(target) {
  const stage = path.join(root, 'build', 'vsix', target);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const items = [...packed, ...(target === 'universal' ? [] : [nativeFile(target)])];
  for (const item of items) {
    if (!existsSync(path.join(root, item))) throw new BootstrapError(`${item} is missing: npm run build`);
    cpSync(path.join(root, item), path.join(stage, item), { recursive: true });
  }
  for (const item of items.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(path.join(root, item), 'utf8');
    writeFileSync(path.join(stage, item), packedDocument(text));
  }
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  for (const key of ofNpm) delete manifest[key];
  writeFileSync(path.join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);

  const file = path.join(root, 'build', 'vsix', `vmkd-${target}-${manifest.version}.vsix`);
  const { default: vsce } = await import('@vscode/vsce');
  await vsce.createVSIX({
    cwd: stage,
    packagePath: file,
    dependencies: false,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
    ...(target === 'universal' ? {} : { target }),
  });
  rmSync(stage, { recursive: true });
  const kib = Math.ceil(statSync(file).size / 1024);
  const files = readVsix(file);
  const names = [...files.keys()];
  const problems = [
    ...packageProblems({ target, names, expected: expectedNames(root, items), kib }),
    ...contentProblems(target, names, (name) => files.get(name).read().toString()),
  ];
  if (problems.length > 0) throw new BootstrapError(`${file}: ${problems.join('; ')}.`);
  return { file, kib, count: names.length };
}

if (process.argv[1] === import.meta.filename) {
  await main(async (wanted) => {
    await bootstrap();
    const unknown = wanted.find((target) => !targets.includes(target));
    if (unknown !== undefined)
      throw new BootstrapError(`There is no target '${unknown}'. There is: ${targets.join(', ')}.`);
    const built = await run(process.execPath, ['scripts/build.mjs'], { limitMs: 300_000, output: 'chatter' });
    if (built.code !== 0) return 1;
    for (const target of wanted.length > 0 ? wanted : targets) {
      const { file, kib, count } = await packageExtension(target);
      say(`${path.relative(root, file)} ${kib} KiB of ${budgetsKib[target]}, ${count} files`);
    }
    return 0;
  });
}
