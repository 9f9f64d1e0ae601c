/**
 * The debug adapter as a process of its own: a kernel must be let go also when VS Code's extension host ends, and a large PDB
 * must not slow other extensions down.
 */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import { memoryLink } from './memory/memoryLinks';
import { debugType } from './names';
import { AdapterLine } from './session/adapterLine';

export class AdapterProcess implements vscode.DebugAdapterDescriptorFactory {
  /** By the ids of sessions. */
  readonly #lines = new Map<string, AdapterLine>();

  constructor(private readonly extensionPath: string) {}

  register(subscriptions: vscode.ExtensionContext['subscriptions']): void {
    subscriptions.push(vscode.debug.registerDebugAdapterDescriptorFactory(debugType, this));
  }

  createDebugAdapterDescriptor(session: vscode.DebugSession): vscode.DebugAdapterDescriptor {
    const { command, env } = nodeProcess();
    const program = path.join(this.extensionPath, 'dist', 'adapter.js');
    const link = memoryLink(vscode.env.uriScheme, session.id);
    // The folder not as that which it is started in: Windows looks for programs there first, and it is the workspace's.
    const line = new AdapterLine(command, [program, '--folder', folderOf(session)], {
      ...env,
      VMKD_MEMORY_LINK: link,
    });
    this.#lines.set(session.id, line);
    // VS Code says nothing of the end of a session that was never attached.
    line.onEnd(() => {
      if (this.#lines.get(session.id) === line) this.#lines.delete(session.id);
    });
    return new vscode.DebugAdapterInlineImplementation(line);
  }

  /** undefined: VS Code has connected itself with an adapter, as `debugServer` of the configuration says. */
  lineOf({ id }: vscode.DebugSession): AdapterLine | undefined {
    return this.#lines.get(id);
  }
}

/** Relative paths in a configuration are of the folder that it stands in. */
function folderOf({ workspaceFolder }: vscode.DebugSession): string {
  const { uri } = workspaceFolder ?? vscode.workspace.workspaceFolders?.[0] ?? {};
  return uri?.scheme === 'file' && existsSync(uri.fsPath) ? uri.fsPath : homedir();
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
