/** What the user has ordered: he hears of what fails, in the words of whoever refused it. */

import * as vscode from 'vscode';
import type { KernelSession, KernelSessions } from './sessions';

export async function tellFailures(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    void vscode.window.showErrorMessage((thrown as Error).message);
  }
}

/** Of the shown session; nothing happens if there is none. */
export async function withShown(
  { shown }: KernelSessions,
  action: (session: KernelSession) => Promise<unknown>,
): Promise<void> {
  if (shown !== undefined) await tellFailures(() => action(shown));
}
