/** Commands that open memory views: at an expression, at what a variable points to. */

import * as vscode from 'vscode';
import type { OwnProcess } from '../../protocol/ownRequests';
import { commands } from '../names';
import { sessionMeant } from '../session/orders';
import type { KernelSession, KernelSessions } from '../session/sessions';
import type { Space } from '../webviews/messages';
import { readMemoryLink } from './memoryLinks';
import { MemoryPanel } from './memoryPanel';

/** What VS Code hands to commands in the menu of a variable. */
interface VariableContext {
  readonly sessionId?: string;
  readonly variable?: { readonly evaluateName?: string; readonly memoryReference?: string };
}

/** A process of the view of them. */
interface ProcessNode {
  readonly process?: OwnProcess;
}

export function registerMemory(
  extension: vscode.Uri,
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const open = (
    expression: string,
    session: KernelSession | undefined,
    space: Space = { kind: 'virtual' },
  ): void => {
    if (session === undefined) {
      void vscode.window.showInformationMessage(
        'There is no kernel whose memory could be shown: attach to one first.',
      );
      return;
    }
    new MemoryPanel(extension, sessions, session, { expression, space });
  };
  subscriptions.push(
    vscode.commands.registerCommand(commands.openMemory, async (given?: unknown, id?: unknown) => {
      const session = sessionMeant(sessions, typeof id === 'string' ? { sessionId: id } : given);
      const expression =
        typeof given === 'string'
          ? given
          : await vscode.window.showInputBox({
              prompt: 'Memory at which address?',
              placeHolder: '@rsp, nt!PsLoadedModuleList, poi(@rsp+8), 0xfffff80312345678',
              value: selectedText() ?? '@rsp',
              // A kernel that stops meanwhile takes the focus, not what was typed.
              ignoreFocusOut: true,
            });
      if (expression !== undefined && expression.trim() !== '') open(expression, session);
    }),
    vscode.commands.registerCommand(commands.openMemoryOfProcess, (node?: ProcessNode) => {
      if (node?.process === undefined) return;
      const { eprocess, name, id } = node.process;
      open('0x10000', sessions.shown, { kind: 'process', eprocess, name: `${name} (${id})` });
    }),
    vscode.commands.registerCommand(commands.openMemoryOfVariable, (context?: VariableContext) => {
      const { memoryReference, evaluateName } = context?.variable ?? {};
      const expression = memoryReference ?? evaluateName;
      if (expression !== undefined) open(expression, sessionMeant(sessions, context));
    }),
    vscode.window.registerUriHandler({
      handleUri(uri) {
        const link = readMemoryLink(uri);
        if (link !== undefined) open(link.address, sessions.byId(link.sessionId));
      },
    }),
  );
}

/** A word of the editor, if one is selected while a kernel is debugged. */
function selectedText(): string | undefined {
  const editor = vscode.window.activeTextEditor;
  const text = editor?.document.getText(editor.selection) ?? '';
  return text === '' || text.length > 200 || text.includes('\n') ? undefined : text;
}
