/**
 * What can be done with the shown session, as a list to choose from: a click on its line in the bar at the bottom opens it. What
 * is chosen is done with that session, though another may be shown by then.
 */

import * as vscode from 'vscode';
import { commands } from '../names';
import { sessionChoices } from './menuChoices';
import type { KernelSessions } from './sessions';

export function registerMenu(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  subscriptions.push(
    vscode.commands.registerCommand(commands.sessionMenu, async () => {
      const { shown } = sessions;
      if (shown === undefined) return;
      const items = sessionChoices(shown.state).map(({ icon, title, command, detail }) => ({
        label: `$(${icon}) ${title}`,
        ...(detail !== undefined && { detail }),
        command,
      }));
      const picked = await vscode.window.showQuickPick(items, { placeHolder: shown.name });
      if (picked !== undefined)
        await vscode.commands.executeCommand(picked.command, { sessionId: shown.session.id });
    }),
  );
}
