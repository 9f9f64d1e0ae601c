/**
 * A memory view: an editor on the address space of one kernel. It asks the adapter for what its page wants to show, and tells the
 * page when that is old. Any number of them may be open.
 *
 * Invariant: a view belongs to one session; when that has ended, to the next of the same name. Sessions never mix in it.
 */

import * as vscode from 'vscode';
import { Soon } from '../../engine/core/soon';
import { panels } from '../names';
import type { KernelSession, KernelSessions } from '../session/sessions';
import type { Message } from '../session/sessionState';
import { preparePage } from '../webviews/html';
import type { FromMemory, ToMemory } from '../webviews/messages';
import { titleOf, type Place } from './places';
import { copy, save } from './reading';

/** Milliseconds: symbols of many modules come in a row. */
const settleTime = 300;
/** Milliseconds: a command may write in many pieces. */
const writeTime = 20;

type Shown = Pick<Place, 'expression' | 'space'>;

export class MemoryPanel {
  readonly #panel: vscode.WebviewPanel;
  readonly #renamed = new Soon(settleTime, () => this.#send({ kind: 'renamed' }));
  /** What the page has asked for and has no answer to, by its numbers. */
  readonly #reads = new Map<number, AbortController>();
  readonly #touched = new Soon(writeTime, () => this.#send({ kind: 'touched' }));
  readonly #disposables = [vscode.Disposable.from(this.#renamed, this.#touched)];
  #bound: vscode.Disposable[] = [];
  #session: KernelSession | undefined;
  #name: string;
  /** Where it is, or shall be at first. */
  #place: Shown;
  #isDisposed = false;

  constructor(
    extension: vscode.Uri,
    private readonly sessions: KernelSessions,
    session: KernelSession,
    place: Shown,
  ) {
    this.#name = session.name;
    this.#place = place;
    this.#panel = vscode.window.createWebviewPanel(
      panels.memory,
      this.#title,
      { viewColumn: MemoryPanel.#column() },
      { retainContextWhenHidden: true, enableFindWidget: true },
    );
    this.#panel.webview.onDidReceiveMessage(
      (message: FromMemory) => this.#heard(message),
      undefined,
      this.#disposables,
    );
    this.#disposables.push(
      sessions.onStarted((started) => {
        if (this.#session === undefined && started.name === this.#name) this.#bind(started);
      }),
      sessions.onShown(() => this.#tellTitle()),
    );
    this.#panel.onDidDispose(() => {
      this.#isDisposed = true;
      for (const read of this.#reads.values()) read.abort();
      for (const one of [...this.#disposables, ...this.#bound]) one.dispose();
    });
    this.#bind(session);
    preparePage(this.#panel.webview, extension, 'memory');
  }

  /** Beside the source, and all of them there. */
  static #column(): vscode.ViewColumn {
    const tabs = vscode.window.tabGroups.all.find(({ activeTab }) => isMemory(activeTab?.input));
    return tabs?.viewColumn ?? vscode.ViewColumn.Beside;
  }

  #bind(session: KernelSession): void {
    for (const one of this.#bound) one.dispose();
    this.#session = session;
    this.#name = session.name;
    this.#bound = [
      session.onChange(() => {
        if (session.state.phase === 'ended') this.#session = undefined;
        this.#tellState(session);
      }),
      session.onMessage((message) => this.#follow(message)),
    ];
    this.#tellState(session);
  }

  #follow({ type, event }: Message): void {
    if (type !== 'event') return;
    if (event === 'vmkd/memoryWritten') this.#touched.ask();
    if (event === 'module') this.#renamed.ask();
  }

