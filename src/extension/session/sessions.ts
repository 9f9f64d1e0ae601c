/**
 * The debug sessions of vmkd, as their messages tell (sessionState.ts): one object each, and which of them views show.
 *
 * Invariant: a message is only looked at; nothing here changes what goes between VS Code and the adapter.
 */

import * as vscode from 'vscode';
import type { OwnRequests } from '../../protocol/ownRequests';
import { contexts, debugType } from '../names';
import type { AdapterLine } from './adapterLine';
import { KnownFrames } from './knownFrames';
import { follow, newSession, type Message, type SessionState } from './sessionState';

export class KernelSession {
  state: SessionState = newSession;
  readonly #changed = new vscode.EventEmitter<SessionState>();
  readonly #told = new vscode.EventEmitter<Message>();
  readonly #frames = new KnownFrames();
  /** Told with the state of before. */
  readonly onChange = this.#changed.event;
  /** Every message of the adapter. */
  readonly onMessage = this.#told.event;

  /** @param line To its adapter, if we have one. */
  constructor(
    readonly session: vscode.DebugSession,
    private readonly line: AdapterLine | undefined,
  ) {}

  get name(): string {
    return this.session.name;
  }

  /** Sends a request of DAP. @param signal Gives it up. @throws what the adapter answers */
  async ask<Body>(command: string, args?: unknown, signal?: AbortSignal): Promise<Body> {
    if (this.line === undefined) return (await this.session.customRequest(command, args)) as Body;
    const response = await this.line.request(command, args, signal);
    // VS Code does not hear it, nor do its trackers.
    this.heard(response);
    if (response.success === true) return response.body as Body;
    throw new Error(response.body?.error?.format ?? response.message ?? `${command} failed`);
  }

  /** Sends one that is not DAP's. */
  own<Name extends keyof OwnRequests>(
    command: Name,
    args: OwnRequests[Name]['arguments'],
    signal?: AbortSignal,
  ): Promise<OwnRequests[Name]['body']> {
    return this.ask(command, args, signal);
  }

  /**
   * The frame that the user has selected, if it is of this session and of this stop: after a step, VS Code has that of the stop
   * before selected for a while.
   */
  get frameId(): number | undefined {
    const item = vscode.debug.activeStackItem;
    if (!(item instanceof vscode.DebugStackFrame) || item.session.id !== this.session.id) return undefined;
    return this.#frames.has(item.frameId) ? item.frameId : undefined;
  }

  /** The thread that the user has selected, by itself or by a frame, if it is of this session. */
  get threadId(): number | undefined {
    const item = vscode.debug.activeStackItem;
    return item?.session.id === this.session.id ? item.threadId : undefined;
  }

  heard(message: Message): void {
    const before = this.state;
    this.state = follow(before, message);
    this.#frames.heard(message, this.state.epoch);
    if (this.state !== before) this.#changed.fire(before);
    this.#told.fire(message);
  }

  ended(): void {
    const before = this.state;
    this.state = { ...before, phase: 'ended' };
    this.#changed.fire(before);
    this.#changed.dispose();
    this.#told.dispose();
  }
}

export class KernelSessions implements vscode.DebugAdapterTrackerFactory {
  readonly #sessions = new Map<string, KernelSession>();
  readonly #shown = new vscode.EventEmitter<void>();
  /** The shown session is another, or something of it has changed. */
  readonly onShown = this.#shown.event;
  readonly #started = new vscode.EventEmitter<KernelSession>();
  readonly onStarted = this.#started.event;
  #lastActive: string | undefined;

  constructor(private readonly lineOf: (session: vscode.DebugSession) => AdapterLine | undefined) {}

  register(subscriptions: vscode.ExtensionContext['subscriptions']): void {
    subscriptions.push(
      vscode.debug.registerDebugAdapterTrackerFactory(debugType, this),
      vscode.debug.onDidTerminateDebugSession(({ id }) => this.#end(id)),
      vscode.debug.onDidChangeActiveDebugSession((session) => {
        if (session?.type === debugType) this.#lastActive = session.id;
        this.#tell();
      }),
      this.#shown,
      this.#started,
    );
  }

  createDebugAdapterTracker(session: vscode.DebugSession): vscode.DebugAdapterTracker {
    const known = new KernelSession(session, this.lineOf(session));
    this.#sessions.set(session.id, known);
    this.#lastActive ??= session.id;
    known.onChange(() => {
      if (known === this.shown) this.#tell();
      if (known.state.phase !== 'ended') return;
      // VS Code says nothing of the end of one that was never attached. Others hear of it first, and one that is started again
      // has the same id.
      setImmediate(() => {
        if (this.byId(session.id) === known) this.#end(session.id);
      });
    });
    this.#started.fire(known);
    this.#tell();
    return { onDidSendMessage: (message: Message) => known.heard(message) };
  }

  /** The one that views show: the active one, else the one that was it last. */
  get shown(): KernelSession | undefined {
    const active = vscode.debug.activeDebugSession?.id ?? this.#lastActive;
    const found = active === undefined ? undefined : this.#sessions.get(active);
    return found ?? (this.#lastActive === undefined ? undefined : this.#sessions.get(this.#lastActive));
  }

  /** There are several. */
  get areMany(): boolean {
    return this.#sessions.size > 1;
  }

  byId(id: string): KernelSession | undefined {
    return this.#sessions.get(id);
  }

  #end(id: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    session.ended();
    if (this.#lastActive === id) [this.#lastActive] = this.#sessions.keys();
    this.#tell();
  }

  #tell(): void {
    const { phase, companion } = this.shown?.state ?? {};
    const { windbg = 'absent', driver } = companion ?? {};
    const said: Readonly<Record<keyof typeof contexts, unknown>> = {
      session: phase !== undefined,
      attached: phase === 'running' || phase === 'stopped',
      stopped: phase === 'stopped',
      companion: companion !== undefined,
      windbg: windbg === 'absent' ? undefined : driver === 'windbg' ? 'drives' : 'looksOn',
    };
    for (const [name, value] of Object.entries(said))
      void vscode.commands.executeCommand('setContext', contexts[name as keyof typeof contexts], value);
    this.#shown.fire();
  }
}
