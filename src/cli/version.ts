/** `vmkd version` */

import manifest from '../../package.json';
import type { Command } from './command';

export const version: Command = {
  name: 'version',
  usage: 'version',
  summary: 'Says which vmkd this is.',
  run(_args, terminal) {
    terminal.out(`vmkd ${manifest.version}\n`);
    return Promise.resolve();
  },
};
