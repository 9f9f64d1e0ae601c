// Writes what of the extension's manifest (package.json) can be derived: the schema of launch configurations, out of the table
// that the debug adapter reads them by. `--check` only says whether it is up to date.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bootstrap, main } from './bootstrap.mjs';
import { importSources } from './import-sources.mjs';
import { root } from './process.mjs';

const manifestFile = path.join(root, 'package.json');

/** The text that package.json must have. */
export async function derivedManifest() {
  const { schemas } = await importSources(["export { schemas } from './src/adapter/configuration/schemas';"]);
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
  manifest.contributes.debuggers[0].configurationAttributes = schemas;
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) {
  await main(async (args) => {
    await bootstrap();
    const text = await derivedManifest();
    if (!args.includes('--check')) writeFileSync(manifestFile, text);
    else if (readFileSync(manifestFile, 'utf8') !== text) {
      process.stderr.write('vmkd: package.json is out of date: run node scripts/manifest.mjs\n');
      return 1;
    }
    return 0;
  });
}
