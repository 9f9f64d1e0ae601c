/** Hovers over source ask for whole member accesses, not for the bare name of a member. Only while a kernel is debugged. */

import * as vscode from 'vscode';
import type { KernelSessions } from '../session/sessions';
import { expressionAt } from './expressionAt';
import { sourceLanguages, whileDebugging } from './whileDebugging';

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
  whileDebugging(sessions, subscriptions, () =>
    vscode.languages.registerEvaluatableExpressionProvider([...sourceLanguages], provider),
  );
}
