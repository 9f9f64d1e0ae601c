/** Asks the user which machine is meant. */

import * as vscode from 'vscode';
import { findMachines } from '../../engine/machine/find';
import { userHost } from './host';
import { offeredMachines, type OfferedMachine } from './offer';

/** @returns undefined: none was chosen */
export async function pickMachine(): Promise<OfferedMachine | undefined> {
  const nothing = new vscode.CancellationTokenSource();
  const items = findMachines(userHost()).then(({ machines, problems }) => {
    if (machines.length > 0) return offeredMachines(machines).map(itemOf);
    nothing.cancel();
    const why = problems[0]?.message ?? 'Start one, or write its “link” into the launch configuration.';
    void vscode.window.showInformationMessage(`No virtual machine was found. ${why}`);
    return [];
  });
  const options = { placeHolder: 'Which virtual machine?', matchOnDescription: true, matchOnDetail: true };
  const picked = await vscode.window.showQuickPick(items, options, nothing.token);
  nothing.dispose();
  return picked?.machine;
}

const itemOf = (machine: OfferedMachine): vscode.QuickPickItem & { readonly machine: OfferedMachine } => ({
  label: machine.name,
  description: machine.state,
  detail: machine.way,
  machine,
});
