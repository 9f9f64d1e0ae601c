/**
 * The doctor: what stands between here and the kernel of a machine, step by step, with what to do about it. `vmkd doctor` walks
 * the steps in a process of its own; after an attach that failed, it is called by itself.
 */

import { execFile } from 'node:child_process';
import path from 'node:path';
import * as vscode from 'vscode';
import { nodeProcess } from '../adapterProcess';
import { commands, panels } from '../names';
import type { KernelSessions } from '../session/sessions';
import { statusDetails } from '../session/statusText';
import { preparePage } from '../webviews/html';
import type { DoctorStep, FromDoctor, ToDoctor } from '../webviews/messages';
import { machineOf } from './control';
import { pickMachine } from './pick';

/** Milliseconds. */
const limit = 120_000;

export class Doctor {
  #panel: vscode.WebviewPanel | undefined;
  #report: ToDoctor | undefined;
  #subject = '';

  constructor(
    private readonly extension: vscode.Uri,
    private readonly sessions: KernelSessions,
  ) {}

  register(subscriptions: vscode.ExtensionContext['subscriptions']): void {
    subscriptions.push(
      vscode.commands.registerCommand(commands.doctor, () => this.#called()),
      this.sessions.onStarted((session) => {
        session.onChange((before) => {
          const { failure } = session.state;
          if (failure === undefined || before.failure !== undefined) return;
          const { vm, link } = session.session.configuration as { vm?: unknown; link?: unknown };
          const subject = [vm, link].find((one) => typeof one === 'string' && one !== '');
          if (typeof subject === 'string') void this.#examine(subject, failure);
        });
      }),
    );
  }

  async #called(): Promise<void> {
    const { shown } = this.sessions;
    if (shown !== undefined && shown.state.phase !== 'ended') {
      // The way is taken: by the session itself, which knows most about it.
      const sentence = (line: string): DoctorStep => ({ name: '', result: 'pass', sentence: line });
      this.#tell({
        kind: 'report',
        subject: shown.name,
        note: 'A session is attached. This is what it knows:',
        steps: statusDetails(shown.state).map(sentence),
      });
      return;
    }
    const subject = machineOf(this.sessions) ?? (await pickMachine())?.where;
    if (subject !== undefined) await this.#examine(subject, '');
  }

  async #examine(subject: string, why: string): Promise<void> {
    this.#subject = subject;
    this.#tell({
      kind: 'report',
      subject,
      note: `${why}\nChecking every step of the way…`.trim(),
      steps: [],
    });
    const { steps, failure } = await this.#run(subject);
    this.#tell({
      kind: 'report',
      subject,
      note: [why, failure].filter((one) => one !== '').join('\n'),
      steps,
    });
  }

  #run(subject: string): Promise<{ steps: readonly DoctorStep[]; failure: string }> {
    const { command, env } = nodeProcess();
    const args = [path.join(this.extension.fsPath, 'dist', 'vmkd.js'), 'doctor', subject, '--json'];
    return new Promise((resolve) => {
      execFile(
        command,
        args,
        { env: { ...process.env, ...env }, timeout: limit, maxBuffer: 1 << 24 },
        (error, stdout, stderr) => {
          try {
            const { steps, error: refused } = JSON.parse(stdout) as {
              steps?: readonly DoctorStep[];
              error?: { message: string; nextStep: string };
            };
            const failure = refused === undefined ? '' : `${refused.message}. ${refused.nextStep}`;
            resolve({ steps: steps ?? [], failure });
          } catch {
            resolve({ steps: [], failure: `The check-up failed: ${error?.message ?? stderr}` });
          }
        },
      );
    });
  }

  #tell(report: ToDoctor): void {
    this.#report = report;
    if (this.#panel !== undefined) {
      void this.#panel.webview.postMessage(report);
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
    panel.onDidDispose(() => (this.#panel = undefined));
    panel.webview.onDidReceiveMessage((message: FromDoctor) => {
      if (message.kind === 'again') void this.#examine(this.#subject, '');
      else void panel.webview.postMessage(this.#report);
    });
    preparePage(panel.webview, this.extension, 'doctor');
  }
}
