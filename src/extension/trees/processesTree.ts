/**
 * Processes of the stopped kernel, their threads, and the stacks of these; those that a processor is in are marked. Read when
 * somebody unfolds them, and again at another stop (reading.ts). While the kernel runs they stay as they were, and unfolded.
 */

import * as vscode from 'vscode';
import type { OwnProcess, OwnThread } from '../../protocol/ownRequests';
import { commands, views } from '../names';
import { tellFailures } from '../session/orders';
import type { KernelSession, KernelSessions } from '../session/sessions';
import { sourceUri, type NamedSource } from '../session/sourceUri';
import { isSame, settleTime, whenToRead, type Moment } from './reading';

type Node =
  | { readonly kind: 'process'; readonly process: OwnProcess }
  | { readonly kind: 'thread'; readonly thread: OwnThread }
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'note'; readonly text: string };

/** Of DAP's stackTrace. */
interface Frame {
  readonly name: string;
  readonly line: number;
  readonly source?: NamedSource;
  readonly instructionPointerReference?: string;
}

export class ProcessesTree implements vscode.TreeDataProvider<Node> {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<Node>;
  /** What was read of this kernel, by the addresses of what it is in; the processes by none. */
  #known = new Map<string, Node[]>();
  #moment: Moment | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly sessions: KernelSessions) {
    this.#view = vscode.window.createTreeView(views.processes, { treeDataProvider: this });
  }

  register(subscriptions: vscode.ExtensionContext['subscriptions']): void {
    const view = this.#view;
    subscriptions.push(
      view,
      this.#changed,
      { dispose: () => clearTimeout(this.#timer) },
      this.sessions.onShown(() => this.#look()),
      vscode.commands.registerCommand(commands.refreshProcesses, () => this.#changed.fire()),
      vscode.commands.registerCommand(commands.openMemoryOfThread, async (node?: Node) => {
        const address = addressOf(node ?? view.selection[0]);
        if (address !== undefined) await vscode.commands.executeCommand(commands.openMemory, address);
      }),
      vscode.commands.registerCommand(commands.disassembleFrame, async (node?: Node) => {
        const chosen = node ?? view.selection[0];
        const address = chosen?.kind === 'frame' ? addressOf(chosen) : undefined;
        if (address !== undefined) await vscode.commands.executeCommand(commands.openDisassembly, address);
      }),
      vscode.commands.registerCommand(commands.switchToThread, async (node?: Node) => {
        const { shown } = this.sessions;
        const chosen = node ?? view.selection[0];
        if (shown !== undefined && chosen?.kind === 'thread') await switchTo(shown, chosen.thread);
      }),
      vscode.commands.registerCommand(commands.copyAddress, async (node?: Node | { readonly id: string }) => {
        const address = node !== undefined && 'id' in node ? node.id : addressOf(node);
        if (address !== undefined) await vscode.env.clipboard.writeText(address);
      }),
    );
  }

  #look(): void {
    const { shown } = this.sessions;
    const now = shown && { ...shown.state, id: shown.session.id };
    const before = this.#moment;
    if (isSame(before, now)) return;
    this.#moment = now;
    clearTimeout(this.#timer);
    if (now?.phase !== 'running') this.#view.message = '';
    // A step is over before anybody could read it.
    else this.#timer = setTimeout(() => (this.#view.message = running), settleTime);
    switch (whenToRead(before, now, this.#known.has(''))) {
      case 'afresh':
        this.#known = new Map();
        this.#changed.fire();
        return;
      case 'at once':
        this.#changed.fire();
        return;
      case 'soon':
        this.#timer = setTimeout(() => this.#changed.fire(), settleTime);
        return;
      case 'not':
        return;
    }
  }

  async getChildren(parent?: Node): Promise<Node[]> {
    const { shown } = this.sessions;
    if (shown === undefined) return [];
    const known = this.#known;
    const within = addressOf(parent) ?? '';
    const asBefore = (): Node[] => known.get(within) ?? (parent === undefined ? [] : [note(running)]);
    if (!stands(shown)) return asBefore();
    try {
      const children = await childrenOf(shown, parent);
      known.set(within, children);
      return children;
    } catch (thrown) {
      return stands(shown) ? [note((thrown as Error).message)] : asBefore();
    }
  }

  getTreeItem(node: Node): vscode.TreeItem {
    switch (node.kind) {
      case 'process':
        return processItem(node.process);
      case 'thread':
        return threadItem(node.thread);
      case 'frame':
        return frameItem(node.frame);
      case 'note':
        return new vscode.TreeItem(node.text);
    }
  }
}

const running = 'The kernel is running.';
const note = (text: string): Node => ({ kind: 'note', text });
const stands = ({ state }: KernelSession): boolean => state.phase === 'stopped';

async function childrenOf(session: KernelSession, parent: Node | undefined): Promise<Node[]> {
  if (parent === undefined) {
    const { processes } = await session.own('vmkd/processes', undefined);
    return processes.map((process) => ({ kind: 'process', process }));
  }
  if (parent.kind === 'thread') {
    const { threadId } = await session.own('vmkd/visitThread', { ethread: parent.thread.ethread });
    const { stackFrames } = await session.ask<{ stackFrames: readonly Frame[] }>('stackTrace', { threadId });
    return stackFrames.map((frame) => ({ kind: 'frame', frame }));
  }
  if (parent.kind !== 'process') return [];
  const { threads } = await session.own('vmkd/threads', { eprocess: parent.process.eprocess });
  return threads.map((thread) => ({ kind: 'thread', thread }));
}

function processItem({ eprocess, id, name, directoryTableBase, cpus }: OwnProcess): vscode.TreeItem {
  const item = new vscode.TreeItem(
    name === '' ? '(no name)' : name,
    vscode.TreeItemCollapsibleState.Collapsed,
  );
  item.id = eprocess;
  item.description = [String(id), ...cpus.map((cpu) => `CPU ${cpu}`)].join(' · ');
  item.iconPath = new vscode.ThemeIcon(cpus.length > 0 ? 'server-process' : 'circle-small');
  item.tooltip = `EPROCESS ${eprocess}\nDirectoryTableBase ${directoryTableBase}`;
  item.contextValue = 'process';
  return item;
}

function threadItem({ ethread, id, start, cpu }: OwnThread): vscode.TreeItem {
  const item = new vscode.TreeItem(`Thread ${id}`, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = ethread;
  item.description = [start, cpu === undefined ? undefined : `CPU ${cpu}`]
    .filter((part) => part !== undefined)
    .join(' · ');
  item.iconPath = new vscode.ThemeIcon(cpu === undefined ? 'circle-small' : 'debug-stackframe');
  item.tooltip = `ETHREAD ${ethread}`;
  item.contextValue = 'thread';
  return item;
}

/** A click opens the source where it stands, if there is one, else its code. */
function frameItem({ name, line, source, instructionPointerReference }: Frame): vscode.TreeItem {
  const item = new vscode.TreeItem(name);
  item.iconPath = new vscode.ThemeIcon('debug-stackframe-dot');
  item.tooltip = instructionPointerReference ?? name;
  item.contextValue = 'frame';
  const uri = sourceUri(source);
  if (source?.name !== undefined && line > 0) item.description = `${source.name}:${line}`;
  if (uri !== undefined && line > 0) {
    const selection = new vscode.Range(line - 1, 0, line - 1, 0);
    item.command = {
      command: 'vscode.open',
      title: 'Open the source',
      arguments: [uri, { selection, preserveFocus: true }],
    };
  } else if (instructionPointerReference !== undefined)
    item.command = {
      command: commands.openDisassembly,
      title: 'Show Disassembly',
      arguments: [instructionPointerReference],
    };
  return item;
}

/** From now on, and until the kernel runs on, it is among the threads of the call stack, with variables and expressions of its own. */
const switchTo = (session: KernelSession, { ethread }: OwnThread): Promise<void> =>
  tellFailures(async () => {
    await session.own('vmkd/visitThread', { ethread, listed: true });
    await vscode.commands.executeCommand('workbench.debug.action.focusCallStackView');
  });

function addressOf(node: Node | undefined): string | undefined {
  switch (node?.kind) {
    case 'process':
      return node.process.eprocess;
    case 'thread':
      return node.thread.ethread;
    case 'frame':
      return node.frame.instructionPointerReference;
    case 'note':
    case undefined:
      return undefined;
  }
}
