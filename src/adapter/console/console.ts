/**
 * The debug console. What is typed is, in this order:
 *
 *   an answer       if the guest has asked a question (DbgPrompt)
 *   an expression   behind `?` or `??`
 *   a command       if its first word is one
 *   an expression   else; it may change the kernel
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { asVmkdError, VmkdError } from '../../engine/core/errors';
import { evaluate } from '../../engine/expr/compile';
import type { Place } from '../../engine/expr/values/place';
import { understood } from '../errors';
import { frameOf, viewOf } from '../evaluation';
import { nearest } from '../nearest';
import type { Call } from '../protocol';
import type { Session } from '../session';
import { describeValue } from '../variables/describe';
import { showItem, type Look } from '../variables/items';
import type { DataPlace, Shown } from '../variables/shown';
import type { Run } from './command';
import { commandNamed, commands } from './commands';

interface ConsoleInput {
  readonly frameId: number | undefined;
  readonly call: Call;
  readonly look: Look;
}

export async function runConsole(
  session: Session,
  typed: string,
  input: ConsoleInput,
): Promise<P.EvaluateResponse['body']> {
  if (session.prompts.answer(typed)) return nothing;
  const [, mark, text = ''] = /^\s*(\?\??)?\s*(.*?)\s*$/s.exec(typed) ?? [];
  if (text === '') return nothing;
  const [name = ''] = text.split(/\s/, 1);
  const command = mark === undefined ? commandNamed(name) : undefined;
  if (command === undefined) return evaluateTyped(session, text, name, input);
  const run: Run = {
    session,
    call: input.call,
    look: input.look,
    args: text.slice(name.length).trim(),
    frame: () => frameOf(session, input.frameId),
    view: () => viewOf(session, input.frameId),
  };
  const result = await command.run(run);
  if (result === undefined) return nothing;
  return typeof result === 'string' ? { result, variablesReference: 0 } : described(session, result);
}

const nothing: P.EvaluateResponse['body'] = { result: '', variablesReference: 0 };

async function evaluateTyped(
  session: Session,
  text: string,
  firstWord: string,
  { frameId, look }: ConsoleInput,
): Promise<P.EvaluateResponse['body']> {
  const view = await viewOf(session, frameId);
  const stored: (DataPlace | undefined)[] = [];
  try {
    const onStored = (place: Place, size: number): void => {
      stored.push(place.kind === 'memory' ? { address: place.address, size } : undefined);
    };
    const options = { signal: look.signal, allowWrites: true, onStored };
    const item = await session.turn.run(() => understood(text, () => evaluate(text, view.context, options)));
    return described(session, await showItem(view, item, look));
  } catch (thrown) {
    throw withSuggestion(thrown, firstWord);
  } finally {
    // What fails may have written before.
    for (const place of stored) await session.valueWritten(place);
  }
}

/** A mistyped command looks like an expression of an unknown name. */
function withSuggestion(thrown: unknown, word: string): unknown {
  const error = asVmkdError(thrown);
  const meant = nearest(
    word,
    commands.map(({ name }) => name).filter((name) => name.length > 1),
  );
  if (error.code !== 'expression-bad' || meant === undefined) return thrown;
  return new VmkdError(error.code, error.message, {
    nextStep: `Did you mean the command “${meant}”? ${error.nextStep}`,
    cause: thrown,
  });
}

const described = (session: Session, shown: Shown): P.EvaluateResponse['body'] => ({
  result: shown.value,
  ...describeValue(session, shown),
});
