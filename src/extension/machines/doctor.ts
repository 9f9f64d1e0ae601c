/**
 * The doctor: what stands between here and the kernel of a machine, step by step, with what to do about it. `vmkd doctor` walks
 * the steps in a process of its own (checkUp.ts); after an attach that failed, it is called by itself.
 *
 * Invariants: one check at a time; none goes on that nobody waits for: its page was closed, another was called for, or a session
 * begins, which wants the link.
 */

import * as vscode from 'vscode';
import { commands, panels } from '../names';
import type { KernelSessions } from '../session/sessions';
import { sessionMeant } from '../session/orders';
import { statusDetails } from '../session/statusText';
import { preparePage } from '../webviews/html';
import type { DoctorStep, FromDoctor, ToDoctor } from '../webviews/messages';
import { checkUp } from './checkUp';
import { machineOf } from './control';
import { pickMachine } from './pick';

export class Doctor {
  #panel: vscode.WebviewPanel | undefined;
  #report: ToDoctor | undefined;
  #subject = '';
  /** The check that goes on. */
  #check: AbortController | undefined;

  constructor(
    private readonly extension: vscode.Uri,
    private readonly sessions: KernelSessions,
  ) {}

  register(subscriptions: vscode.ExtensionContext['subscriptions']): void {
    subscriptions.push(
      vscode.commands.registerCommand(commands.doctor, (given?: unknown) => this.#called(given)),
      this.sessions.onStarted((session) => {
        if (this.#breakOff()) this.#tell('A session begins, and wants the link: the check was broken off.');
        session.onChange((before) => {
          const { failure } = session.state;
          if (failure === undefined || before.failure !== undefined) return;
          const { vm, link } = session.session.configuration as { vm?: unknown; link?: unknown };
          const subject = [vm, link].find((one) => typeof one === 'string' && one !== '');
          if (typeof subject === 'string') void this.#examine(subject, failure);
        });
      }),
      { dispose: () => this.#breakOff() },
    );
  }

  async #called(given: unknown): Promise<void> {
    const shown = sessionMeant(this.sessions, given);
    if (shown !== undefined && shown.state.phase !== 'ended') {
      // The way is taken: by the session itself, which knows most about it.
      const sentence = (line: string): DoctorStep => ({ name: '', result: 'pass', sentence: line });
      this.#breakOff();
      this.#subject = shown.name;
      this.#show();
      this.#tell('A session is attached. This is what it knows:', statusDetails(shown.state).map(sentence));
      return;
    }
    const subject = machineOf({ shown }) ?? (await pickMachine())?.where;
    if (subject !== undefined) await this.#examine(subject, '');
  }

  async #examine(subject: string, why: string): Promise<void> {
    this.#breakOff();
    const check = (this.#check = new AbortController());
    this.#subject = subject;
    this.#show();
    this.#tell(`${why}\nChecking every step of the way…`.trim());
    const found = await checkUp(this.extension.fsPath, subject, check.signal);
    if (found === undefined) return;
    this.#check = undefined;
    this.#tell([why, found.failure].filter((one) => one !== '').join('\n'), found.steps);
  }

  /** @returns Whether there was something to break off */
  #breakOff(): boolean {
    const check = this.#check;
    this.#check = undefined;
    check?.abort();
    return check !== undefined;
  }

  /** @param note Why he was called, or what is being done. */
  #tell(note: string, steps: readonly DoctorStep[] = []): void {
    this.#report = { kind: 'report', subject: this.#subject, note, steps };
    void this.#panel?.webview.postMessage(this.#report);
  }

  /** Brings his page to the front, without the keyboard. */
  #show(): void {
    if (this.#panel !== undefined) {
      this.#panel.reveal(undefined, true);
      return;
    }
    const panel = vscode.window.createWebviewPanel(
      panels.doctor,
      'vmkd Doctor',
      { viewColumn: vscode.ViewColumn.Active, preserveFocus: true },
      {},
    );
    this.#panel = panel;
    panel.onDidDispose(() => {
      this.#panel = undefined;
      this.#breakOff();
    });
    panel.webview.onDidReceiveMessage((message: FromDoctor) => {
      // A session that is attached has the way for itself.
      if (message.kind === 'again' && this.sessions.shown !== undefined) void this.#called(undefined);
      else if (message.kind === 'again') void this.#examine(this.#subject, '');
      else void panel.webview.postMessage(this.#report);
    });
    preparePage(panel.webview, this.extension, 'doctor');
  }
}
