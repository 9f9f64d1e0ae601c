/**
 * Messages of logpoints: text with expressions in braces, as in `IRP {Irp,x} of {Irp->Tail.Overlay.Thread}`; `{{` and
 * `}}` stand for braces.
 */

import { Access, type AccessOptions } from './access';
import { compile, type CompiledExpression } from './compile';
import type { EvaluationContext } from './context';
import { bad, ExpressionError } from './expressionError';
import type { DisplayOptions } from './format/format';
import { summary } from './format/summary';
import { unreadableText } from './format/unreadable';

type Part = { readonly text: string } | { readonly expression: CompiledExpression };

const mostParts = 100;

export class LogMessage {
  readonly #parts: readonly Part[];

  /** @throws expression-bad, its position in the whole template */
  constructor(readonly template: string) {
    this.#parts = partsOf(template);
  }

  /**
   * What cannot be evaluated is said in its place: a logpoint must not stop at it.
   * @throws link and target errors, cancelled
   */
  async text(
    context: EvaluationContext,
    display: DisplayOptions,
    options: Omit<AccessOptions, 'allowWrites'> = {},
  ): Promise<string> {
    let text = '';
    for (const part of this.#parts) {
      text += 'text' in part ? part.text : await shown(part.expression, context, display, options);
    }
    return text;
  }
}

/** @throws expression-bad */
export const compileLogMessage = (template: string): LogMessage => new LogMessage(template);

async function shown(
  expression: CompiledExpression,
  context: EvaluationContext,
  display: DisplayOptions,
  options: AccessOptions,
): Promise<string> {
  try {
    const item = await expression.evaluate(context, options);
    return await summary(new Access(context, options), item, display);
  } catch (error) {
    return unreadableText(error);
  }
}

function partsOf(template: string): Part[] {
  const parts: Part[] = [];
  let text = '';
  let at = 0;
  while (at < template.length) {
    const character = template.charAt(at);
    if ((character === '{' || character === '}') && template.charAt(at + 1) === character) {
      text += character;
      at += 2;
    } else if (character === '{') {
      const end = endOfExpression(template, at);
      if (text !== '') parts.push({ text });
      text = '';
      parts.push({ expression: compiledAt(template, at + 1, end) });
      at = end + 1;
      if (parts.length > mostParts)
        throw bad('This message has too many parts.', { offset: 0, length: template.length });
    } else if (character === '}') {
      throw bad('This brace closes nothing; write “}}” for a brace.', { offset: at, length: 1 });
    } else {
      text += character;
      at++;
    }
  }
  if (text !== '') parts.push({ text });
  return parts;
}

/** Of the brace that closes what `start` opens; braces in quotes do not count. */
function endOfExpression(template: string, start: number): number {
  const token = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^]/gy;
  token.lastIndex = start + 1;
  for (let found = token.exec(template); found; found = token.exec(template)) {
    if (found[0] === '}') return found.index;
  }
  throw bad('The closing brace is missing; write “{{” for a brace.', { offset: start, length: 1 });
}

function compiledAt(template: string, start: number, end: number): CompiledExpression {
  try {
    return compile(template.slice(start, end));
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const { offset, length } = error.position;
    throw bad(error.message, { offset: offset + start, length }, error.nextStep);
  }
}
