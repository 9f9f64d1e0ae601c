/** `vmkd version` */

import { readFileSync } from 'node:fs';
import type { Command } from './command';

export const version: Command = {
  name: 'version',
  usage: 'version',
  summary: 'Says which vmkd this is.',
  run(_args, terminal) {
    // The bundle lies in dist/, beside which the manifest is, in a checkout and in a package alike.
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    terminal.out(`vmkd ${manifest.version}\n`);
    return Promise.resolve();
  },
};
