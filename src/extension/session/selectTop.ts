/**
 * VS Code selects the first frame of a stop that has a source. Where none has, as in a kernel of which there are public symbols
 * only, it selects none: no variables, and F5 does nothing, for VS Code believes that the kernel runs. Then the top frame is selected
 * here.
 */

import * as vscode from 'vscode';
import { debugType } from '../names';
import type { KernelSessions } from './sessions';
import type { Message } from './sessionState';
import { SourcelessStop } from './sourcelessStop';

/**
 * Of VS Code: “Navigate to Bottom of Call Stack”, which is the last frame that is not pale. To the top, it goes by the same rule
 * that has selected nothing.
 */
const toOnlyOne = 'workbench.action.debug.callStackBottom';
/** In one stop: VS Code takes its selection back as often as it asks for more of the stack. */
const mostTries = 3;

export function registerSelectTop(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const stops = new Map<string, SourcelessStop>();
  const look = (): void => {
    const item = vscode.debug.activeStackItem;
    if (!(item instanceof vscode.DebugThread)) return;
    const state = sessions.byId(item.session.id)?.state;
    const stop = stops.get(item.session.id);
    if (state?.phase !== 'stopped' || state.threadId !== item.threadId || stop?.isSourceless !== true) return;
    if (stop.tries++ < mostTries) void vscode.commands.executeCommand(toOnlyOne);
  };
  subscriptions.push(
    vscode.debug.onDidChangeActiveStackItem(look),
    vscode.debug.onDidTerminateDebugSession(({ id }) => stops.delete(id)),
    // What views ask the adapter by themselves does not come by here.
    vscode.debug.registerDebugAdapterTrackerFactory(debugType, {
      createDebugAdapterTracker({ id }) {
        const stop = new SourcelessStop();
        stops.set(id, stop);
        return {
          onWillReceiveMessage: (message: Message) => stop.asked(message),
          onDidSendMessage(message: Message) {
            const { epoch = 0, threadId } = sessions.byId(id)?.state ?? {};
            stop.heard(message, epoch, threadId);
            // VS Code hears of it after us.
            if (message.command === 'stackTrace') setImmediate(look);
          },
        };
      },
    }),
  );
}
