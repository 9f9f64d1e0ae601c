/** Commands that control the machine of the shown session, or one that the user chooses: pause, resume, reset, snapshots. */

import * as vscode from 'vscode';
import { asVmkdError } from '../../engine/core/errors';
import type { MachineControl, Snapshots } from '../../engine/machine/control';
import { findMachine } from '../../engine/machine/find';
import { commands } from '../names';
import type { KernelSessions } from '../session/sessions';
import { pickMachine } from './pick';

export function registerControl(
  sessions: KernelSessions,
  subscriptions: vscode.ExtensionContext['subscriptions'],
): void {
  const order = (command: string, title: string, action: (control: MachineControl) => Promise<void>) =>
    subscriptions.push(
      vscode.commands.registerCommand(command, async () => {
        const machine = machineOf(sessions) ?? (await pickMachine())?.where;
        if (machine !== undefined) await controlled(machine, title, action);
      }),
    );
  order(commands.pauseMachine, 'Pausing the machine', (control) => control.pause());
  order(commands.resumeMachine, 'Resuming the machine', (control) => control.unpause());
  order(commands.resetMachine, 'Resetting the machine', async (control) => {
    if (await confirmed('Reset the machine? What runs in it is lost.', 'Reset')) await control.reset();
  });
  order(commands.takeSnapshot, 'Taking a snapshot', async (control) => {
    const name = await vscode.window.showInputBox({ prompt: 'What shall the snapshot be called?' });
    if (name !== undefined && name !== '') await snapshotsOf(control).take(name);
  });
  order(commands.revertToSnapshot, 'Reverting to a snapshot', async (control) => {
    const snapshots = snapshotsOf(control);
    const name = await vscode.window.showQuickPick(snapshots.list(), { placeHolder: 'Which snapshot?' });
    if (name === undefined) return;
    // The kernel of the snapshot is another one than that of the session: it is let go before, and attached to anew.
    const { shown } = sessions;
    const attached = shown?.state.phase === 'ended' ? undefined : shown?.session;
    if (attached !== undefined) await vscode.debug.stopDebugging(attached);
    await snapshots.revert(name);
    if (attached !== undefined)
      await vscode.debug.startDebugging(attached.workspaceFolder, attached.configuration);
  });
}

/** As its launch configuration names it. */
export function machineOf(sessions: KernelSessions): string | undefined {
  const { vm, link } = (sessions.shown?.session.configuration ?? {}) as { vm?: unknown; link?: unknown };
  if (typeof vm === 'string' && vm !== '') return vm;
  return typeof link === 'string' && link !== '' ? link : undefined;
}

async function controlled(
  text: string,
  title: string,
  action: (control: MachineControl) => Promise<void>,
): Promise<void> {
  try {
    const machine = await findMachine(text);
    const control = await machine.openControl();
    try {
      await vscode.window.withProgress(
        { location: vscode.ProgressLocation.Window, title: `${title} (${machine.name})` },
        () => action(control),
      );
    } finally {
      control.close();
    }
  } catch (thrown) {
    const { message, nextStep } = asVmkdError(thrown);
    void vscode.window.showErrorMessage(`${title}: ${message}. ${nextStep}`);
  }
}

function snapshotsOf({ snapshots, way }: MachineControl): Snapshots {
  if (snapshots === undefined) throw new Error(`There are no snapshots by ${way}`);
  return snapshots;
}

const confirmed = async (question: string, yes: string): Promise<boolean> =>
  (await vscode.window.showWarningMessage(question, { modal: true }, yes)) === yes;
