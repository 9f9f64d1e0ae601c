/**
 * The registers of a processor of the shown session. Groups that are folded are not read.
 *
 *   stop ──▶ read ──▶ shown       who asks again meanwhile (another group, another processor, another stop) gets the next reading
 *
 * Invariant: what is shown is of one stop; a reading that ends after the kernel has gone on, or after a later one has begun, is
 * dropped, and there is always a later one then.
 */

import * as vscode from 'vscode';
import { commands, views } from '../names';
import type { KernelSession, KernelSessions } from '../session/sessions';
import { preparePage } from '../webviews/html';
import type { FromRegisters, RegisterGroup, ToRegisters } from '../webviews/messages';

interface Variable {
  readonly name: string;
  readonly value: string;
  readonly variablesReference: number;
  readonly presentationHint?: { readonly attributes?: readonly string[]; readonly lazy?: boolean };
}

const openAtFirst = ['General', 'Flags', 'Segments'];

export class RegistersView implements vscode.WebviewViewProvider {
  #view: vscode.WebviewView | undefined;
  readonly #open = new Set(openAtFirst);
  /** Chosen by the user, for the session. */
  #cpu: { readonly session: string; readonly id: number } | undefined;
  /** Of the groups that are shown. */
  #references: ReadonlyMap<string, number> = new Map();
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
    subscriptions.push(
      vscode.window.registerWebviewViewProvider(views.registers, this),
      this.sessions.onShown(() => void this.#show()),
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
        if (message.isOpen) this.#open.add(message.group);
        else this.#open.delete(message.group);
        break;
      case 'set':
        // What is wrong with it must stay to be read.
        if (!(await this.#set(session, message.group, message.name, message.value))) return;
        break;
      case 'memory':
        await vscode.commands.executeCommand(commands.openMemory, message.expression);
        return;
    }
    await this.#show(true);
  }

  /** The one that stopped: whichever that will be. */
  #choose({ session, state }: KernelSession, id: number): void {
    this.#cpu = id === state.threadId ? undefined : { session: session.id, id };
  }

  /** @returns Whether it is set */
  async #set(
    session: KernelSession | undefined,
    group: string,
    name: string,
    value: string,
  ): Promise<boolean> {
    const variablesReference = this.#references.get(group);
    if (session === undefined || variablesReference === undefined) return false;
    try {
      await session.ask('setVariable', { variablesReference, name, value });
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
    const { epoch } = session.state;
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
      const { groups, references } = await this.#read(session, cpu);
      if (isOld()) return;
      this.#references = references;
      this.#send({ kind: 'registers', session: id, epoch, cpu, groups });
    } catch (thrown) {
      if (isOld()) return;
      this.#reading = '';
      this.#send({ kind: 'nothing', why: (thrown as Error).message });
    }
  }

  /** The one that was chosen, as long as there is one. */
  #cpuOf({ session, state }: KernelSession): number {
    const chosen = this.#cpu?.session === session.id ? this.#cpu.id : undefined;
    const isThere = chosen !== undefined && state.threads.has(chosen);
    return isThere ? chosen : (state.threadId ?? 1);
  }

  /** Their names are told some time after the stop. */
  #tellCpus({ state: { threads } }: KernelSession, cpu: number): void {
    if (this.#told?.threads === threads && this.#told.cpu === cpu) return;
    this.#told = { threads, cpu };
    this.#send({ kind: 'cpus', cpus: [...threads].map(([id, name]) => ({ id, name })), cpu });
  }

  async #read(
    session: KernelSession,
    threadId: number,
  ): Promise<{ groups: RegisterGroup[]; references: ReadonlyMap<string, number> }> {
    const { stackFrames } = await session.ask<{ stackFrames: readonly { id: number }[] }>('stackTrace', {
      threadId,
      startFrame: 0,
      levels: 1,
    });
    const [frame] = stackFrames;
    if (frame === undefined) throw new Error('The processor stands nowhere');
    const { scopes } = await session.ask<{
      scopes: readonly { presentationHint?: string; variablesReference: number }[];
    }>('scopes', { frameId: frame.id });
    const scope = scopes.find(({ presentationHint }) => presentationHint === 'registers');
    if (scope === undefined) throw new Error('There are no registers');
    const inside = async (variablesReference: number): Promise<readonly Variable[]> =>
      (await session.ask<{ variables: readonly Variable[] }>('variables', { variablesReference })).variables;
    const found = await inside(scope.variablesReference);
    const groups = await Promise.all(
      found.map(async ({ name, variablesReference }): Promise<RegisterGroup> => {
        if (!this.#open.has(name)) return { name, lines: undefined };
        const lines = await Promise.all(
          (await inside(variablesReference)).map(async (line) => {
            // What costs a request each is read when its group is open.
            const [value] = line.presentationHint?.lazy === true ? await inside(line.variablesReference) : [];
            return {
              name: line.name,
              value: value?.value ?? line.value,
              canSet: line.presentationHint?.attributes?.includes('readOnly') !== true,
            };
          }),
        );
        return { name, lines };
      }),
    );
    return { groups, references: new Map(found.map((group) => [group.name, group.variablesReference])) };
  }

  #send(message: ToRegisters): void {
    void this.#view?.webview.postMessage(message);
  }
}

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
