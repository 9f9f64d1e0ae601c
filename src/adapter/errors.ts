/**
 * Errors of the engine as DAP carries them: an id, a text with the next step in it, and whether the client shall put it
 * before the user. Where clients show an error in place anyway (a hover, a variable, a memory pane), a notification on top
 * would only be noise.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { asVmkdError, VmkdError, type ErrorCode } from '../engine/core/errors';
import { ExpressionError } from '../engine/expr/expressionError';
import { withoutLinks } from '../protocol/notificationText';

/** Their errors are shown where the answer would have stood, or concern nobody. */
const quietCommands: ReadonlySet<string> = new Set([
  'breakpointLocations',
  'cancel',
  'completions',
  'dataBreakpointInfo',
  'disassemble',
  'evaluate',
  'exceptionInfo',
  'gotoTargets',
  'loadedSources',
  'locations',
  'modules',
  'readMemory',
  'scopes',
  'setExpression',
  'setVariable',
  'source',
  'stackTrace',
  'stepInTargets',
  'threads',
  'variables',
  'vmkd/locate',
  'vmkd/locateLine',
  'vmkd/pageTables',
  'vmkd/processes',
  'vmkd/readMemory',
  'vmkd/symbolize',
  'vmkd/threads',
  'vmkd/visitThread',
]);

/** What DAP has a word of its own for; clients act on it and show nothing. */
const predefined: { readonly [Code in ErrorCode]?: string } = {
  cancelled: 'cancelled',
  'target-running': 'notStopped',
};

export function errorResponse(command: string, thrown: unknown): Pick<P.ErrorResponse, 'message' | 'body'> {
  const error = asVmkdError(thrown);
  const text = withoutLinks(errorText(error));
  const word = predefined[error.code];
  return {
    message: word ?? text,
    body: {
      error: { id: errorId(error.code), format: text, showUser: !word && !quietCommands.has(command) },
    },
  };
}

/** One text for a person: what happened, and what to do about it. */
export const errorText = ({ message, nextStep }: VmkdError): string =>
  `${/[.!?…]$/.test(message) ? message : `${message}.`} ${nextStep}`;

/** What is wrong with something that was typed, and where in it, unless that is all of it. */
export function inText(thrown: unknown, text: string): unknown {
  if (!(thrown instanceof ExpressionError)) return thrown;
  const { code, message, nextStep, position } = thrown;
  const [start, end] = [text.length - text.trimStart().length, text.trimEnd().length];
  const isAll = position.offset <= start && position.offset + position.length >= end;
  if (isAll) return thrown;
  const place = position.offset >= end ? 'its end' : `character ${position.offset + 1}`;
  return new VmkdError(code, `${message.replace(/\.$/, '')}, at ${place}`, { nextStep, cause: thrown });
}

/** Does something with what was typed. @throws as `inText` has it */
export async function understood<T>(text: string, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (thrown) {
    throw inText(thrown, text);
  }
}

/** DAP wants a number that stays the same: 16 bits of FNV-1a over the code. */
export function errorId(code: ErrorCode): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(code)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return (hash >>> 16) ^ (hash & 0xffff);
}