  #tellState({ state, session }: KernelSession): void {
    const { phase, epoch, boot, transport } = state;
    this.#send({
      kind: 'state',
      phase,
      epoch,
      kernel: `${session.id} ${boot}`,
      canBeLive: transport !== undefined && transport.memory !== undefined,
    });
  }

  get #title(): string {
    return titleOf(this.#place, this.sessions.areMany ? this.#name : undefined);
  }

  #tellTitle(): void {
    if (this.#panel.title !== this.#title) this.#panel.title = this.#title;
  }

  /** What it has asked for may come when nobody is there any more. */
  #send(message: ToMemory): void {
    if (this.#isDisposed) return;
    void this.#panel.webview.postMessage(message);
  }

  #heard(message: FromMemory): void {
    this.#answer(message).catch((thrown: unknown) => {
      this.#send(failureOf(message, (thrown as Error).message));
    });
  }

  async #answer(message: FromMemory): Promise<void> {
    const session = this.#session;
    switch (message.kind) {
      case 'ready':
        // Another page has asked for them.
        for (const read of this.#reads.values()) read.abort();
        this.#reads.clear();
        // Moved into a window of its own, it is another page.
        if (session !== undefined) this.#tellState(session);
        this.#send({ ...this.#place, kind: 'show' });
        if (this.#panel.active) await keepApart();
        return;
      case 'copy':
        await vscode.env.clipboard.writeText(message.text);
        return;
      case 'shows':
        this.#place = { expression: message.expression, space: message.space };
        this.#tellTitle();
        return;
      case 'forget':
        this.#reads.get(message.id)?.abort();
        return;
      case 'breakOn':
        await breakOn(message.address, message.count);
        return;
      case 'go':
      case 'read':
      case 'save':
      case 'copyRange':
      case 'symbolize':
      case 'translate':
      case 'write':
        if (session === undefined) throw new Error('The session has ended');
        await this.#ask(session, message);
    }
  }

  async #ask(
    session: KernelSession,
    message: Exclude<FromMemory, { kind: 'ready' | 'copy' | 'shows' | 'forget' | 'breakOn' }>,
  ): Promise<void> {
    switch (message.kind) {
      case 'go':
        await this.#go(session, message.id, message.expression);
        return;
      case 'read':
        await this.#read(session, message);
        return;
      case 'translate': {
        const { space, address } = message;
        const translation = await session.own('vmkd/pageTables', {
          address,
          ...(space.kind === 'process' && { eprocess: space.eprocess }),
        });
        this.#send({ kind: 'translation', address, translation });
        return;
      }
      case 'symbolize': {
        const { names } = await session.own('vmkd/symbolize', { addresses: message.addresses });
        this.#send({ kind: 'names', id: message.id, names });
        return;
      }
      case 'write':
        if (message.epoch !== session.state.epoch)
          throw new Error('It was not written: the kernel has gone on since you saw it.');
        await session.ask('writeMemory', { memoryReference: message.address, data: message.data });
        return;
      case 'save':
        await save(session, message);
        return;
      case 'copyRange':
        await copy(session, message, message.unit);
        return;
    }
  }

  async #read(session: KernelSession, message: Extract<FromMemory, { kind: 'read' }>): Promise<void> {
    const { id, space, address, count } = message;
    const abort = new AbortController();
    this.#reads.set(id, abort);
    const answer = await session.own('vmkd/readMemory', { space, address, count }, abort.signal).then(
      ({ data, unreadableBytes }) => ({ kind: 'bytes', id, data, unreadable: unreadableBytes }) as const,
      (thrown: unknown) => failureOf(message, (thrown as Error).message),
    );
    if (this.#reads.get(id) !== abort) return;
    this.#reads.delete(id);
    this.#send(answer);
  }

  async #go(session: KernelSession, id: number, expression: string): Promise<void> {
    // An address is one while the kernel runs, too.
    const given = /^\s*0x[0-9a-f`]+\s*$/i.test(expression)
      ? expression.trim().replaceAll('`', '')
      : undefined;
    const { frameId } = session;
    const { memoryReference } =
      given === undefined
        ? await session.own('vmkd/locate', { expression, ...(frameId !== undefined && { frameId }) })
        : { memoryReference: given };
    this.#send({ kind: 'went', id, expression, address: memoryReference });
  }
}

function failureOf(message: FromMemory, why: string): ToMemory {
  switch (message.kind) {
    case 'read':
      return { kind: 'unread', id: message.id, message: why };
    case 'symbolize':
      // Numbers without names are no news.
      return { kind: 'names', id: message.id, names: [] };
    case 'go':
      return { kind: 'lost', id: message.id, message: why };
    case 'ready':
    case 'copy':
    case 'copyRange':
    case 'shows':
    case 'save':
    case 'forget':
    case 'breakOn':
    case 'translate':
    case 'write':
      return { kind: 'failed', message: why };
  }
}

/** A group that has memory views alone stays so: sources that a stop opens go elsewhere, and not over them. */
async function keepApart(): Promise<void> {
  const { tabs } = vscode.window.tabGroups.activeTabGroup;
  if (tabs.every(({ input }) => isMemory(input)))
    await vscode.commands.executeCommand('workbench.action.lockEditorGroup');
}

/** VS Code puts a prefix before the names of panels. */
const isMemory = (input: unknown): boolean =>
  input instanceof vscode.TabInputWebview && input.viewType.endsWith(panels.memory);

/** VS Code takes data breakpoints from people only: its own question is opened, with the answer at hand. */
async function breakOn(address: string, count: number): Promise<void> {
  // VS Code understands it with spaces alone.
  await vscode.env.clipboard.writeText(`${address} + ${count}`);
  await vscode.commands.executeCommand('workbench.debug.viewlet.action.addDataBreakpointOnAddress');
}
