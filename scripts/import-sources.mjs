// Imports sources of src/ into a script, as they are now. Call it only after `bootstrap`, since esbuild is an npm package.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './process.mjs';

/** @param lines Exports, as a TypeScript module in the repository's top folder would write them. @returns What they export */
export async function importSources(lines) {
  const { build } = await import('esbuild');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vmkd-sources-'));
  try {
    const outfile = path.join(folder, 'sources.mjs');
    await build({
      absWorkingDir: root,
      stdin: { contents: lines.join('\n'), resolveDir: root, loader: 'ts' },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      // Opened only when something is disassembled.
      external: ['iced-x86'],
      logLevel: 'silent',
      banner: {
        js: "import { createRequire as make } from 'node:module'; const require = make(import.meta.url);",
      },
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
