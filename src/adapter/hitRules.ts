/**
 * Conditions, hit counts and messages of breakpoints. They are compiled when the breakpoint is set, so that a mistake is
 * told then; at a hit nothing but the target is asked.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { asVmkdError } from '../engine/core/errors';
import { compile } from '../engine/expr/compile';
import { parseHitCondition } from '../engine/expr/hitCondition';
import { compileLogMessage } from '../engine/expr/logMessage';
import type { SourceLine } from '../engine/symbols/services/imageSymbols';
import type { HitRule, TargetProcessor } from '../engine/target/target';
import { errorText, inText, understood } from './errors';
import { guestText } from './output';
import type { Session } from './session';

export interface RuleTexts {
  readonly condition?: string;
  readonly hitCondition?: string;
  readonly logMessage?: string;
}

/** @returns Undefined if there is none. @throws expression-bad */
export function compileRule(
  session: Session,
  { condition, hitCondition, logMessage }: RuleTexts,
): HitRule | undefined {
  const test = read(condition, compile);
  const hits = read(hitCondition, parseHitCondition);
  const message = read(logMessage, compileLogMessage);
  if (test === undefined && hits === undefined && message === undefined) return undefined;
  const { signal } = session.ended;
  return {
    ...(test && {
      condition: async (processor: TargetProcessor) =>
        understood(test.text, async () =>
          test.test(await session.contexts.ofProcessor(processor), { signal }),
        ),
    }),
    ...(hits && { hits }),
    ...(message && {
      log: async (processor: TargetProcessor) => {
        const context = await session.contexts.ofProcessor(processor);
        const text = await message.text(context, { hex: false }, { signal });
        const { rip } = await processor.general();
        const source = session.target.symbols.framesAt(rip)[0]?.source;
        session.output.write('console', `${guestText(text)}\n`, source ? placeOf(session, source) : {});
      },
    }),
    onError: (error) => {
      session.output.line('important', `A breakpoint’s condition: ${errorText(asVmkdError(error))}`);
    },
  };
}

/** Where clients lead to from a line of output. */
const placeOf = (
  { sources, positions }: Session,
  { path, line }: SourceLine,
): Partial<P.OutputEvent['body']> => ({
  source: sources.describe(path),
  line: positions.lineToClient(line),
});

/** Undefined for a text that says nothing. @throws expression-bad */
function read<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  try {
    return parse(text);
  } catch (thrown) {
    throw inText(thrown, text);
  }
}
