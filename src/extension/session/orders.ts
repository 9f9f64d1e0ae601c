/** What the user has ordered: he hears of what fails, in the words of whoever refused it. */

import * as vscode from 'vscode';
import { withoutLinks } from '../../protocol/notificationText';
import type { KernelSession, KernelSessions } from './sessions';

export async function tellFailures(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (thrown) {
    void vscode.window.showErrorMessage(withoutLinks((thrown as Error).message));
  }
}

/** The session that an order is about, as whoever gives it says (`{ sessionId }`, as VS Code does); else the shown one. */
export function sessionMeant(sessions: KernelSessions, given: unknown): KernelSession | undefined {
  const { sessionId } = (given ?? {}) as { readonly sessionId?: unknown };
  return typeof sessionId === 'string' ? sessions.byId(sessionId) : sessions.shown;
}

/** Nothing happens if there is no session. */
export async function withSession(
  session: KernelSession | undefined,
  action: (session: KernelSession) => Promise<unknown>,
): Promise<void> {
  if (session !== undefined) await tellFailures(() => action(session));
}
