/** “Run to Here” in the margin of an editor: the line that was clicked, not the one that the cursor is in. */

import * as vscode from 'vscode';
import { commands } from '../names';

/** What VS Code hands to commands in the menu of the margin. */
interface MarginContext {
  /** From 1. */
  readonly lineNumber?: number;
  readonly uri?: vscode.Uri;
}

export function registerRunToHere(subscriptions: vscode.ExtensionContext['subscriptions']): void {
  subscriptions.push(
    vscode.commands.registerCommand(commands.runToHere, async ({ lineNumber, uri }: MarginContext = {}) => {
      if (lineNumber !== undefined && uri !== undefined) {
        const selection = new vscode.Range(lineNumber - 1, 0, lineNumber - 1, 0);
        await vscode.window.showTextDocument(uri, { selection });
      }
      await vscode.commands.executeCommand('editor.debug.action.runToCursor');
    }),
  );
}
