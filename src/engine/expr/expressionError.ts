/** Failures of expressions: those of the engine's vocabulary, with the part of the text that they are about. */

import { asVmkdError, VmkdError, type ErrorCode } from '../core/errors';

/** A part of an expression's text, in UTF-16 units. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

export class ExpressionError extends VmkdError {
  /** What of the text is wrong, or could not be evaluated. */
  readonly position: Span;

  constructor(
    code: ErrorCode,
    message: string,
    position: Span,
    options: { nextStep?: string; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.name = 'ExpressionError';
    this.position = position;
  }

  override toJSON(): { code: ErrorCode; message: string; nextStep: string; position: Span } {
    return { ...super.toJSON(), position: this.position };
  }
}

/** The expression itself is wrong there. */
export const bad = (message: string, position: Span, nextStep?: string): ExpressionError =>
  new ExpressionError('expression-bad', message, position, nextStep === undefined ? {} : { nextStep });

/** What was thrown while that part was evaluated: with its place, if it has none yet. */
export function placed(thrown: unknown, position: Span): ExpressionError {
  if (thrown instanceof ExpressionError) return thrown;
  const { code, message, nextStep } = asVmkdError(thrown);
  return new ExpressionError(code, message, position, { nextStep, cause: thrown });
}

/** From the start of one to the end of the other. */
export const span = (from: Span, to: Span): Span => ({
  offset: from.offset,
  length: to.offset + to.length - from.offset,
});
