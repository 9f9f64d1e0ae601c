/** Commands about the pipe at which WinDbg attaches to the same kernel: who drives, and how WinDbg gets there. */

import * as vscode from 'vscode';
import { commands } from './names';
import type { KernelSessions } from './session/sessions';

export function registerCompanion(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const handOver = async (to: 'windbg' | 'session'): Promise<void> => {
    try {
      await sessions.shown?.ask('handOver', { to });
    } catch (thrown) {
      void vscode.window.showErrorMessage((thrown as Error).message);
    }
  };
  subscriptions.push(
    vscode.commands.registerCommand(commands.giveKernel, () => handOver('windbg')),
    vscode.commands.registerCommand(commands.takeKernel, () => handOver('session')),
    vscode.commands.registerCommand(commands.copyWindbgCommand, async () => {
      const pipe = sessions.shown?.state.companion?.pipe;
      if (pipe !== undefined) await vscode.env.clipboard.writeText(pipe);
    }),
  );
}
