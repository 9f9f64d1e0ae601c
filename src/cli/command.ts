/** What a command of `vmkd` is. */

import { parseArgs, type ParseArgsConfig } from 'node:util';
import { VmkdError } from '../engine/core/errors';
import type { Terminal } from './terminal';

export interface Command {
  readonly name: string;
  /** Without the leading `vmkd`. */
  readonly usage: string;
  /** One sentence. */
  readonly summary: string;
  /** Options and examples, ending with a newline. */
  readonly details?: string;
  /** @throws VmkdError; `usage` for wrong arguments. */
  run(args: readonly string[], terminal: Terminal): Promise<void>;
}

/** node:util's parser, with our kind of error. */
export function parseCommandLine<const O extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: O,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new VmkdError('usage', (cause as Error).message, { cause });
  }
}

/** Seconds as the user wrote them, in milliseconds. @throws usage */
export function parseSeconds(text: string, option: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 86400))
    throw new VmkdError('usage', `--${option} wants seconds, not “${text}”`);
  return seconds * 1000;
}

/**
 * Runs `action` with a signal that the first Ctrl-C (or a polite kill) gives, so that it can let the guest run before it
 * ends. The second one ends the process as it would without us.
 * @param hears Whether the end of the standard input is such a signal, too: there are no polite kills on Windows.
 */
export async function untilInterrupted<T>(
  action: (signal: AbortSignal) => Promise<T>,
  hears: { readonly stdin?: boolean } = {},
): Promise<T> {
  const abort = new AbortController();
  const onSignal = (): void => abort.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const name of signals) process.once(name, onSignal);
  const { stdin } = process;
  if (hears.stdin === true) stdin.once('end', onSignal).resume();
  try {
    return await action(abort.signal);
  } finally {
    for (const name of signals) process.removeListener(name, onSignal);
    if (hears.stdin === true) stdin.off('end', onSignal).destroy();
  }
}
