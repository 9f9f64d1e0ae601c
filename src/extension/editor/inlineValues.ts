/** Values beside the source: VS Code looks names up in the variables of the frame that is selected. Only while a kernel is debugged. */

import * as vscode from 'vscode';
import type { KernelSessions } from '../session/sessions';
import { inlineNames } from './inlineNames';
import { sourceLanguages, whileDebugging } from './whileDebugging';

const provider: vscode.InlineValuesProvider = {
  provideInlineValues(document, viewPort, { stoppedLocation }) {
    const stopped = stoppedLocation.start.line;
    return inlineNames((line) => document.lineAt(line).text, Math.min(stopped, document.lineCount - 1))
      .filter(({ line }) => line >= viewPort.start.line && line <= viewPort.end.line)
      .map(
        ({ line, column, name }) =>
          new vscode.InlineValueVariableLookup(
            new vscode.Range(line, column, line, column + name.length),
            name,
            true,
          ),
      );
  },
};

export function registerInlineValues(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  whileDebugging(sessions, subscriptions, () =>
    vscode.languages.registerInlineValuesProvider([...sourceLanguages], provider),
  );
}
