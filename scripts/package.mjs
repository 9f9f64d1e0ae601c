// `npm run package [-- TARGET…]`: the extension as build/vsix/vmkd-TARGET-VERSION.vsix, by @vscode/vsce, for each system that
// there is a native part for, and `universal` for all others, without one. Says their sizes, and fails above the budget.
//
// Invariants: what is packed is listed here, and staged in a folder of its own, so that nothing else can get in; the manifest
// that is packed has nothing of npm's in it.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bootstrap, BootstrapError, main, say } from './bootstrap.mjs';
import { root, run } from './process.mjs';

const targets = ['linux-x64', 'win32-x64', 'universal'];

/** KiB of one package. */
export const budgetKib = 2048;

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

const ofNpm = ['scripts', 'devDependencies', 'dependencies', 'files', 'bin'];

/** @returns The file. `target`: one of `targets`; dist/ and prebuilds/ must have been built */
export async function packageExtension(target) {
  const stage = path.join(root, 'build', 'vsix', target);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const native = target === 'universal' ? [] : [`prebuilds/${target}`];
  for (const item of [...packed, ...native]) {
    if (!existsSync(path.join(root, item))) throw new BootstrapError(`${item} is missing: npm run build`);
    cpSync(path.join(root, item), path.join(stage, item), { recursive: true });
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
  if (kib > budgetKib) throw new BootstrapError(`${file} has ${kib} KiB, the budget is ${budgetKib}.`);
  return { file, kib };
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
      const { file, kib } = await packageExtension(target);
      say(`${path.relative(root, file)} ${kib} KiB`);
    }
    return 0;
  });
}
