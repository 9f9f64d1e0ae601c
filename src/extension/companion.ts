/** Commands about the pipe at which WinDbg attaches to the same kernel: who drives, and how WinDbg gets there. */

import { spawn } from 'node:child_process';
import { lstatSync } from 'node:fs';
import * as vscode from 'vscode';
import { commands } from './names';
import type { KernelSessions } from './session/sessions';
import { windbgArguments, windbgPlaces } from './windbg';

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
    vscode.commands.registerCommand(commands.launchWindbg, async () => {
      const pipe = sessions.shown?.state.companion?.pipe;
      if (pipe !== undefined) await launch(pipe);
    }),
  );
}

/** Where there is none, its command line is at hand for the computer that has one. */
async function launch(pipe: string): Promise<void> {
  const program = windbgPlaces(process.platform, process.env).find(isThere);
  const args = windbgArguments(pipe);
  if (program === undefined || args === undefined) {
    await vscode.env.clipboard.writeText(pipe);
    void vscode.window.showInformationMessage(
      'WinDbg is not installed on this computer. The command that attaches it is in the clipboard.',
    );
    return;
  }
  const child = spawn(program, args, { stdio: 'ignore' });
  child.once(
    'error',
    ({ message }) => void vscode.window.showErrorMessage(`WinDbg did not start: ${message}`),
  );
  child.unref();
}

/** Also what only Windows itself can open: the Store's programs are such. */
function isThere(file: string): boolean {
  try {
    lstatSync(file);
    return true;
  } catch {
    return false;
  }
}
