/**
 * The debug adapter as a process of its own: a kernel must be let go also when VS Code's extension host ends, and a large PDB
 * must not slow other extensions down.
 */

import path from 'node:path';
import * as vscode from 'vscode';
import { debugType } from './names';

export class AdapterProcess implements vscode.DebugAdapterDescriptorFactory {
  constructor(private readonly extensionPath: string) {}

  createDebugAdapterDescriptor(): vscode.DebugAdapterDescriptor {
    const { command, env } = nodeProcess();
    return new vscode.DebugAdapterExecutable(command, [path.join(this.extensionPath, 'dist', 'adapter.js')], {
      env,
    });
  }
}

/** What runs our programs: the Node that the user has named, else the one inside VS Code. */
export function nodeProcess(): { readonly command: string; readonly env: Record<string, string> } {
  const settings = vscode.workspace.getConfiguration(debugType);
  const node = settings.get<string>('node', '');
  const vmrun = settings.get<string>('vmrun', '');
  return {
    command: node === '' ? process.execPath : node,
    env: {
      // VS Code's own program is a Node only when told so.
      ...(node === '' ? { ELECTRON_RUN_AS_NODE: '1' } : {}),
      ...(vmrun === '' ? {} : { VMKD_VMRUN: vmrun }),
    },
  };
}
