/**
 * The extension: what VS Code starts when somebody debugs a kernel with vmkd, or opens one of its views. It registers what there
 * is, and does nothing else until something is asked for; the debugger itself runs in a process of its own (adapterProcess.ts).
 */

import * as vscode from 'vscode';
import { AdapterProcess } from './adapterProcess';
import { debugType } from './names';

export function activate({ subscriptions, extensionPath }: vscode.ExtensionContext): void {
  subscriptions.push(
    vscode.debug.registerDebugAdapterDescriptorFactory(debugType, new AdapterProcess(extensionPath)),
  );
}
