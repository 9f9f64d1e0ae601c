/** Commands about the pipe at which WinDbg attaches to the same kernel: whether it is there, who drives, how WinDbg gets there. */

import { spawn } from 'node:child_process';
import { lstatSync } from 'node:fs';
import * as vscode from 'vscode';
import { commands, debugType } from './names';
import { sessionMeant, withSession } from './session/orders';
import type { KernelSession, KernelSessions } from './session/sessions';
import { windbgArguments, windbgPlaces } from './windbg';

export function registerCompanion(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const order = (command: string, action: (session: KernelSession) => Promise<unknown>): void => {
    subscriptions.push(
      vscode.commands.registerCommand(command, (given?: unknown) =>
        withSession(sessionMeant(sessions, given), action),
      ),
    );
  };
  order(commands.startCompanion, (session) => session.own('vmkd/startCompanion', {}));
  order(commands.stopCompanion, (session) => session.own('vmkd/stopCompanion', undefined));
  order(commands.giveKernel, (session) => session.ask('handOver', { to: 'windbg' }));
  order(commands.takeKernel, (session) => session.ask('handOver', { to: 'session' }));
  order(commands.copyWindbgCommand, async ({ state }) => {
    if (state.companion !== undefined) await vscode.env.clipboard.writeText(state.companion.pipe);
  });
  order(commands.launchWindbg, async (session) => launch(await pipeOf(session)));
}

/** Opens it, where there is none yet. */
async function pipeOf(session: KernelSession): Promise<string> {
  return session.state.companion?.pipe ?? (await session.own('vmkd/startCompanion', {})).pipe;
}

/** Where there is none, its command line is at hand for the computer that has one. */
async function launch(pipe: string): Promise<void> {
  const named = vscode.workspace.getConfiguration(debugType).get<string>('windbg', '');
  const program = named === '' ? windbgPlaces(process.platform, process.env).find(isThere) : named;
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
