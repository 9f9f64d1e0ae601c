/** The shown session in the bar at the bottom; a click offers what can be done with it. */

import * as vscode from 'vscode';
import { commands } from '../names';
import type { KernelSessions } from './sessions';
import { statusDetails, statusText } from './statusText';

export function showStatus(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const item = vscode.window.createStatusBarItem('vmkd.status', vscode.StatusBarAlignment.Left, 10);
  item.name = 'vmkd';
  item.command = commands.sessionMenu;
  const show = (): void => {
    const session = sessions.shown;
    if (session === undefined || session.state.phase === 'ended') {
      item.hide();
      return;
    }
    item.text = statusText(session.state, session.threadId);
    item.tooltip = [session.name, ...statusDetails(session.state), 'Click for what can be done.'].join('\n');
    item.show();
  };
  subscriptions.push(item, sessions.onShown(show), vscode.debug.onDidChangeActiveStackItem(show));
  show();
}
