/**
 * The `vmkd` command. Each command is one file with one entry in the table below; help and dispatch derive from it.
 * Exit codes: 0 done, 1 failed (the error's code and next step on stderr), 2 wrong usage.
 */

import { asVmkdError, VmkdError } from '../engine/core/errors';
import { guardianRole } from '../engine/target/guard/guardian';
import { printable, Terminal } from './terminal';
import { bridge } from './bridge';
import type { Command } from './command';
import { doctor } from './doctor';
import { machines } from './machines';
import { probe } from './probe';
import { symbols } from './symbols';
import { trace } from './trace';
import { unasm } from './unasm';
import { version } from './version';

const help: Command = {
  name: 'help',
  usage: 'help [command]',
  summary: 'Says how a command is used.',
  run([name], terminal) {
    const command = commands.find((candidate) => candidate.name === name);
    if (name !== undefined && !command) throw new VmkdError('usage', `There is no command “${name}”`);
    terminal.out(command ? describeCommand(command) : describeAll());
    return Promise.resolve();
  },
};

const commands: readonly Command[] = [machines, doctor, probe, bridge, trace, symbols, unasm, version, help];

const describeCommand = ({ usage, summary, details = '' }: Command): string =>
  `vmkd ${usage}\n\n${summary}\n${details === '' ? '' : `\n${details}`}`;

const describeAll = (): string =>
  [
    'vmkd: debug a Windows kernel in a virtual machine\n',
    ...commands.map(({ usage, summary }) => `  vmkd ${usage}\n      ${summary}`),
    '\n“vmkd help COMMAND” says more.\n',
  ].join('\n');

async function main(args: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = args;
  const terminal = new Terminal();
  const wanted = { '--help': 'help', '-h': 'help', '--version': 'version' }[name] ?? name;
  const command = commands.find((candidate) => candidate.name === wanted);
  try {
    if (!command) throw new VmkdError('usage', `There is no command “${name}”`);
    if (rest.includes('--help') || rest.includes('-h')) await help.run([command.name], terminal);
    else await command.run(rest, terminal);
    return terminal.exitCode;
  } catch (thrown) {
    const error = asVmkdError(thrown);
    if (rest.includes('--json')) terminal.out(`${JSON.stringify({ error })}\n`);
    else
      terminal.error(`vmkd: ${printable(error.message)} [${error.code}]\n  ${printable(error.nextStep)}\n`);
    return error.code === 'usage' ? 2 : 1;
  }
}

const commandLine = process.argv.slice(2);
if (!guardianRole(commandLine, process.stdin, (code) => process.exit(code))) {
  // Not process.exit: output that a pipe has not taken yet would be cut off.
  void main(commandLine).then((code) => {
    process.exitCode = code;
  });
}
