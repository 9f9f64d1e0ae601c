/**
 * Hovers over source ask for whole member accesses, not for the bare name of a member. VS Code asks whoever says that he knows a
 * language, whatever is debugged: so only while a kernel is.
 */

import * as vscode from 'vscode';
import type { KernelSessions } from '../session/sessions';
import { expressionAt } from './expressionAt';

const languages = ['c', 'cpp', 'rust'];

const provider: vscode.EvaluatableExpressionProvider = {
  provideEvaluatableExpression(document, { line, character }) {
    const { text } = document.lineAt(line);
    const span = expressionAt(text, character);
    if (span === undefined) return undefined;
    const range = new vscode.Range(line, span.start, line, span.end);
    return new vscode.EvaluatableExpression(range, text.slice(span.start, span.end));
  },
};

export function registerHover(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  let registered: vscode.Disposable | undefined;
  const look = (): void => {
    if (sessions.shown !== undefined) {
      registered ??= vscode.languages.registerEvaluatableExpressionProvider(languages, provider);
      return;
    }
    registered?.dispose();
    registered = undefined;
  };
  subscriptions.push(sessions.onShown(look), {
    dispose() {
      registered?.dispose();
    },
  });
}
