/**
 * The registers of a processor of the shown session: of the thread that is selected in the call stack, or of the one that the user
 * has chosen here. Groups that are folded are not read.
 *
 *   stop ──▶ read ──▶ shown       who asks again meanwhile (another group, another processor, another stop) gets the next reading
 *
 * Invariant: what is shown is of one stop; a reading that ends after the kernel has gone on, or after a later one has begun, is
 * dropped, and there is always a later one then. What is set goes to the session and the stop that are shown, or nowhere.
 */

import * as vscode from 'vscode';
import { Soon } from '../../engine/core/soon';
import { commands, views } from '../names';
import type { KernelSession, KernelSessions } from '../session/sessions';
import { preparePage } from '../webviews/html';
import type { FromRegisters, ToRegisters } from '../webviews/messages';
import { preserved, readRegisters } from './readRegisters';
import { RegisterHistory } from './registerText';

const openAtFirst = ['General', 'Flags', 'Segments', preserved];
/** Milliseconds for what changes in a stop: symbols of many modules come in a row. */
const settleTime = 100;

/** What is shown. */
interface Shown {
  readonly session: KernelSession;
  readonly epoch: number;
  readonly references: ReadonlyMap<string, number>;
}

export class RegistersView implements vscode.WebviewViewProvider {
  #view: vscode.WebviewView | undefined;
  readonly #open = new Set(openAtFirst);
  readonly #history = new RegisterHistory();
  /** Chosen by the user, for the session. */
  #cpu: { readonly session: string; readonly id: number } | undefined;
  /** What is selected in the call stack, in a stop. */
  #selected: { readonly session: KernelSession; readonly epoch: number; readonly thread: number } | undefined;
  #shown: Shown | undefined;
  /** What was read, or is being read. */
  #reading = '';
  #count = 0;
  /** The processors of which the page knows, and which one is shown. */
  #told: { readonly threads: ReadonlyMap<number, string>; readonly cpu: number } | undefined;

  constructor(
    private readonly extension: vscode.Uri,
    private readonly sessions: KernelSessions,
  ) {}

