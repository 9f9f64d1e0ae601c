/**
 * Launch configurations: those that can be offered without one, one for each machine that is found, and what F5 does where there
 * is no launch.json.
 */

import * as vscode from 'vscode';
import { findMachines } from '../../engine/machine/find';
import { userHost } from '../machines/host';
import { offeredMachines } from '../machines/offer';
import { commands, debugType } from '../names';

export const attachName = 'Attach to VMware kernel';

export const attachTo = (vm: string, name = attachName): vscode.DebugConfiguration => ({
  type: debugType,
  request: 'attach',
  name,
  vm,
});

export function registerConfigurations(subscriptions: vscode.ExtensionContext['subscriptions']): void {
  const { Initial, Dynamic } = vscode.DebugConfigurationProviderTriggerKind;
  const pick = attachTo(`\${command:${commands.pickVm}}`);
  subscriptions.push(
    vscode.debug.registerDebugConfigurationProvider(
      debugType,
      { provideDebugConfigurations: () => [pick] },
      Initial,
    ),
    vscode.debug.registerDebugConfigurationProvider(
      debugType,
      {
        async provideDebugConfigurations() {
          const { machines } = await findMachines(userHost());
          return offeredMachines(machines).map(({ name, where }) => attachTo(where, `Attach to ${name}`));
        },
      },
      Dynamic,
    ),
    vscode.debug.registerDebugConfigurationProvider(debugType, {
      resolveDebugConfiguration: (_folder, given) => (isEmpty(given) ? pick : given),
    }),
  );
}

/** Without launch.json there is nothing in it but what VS Code adds. */
const isEmpty = ({ type, request, name }: Partial<vscode.DebugConfiguration>): boolean =>
  [type, request, name].some((field) => field === undefined || field === '');
