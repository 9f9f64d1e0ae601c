// How TypeScript becomes something that Node runs: one set of esbuild options for the shipped bundles and for
// tests, benches and the demo. Import this only after `bootstrap`, since esbuild is an npm package.

import path from 'node:path';
import { copyFileSync, readFileSync } from 'node:fs';
import { build } from 'esbuild';
import { root } from './process.mjs';

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  sourcemap: true,
  logLevel: 'silent',
  // Of use to CommonJS packages inside an ES module bundle, and to native addons.
  banner: {
    js: "import { createRequire as vmkdCreateRequire } from 'node:module'; const require = vmkdCreateRequire(import.meta.url);",
  },
};

/** Files that npm packages read at run time from the folder of their code, which in a bundle is the bundle's. */
const readBesideCode = { 'node_modules/iced-x86/iced_x86.js': ['iced_x86_bg.wasm'] };

/** Makes one shipped bundle, with the files that its packages read beside it. A `command` gets a first line that lets a shell run it, unless its source has one. */
export async function bundleProduct({ entry, outfile, command = false, external = [] }) {
  const sourceHasShebang = readFileSync(path.join(root, entry), 'utf8').startsWith('#!');
  const shebang = command && !sourceHasShebang ? '#!/usr/bin/env node\n' : '';
  const { metafile } = await build({
    ...common,
    banner: { js: shebang + common.banner.js },
    // CommonJS packages know it, ES modules do not.
    define: { __dirname: 'import.meta.dirname' },
    entryPoints: [entry],
    outfile,
    external,
    legalComments: 'eof',
    metafile: true,
  });
  for (const input of Object.keys(metafile.inputs)) {
    for (const file of readBesideCode[input] ?? []) {
      copyFileSync(
        path.join(root, path.dirname(input), file),
        path.resolve(root, path.dirname(outfile), file),
      );
    }
  }
}

/** Makes the extension's bundle. VS Code loads CommonJS, and brings `vscode` itself. */
export async function bundleExtension({ entry, outfile }) {
  await build({
    ...common,
    banner: {},
    format: 'cjs',
    entryPoints: [entry],
    outfile,
    external: ['vscode'],
    minify: true,
    keepNames: true,
    legalComments: 'eof',
    // Of native code, which is for the adapter's process.
    define: { 'import.meta.url': '"file:///"' },
  });
}

/** Makes the bundle of a webview's page. */
export async function bundlePage({ entry, outfile }) {
  await build({
    ...common,
    banner: {},
    platform: 'browser',
    target: 'es2023',
    format: 'iife',
    entryPoints: [entry],
    outfile,
    minify: true,
    sourcemap: false,
  });
}

/**
 * Bundles development entries (tests, benches, the demo) into build/bundles, npm packages left outside.
 * @returns for each entry (relative to the repository, `/` separators), `{ entry, bundle }` or `{ entry, error }`
 */
export async function bundleForDevelopment(entries) {
  if (entries.length === 0) return [];
  const options = {
    ...common,
    packages: 'external',
    outdir: 'build/bundles',
    outbase: '.',
    outExtension: { '.js': '.mjs' },
  };
  const bundled = (entry) => ({ entry, bundle: `build/bundles/${entry.replace(/\.ts$/, '.mjs')}` });
  try {
    await build({ ...options, entryPoints: entries });
    return entries.map(bundled);
  } catch {
    // One broken file must not take the others with it: find out which.
    return Promise.all(
      entries.map(async (entry) => {
        try {
          await build({ ...options, entryPoints: [entry] });
          return bundled(entry);
        } catch (error) {
          return { entry, error: error.message };
        }
      }),
    );
  }
}