  register(subscriptions: vscode.ExtensionContext['subscriptions']): void {
    const soon = new Soon(settleTime, () => {
      if (this.sessions.shown?.state.phase === 'stopped') void this.#show(true);
    });
    subscriptions.push(
      soon,
      vscode.window.registerWebviewViewProvider(views.registers, this),
      this.sessions.onShown(() => void this.#show()),
      vscode.debug.onDidChangeActiveStackItem(() => this.#select()),
      // Somebody else has set a register, or there are names that were not there before.
      this.sessions.onStarted((session) =>
        session.onMessage(({ type, event }) => {
          if (type === 'event' && event === 'invalidated') soon.ask();
        }),
      ),
    );
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.#view = view;
    view.onDidDispose(() => (this.#view = undefined));
    view.onDidChangeVisibility(() => void this.#show(true));
    view.webview.onDidReceiveMessage((message: FromRegisters) => void this.#heard(message));
    preparePage(view.webview, this.extension, 'registers');
  }

  async #heard(message: FromRegisters): Promise<void> {
    const session = this.sessions.shown;
    switch (message.kind) {
      case 'ready':
        this.#told = undefined;
        break;
      case 'cpu':
        if (session !== undefined) this.#choose(session, message.id);
        break;
      case 'open':
        if (message.isOpen) this.#open.add(message.path);
        else this.#open.delete(message.path);
        break;
      case 'set':
        // What is wrong with it must stay to be read.
        if (!(await this.#set(message))) return;
        break;
      case 'memory':
        await vscode.commands.executeCommand(commands.openMemory, message.address, message.session);
        return;
    }
    await this.#show(true);
  }

  /**
   * For a while after a stop, VS Code has what was selected before. Once it has selected a frame of this stop, the user has
   * selected whatever comes after that.
   */
  #select(): void {
    const session = this.sessions.shown;
    if (session?.state.phase !== 'stopped') return;
    const { frameId, threadId: thread } = session;
    const { epoch } = session.state;
    if (thread === undefined || (frameId === undefined && !this.#hasSelected(session))) return;
    this.#selected = { session, epoch, thread };
    void this.#show();
  }

  #hasSelected(session: KernelSession): boolean {
    return this.#selected?.session === session && this.#selected.epoch === session.state.epoch;
  }

  /** The thread that is selected; else the processor that stopped. */
  #selectedIn(session: KernelSession): number {
    return (this.#hasSelected(session) ? this.#selected?.thread : undefined) ?? session.state.threadId ?? 1;
  }

  /** The one that is selected: whichever that will be. */
  #choose(session: KernelSession, id: number): void {
    this.#cpu = id === this.#selectedIn(session) ? undefined : { session: session.session.id, id };
  }

  /** @returns Whether it is set */
  async #set(message: Extract<FromRegisters, { kind: 'set' }>): Promise<boolean> {
    const { path, name, value } = message;
    const shown = this.#shown;
    const variablesReference = shown?.references.get(path);
    try {
      if (shown === undefined || variablesReference === undefined || !isOf(shown, message))
        throw new Error(`${name} was not set: the kernel has gone on since you saw it.`);
      await shown.session.ask('setVariable', { variablesReference, name, value });
      return true;
    } catch (thrown) {
      this.#send({ kind: 'failed', message: (thrown as Error).message });
      return false;
    }
  }

  /** @param again Also if this stop is shown already. */
  async #show(again = false): Promise<void> {
    if (this.#view?.visible !== true) return;
    const session = this.sessions.shown;
    if (session?.state.phase !== 'stopped') {
      this.#reading = '';
      this.#send({ kind: 'nothing', why: whyNothing(session?.state.phase) });
      return;
    }
    const { epoch, boot } = session.state;
    const { id } = session.session;
    const cpu = this.#cpuOf(session);
    this.#tellCpus(session, cpu);
    const key = `${id} ${epoch} ${cpu}`;
    if (key === this.#reading && !again) return;
    this.#reading = key;
    const turn = ++this.#count;
    const isOld = (): boolean =>
      turn !== this.#count || session.state.epoch !== epoch || session.state.phase !== 'stopped';
    try {
      const { groups, references } = await readRegisters(session, cpu, (path) => this.#open.has(path));
      if (isOld()) return;
      this.#shown = { session, epoch, references };
      const changed = [...this.#history.changes(`${id} ${boot} ${cpu}`, epoch, groups)];
      this.#send({ kind: 'registers', session: id, epoch, cpu, groups, changed });
    } catch (thrown) {
      if (isOld()) return;
      this.#reading = '';
      this.#send({ kind: 'nothing', why: (thrown as Error).message });
    }
  }

  /** The one that was chosen, as long as there is one. */
  #cpuOf(session: KernelSession): number {
    const chosen = this.#cpu?.session === session.session.id ? this.#cpu.id : undefined;
    const isThere = chosen !== undefined && session.state.threads.has(chosen);
    return isThere ? chosen : this.#selectedIn(session);
  }

  /** Their names are told some time after the stop. */
  #tellCpus({ state: { threads } }: KernelSession, cpu: number): void {
    if (this.#told?.threads === threads && this.#told.cpu === cpu) return;
    this.#told = { threads, cpu };
    this.#send({ kind: 'cpus', cpus: [...threads].map(([id, name]) => ({ id, name })), cpu });
  }

  #send(message: ToRegisters): void {
    void this.#view?.webview.postMessage(message);
  }
}

/** Whether what is shown is what the page had when it said so, and is still true. */
const isOf = (
  { session, epoch }: Shown,
  said: { readonly session: string; readonly epoch: number },
): boolean =>
  said.session === session.session.id &&
  said.epoch === epoch &&
  session.state.epoch === epoch &&
  session.state.phase === 'stopped';

function whyNothing(phase: 'attaching' | 'running' | 'ended' | undefined): string {
  switch (phase) {
    case 'running':
      return 'The kernel is running.';
    case 'attaching':
      return 'The kernel is not reached yet.';
    case 'ended':
    case undefined:
      return 'No kernel is debugged.';
  }
}
