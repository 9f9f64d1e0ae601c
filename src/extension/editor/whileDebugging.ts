/**
 * Providers for languages that others serve, too. VS Code asks whoever says that he knows a language, whatever is debugged: so we
 * say so only while a kernel is.
 */

import type * as vscode from 'vscode';
import type { KernelSessions } from '../session/sessions';

export const sourceLanguages = ['c', 'cpp', 'rust'] as const;

export function whileDebugging(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
  register: () => vscode.Disposable,
): void {
  let registered: vscode.Disposable | undefined;
  const look = (): void => {
    if (sessions.shown !== undefined) {
      registered ??= register();
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
