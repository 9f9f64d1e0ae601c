/**
 * VS Code selects the first frame of a stop that has a source. Where none has, as in a kernel of which there are public symbols
 * only, it selects none: no variables, and F5 does nothing, for VS Code believes that the kernel runs. Then the top frame is selected
 * here.
 */

import * as vscode from 'vscode';
import type { KernelSession, KernelSessions } from './sessions';
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
  const stops = new WeakMap<KernelSession, SourcelessStop>();
  const look = (): void => {
    const item = vscode.debug.activeStackItem;
    if (!(item instanceof vscode.DebugThread)) return;
    const session = sessions.byId(item.session.id);
    const stop = session && stops.get(session);
    if (stop?.isSourceless !== true) return;
    const { phase, threadId } = session!.state;
    if (phase !== 'stopped' || threadId !== item.threadId) return;
    if (stop.tries++ < mostTries) void vscode.commands.executeCommand(toOnlyOne);
  };
  subscriptions.push(
    vscode.debug.onDidChangeActiveStackItem(look),
    sessions.onStarted((session) => {
      const stop = new SourcelessStop();
      stops.set(session, stop);
      session.onMessage((message) => {
        stop.heard(message, session.state.epoch);
        // VS Code hears of it after us.
        if (message.command === 'stackTrace') setImmediate(look);
      });
    }),
  );
}
