/** Modules of the kernel with the state of their symbols, as they come and go. */

import * as vscode from 'vscode';
import { commands, views } from '../names';
import { withSession } from '../session/orders';
import type { KernelSession, KernelSessions } from '../session/sessions';
import type { ModuleShown } from '../session/sessionState';

export class ModulesTree implements vscode.TreeDataProvider<ModuleShown> {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.#changed.event;
  /** Sessions whose modules were asked for. */
  readonly #asked = new WeakSet<KernelSession>();
  #shown: SessionModules | undefined;

  constructor(private readonly sessions: KernelSessions) {}

  register(subscriptions: vscode.ExtensionContext['subscriptions']): void {
    const view = vscode.window.createTreeView(views.modules, { treeDataProvider: this });
    const moduleOf = (module: ModuleShown | undefined): ModuleShown | undefined =>
      module ?? view.selection[0];
    subscriptions.push(
      view,
      this.#changed,
      this.sessions.onShown(() => this.#look()),
      vscode.commands.registerCommand(commands.loadSymbols, async (given?: ModuleShown) => {
        const module = moduleOf(given);
        if (module !== undefined) await loadSymbols(this.sessions.shown, module);
      }),
      vscode.commands.registerCommand(commands.openMemoryOfModule, async (given?: ModuleShown) => {
        const module = moduleOf(given);
        if (module !== undefined) await vscode.commands.executeCommand(commands.openMemory, module.id);
      }),
    );
  }

  #look(): void {
    const { shown } = this.sessions;
    const modules = shown?.state.modules;
    if (shown?.state.phase === 'stopped' && !this.#asked.has(shown)) {
      this.#asked.add(shown);
      // The answer comes back as any message does.
      shown.ask('modules', {}).catch(() => this.#asked.delete(shown));
    }
    if (shown === this.#shown?.session && modules === this.#shown?.modules) return;
    this.#shown = shown && { session: shown, modules: shown.state.modules };
    this.#changed.fire();
  }

  getChildren(parent?: ModuleShown): ModuleShown[] {
    return parent === undefined ? [...(this.sessions.shown?.state.modules.values() ?? [])] : [];
  }

  getTreeItem({ id, name, path, addressRange, symbolStatus, symbolFilePath }: ModuleShown): vscode.TreeItem {
    const item = new vscode.TreeItem(name);
    item.id = id;
    // Where they are from is long, and stands in the hover.
    item.description = symbolStatus.replace(/ from .*$/, '');
    item.iconPath = new vscode.ThemeIcon(
      symbolFilePath === undefined ? 'circle-outline' : 'symbol-namespace',
    );
    item.tooltip = [path, addressRange, symbolStatus, symbolFilePath]
      .filter((line) => line !== undefined)
      .join('\n');
    item.contextValue = symbolFilePath === undefined ? 'module' : 'moduleWithSymbols';
    item.accessibilityInformation = { label: `${name}, ${symbolStatus}` };
    return item;
  }
}

interface SessionModules {
  readonly session: KernelSession;
  readonly modules: ReadonlyMap<string, ModuleShown>;
}

/** Asks servers, too: whoever wants it has said so. By its address: a name is the guest's, and may be a pattern. */
async function loadSymbols(session: KernelSession | undefined, { id, name }: ModuleShown): Promise<void> {
  await vscode.window.withProgress({ location: { viewId: views.modules } }, () =>
    withSession(session, async (of) => {
      const { isLoaded, symbolStatus } = await of.own('vmkd/loadSymbols', { base: id });
      if (!isLoaded) throw new Error(`${name}: ${symbolStatus}`);
    }),
  );
}
