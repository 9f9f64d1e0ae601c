/**
 * Questions of the guest (DbgPrompt). The kernel waits for the answer, which is the next line that the user types into the
 * debug console. A newer question means that the guest has given up the older.
 */

import { VmkdError } from '../engine/core/errors';
import { guestText } from './output';
import type { Session } from './session';

export class Prompts {
  #answer: ((text: string) => void) | undefined;

  constructor(private readonly session: Pick<Session, 'output' | 'style'>) {}

  /** Resolves to what the user typed. */
  ask(prompt: string): Promise<string> {
    this.#answer?.('');
    const { output } = this.session;
    output.write('stdout', guestText(prompt));
    output.line('console', this.session.style('\nThe kernel waits for your answer: type it here.', 'bold'));
    return new Promise((resolve) => (this.#answer = resolve));
  }

  /** Why a kernel that runs does not stop now. Undefined: it has asked nothing. */
  get unanswered(): VmkdError | undefined {
    if (this.#answer === undefined) return undefined;
    return new VmkdError('target-did-not-stop', 'The kernel waits for an answer to its question', {
      nextStep: 'Type it into the debug console.',
    });
  }

  /** @returns Whether there was a question. */
  answer(text: string): boolean {
    const answer = this.#answer;
    if (answer === undefined) return false;
    this.#answer = undefined;
    answer(text);
    return true;
  }
}
