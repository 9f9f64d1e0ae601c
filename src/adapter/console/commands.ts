/** All commands of the debug console. */

import { VmkdError } from '../../engine/core/errors';
import type { ConsoleCommand } from './command';
import { memoryCommands } from './memoryCommands';
import { stateCommands } from './stateCommands';
import { symbolCommands } from './symbolCommands';

const help: ConsoleCommand = {
  name: 'help',
  usage: 'help [COMMAND]',
  help: 'Lists the commands, or says how one is used.',
  completes: 'command',
  async run({ args }) {
    if (args !== '') {
      const found = commandNamed(args);
      if (found === undefined)
        throw new VmkdError('usage', `There is no command “${args}”`, { nextStep: 'See “help”.' });
      return `${found.usage}\n  ${found.help}`;
    }
    const rows = commands.map(({ usage, help: text }) => `${usage.padEnd(28)} ${text}`);
    return [...rows, '? EXPRESSION                 Evaluates, also what looks like a command.'].join('\n');
  },
};

export const commands: readonly ConsoleCommand[] = [
  help,
  ...stateCommands,
  ...memoryCommands,
  ...symbolCommands,
];

export const commandNamed = (name: string): ConsoleCommand | undefined =>
  commands.find((command) => command.name === name);
