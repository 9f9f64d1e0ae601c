/**
 * The extension: what VS Code starts when somebody debugs a kernel with vmkd, or opens one of its views. It registers what there
 * is, and does nothing else until something is asked for; the debugger itself runs in a process of its own (adapterProcess.ts).
 */

import * as vscode from 'vscode';
import { AdapterProcess } from './adapterProcess';
import { registerCompanion } from './companion';
import { registerDisassembly } from './disassembly/disassembly';
import { registerHover } from './editor/hover';
import { registerInlineValues } from './editor/inlineValues';
import { registerRunToHere } from './editor/runToHere';
import { registerControl } from './machines/control';
import { Doctor } from './machines/doctor';
import { pickMachine } from './machines/pick';
import { registerMemory } from './memory/openMemory';
import { commands } from './names';
import { RegistersView } from './registers/registersView';
import { attachTo, registerConfigurations } from './session/configurations';
import { registerMenu } from './session/menu';
import { registerSelectTop } from './session/selectTop';
import { KernelSessions } from './session/sessions';
import { showStatus } from './session/statusBar';
import { ModulesTree } from './trees/modulesTree';
import { ProcessesTree } from './trees/processesTree';

export function activate({ subscriptions, extensionPath, extensionUri }: vscode.ExtensionContext): void {
  const adapters = new AdapterProcess(extensionPath);
  adapters.register(subscriptions);
  const sessions = new KernelSessions((session) => adapters.lineOf(session));
  sessions.register(subscriptions);
  subscriptions.push(
    vscode.commands.registerCommand(commands.pickVm, async () => (await pickMachine())?.where),
    vscode.commands.registerCommand(commands.attach, async () => {
      const machine = await pickMachine();
      if (machine === undefined) return;
      const [folder] = vscode.workspace.workspaceFolders ?? [];
      await vscode.debug.startDebugging(folder, attachTo(machine.where, `Attach to ${machine.name}`));
    }),
  );
  registerConfigurations(subscriptions);
  registerDisassembly(sessions, subscriptions);
  registerHover(sessions, subscriptions);
  registerInlineValues(sessions, subscriptions);
  registerRunToHere(subscriptions);
  registerSelectTop(sessions, subscriptions);
  showStatus(sessions, subscriptions);
  registerMenu(sessions, subscriptions);
  registerControl(sessions, subscriptions);
  registerCompanion(sessions, subscriptions);
  registerMemory(extensionUri, sessions, subscriptions);
  new Doctor(extensionUri, sessions).register(subscriptions);
  new RegistersView(extensionUri, sessions).register(subscriptions);
  new ModulesTree(sessions).register(subscriptions);
  new ProcessesTree(sessions).register(subscriptions);
}
