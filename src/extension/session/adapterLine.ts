/**
 * The debug adapter as a process of its own, and the line to it. VS Code talks over it, and so do our own views: what they ask
 * need not go through VS Code's window, which is busy drawing a stop just when they want to know what is in it.
 *
 *   VS Code ──── 1, 2, 3 … ────┐             ┌──▶ events, and what VS Code has asked ──▶ VS Code
 *                              ├──▶ adapter ─┤
 *   views ── 2^30, 2^30+1 … ───┘             └──▶ what views have asked
 *
 * Invariants: the order in which the adapter says things is kept; VS Code never sees an answer that it has not asked for, nor
 * how far a view's look has come; once the process has ended, however that was, everything that is asked has an answer, and VS Code
 * knows that the session is over.
 */

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import * as vscode from 'vscode';
import { framed, MessageReader } from './framing';
import { OwnProgress } from './ownProgress';
import type { Message } from './sessionState';

/** VS Code numbers its requests from 1 on. */
const firstOwn = 2 ** 30;
/** Milliseconds in which an adapter whose line was closed lets its kernel go. */
const leaveLimit = 15_000;

interface Request {
  readonly seq: number;
  readonly type: string;
  readonly command: string;
}

export interface Response extends Message {
  readonly request_seq: number;
  readonly body?: { readonly error?: { readonly format?: string } };
}

export class AdapterLine extends vscode.Disposable implements vscode.DebugAdapter {
  readonly #sent = new vscode.EventEmitter<vscode.DebugProtocolMessage>();
  readonly onDidSendMessage = this.#sent.event;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #reader = new MessageReader();
  /** Of VS Code's requests, those without an answer. */
  readonly #asked = new Map<number, Request>();
  readonly #own = new Map<
    number,
    { readonly command: string; readonly resolve: (response: Response) => void }
  >();
  readonly #progress = new OwnProgress((seq) => this.#own.get(seq)?.command);
  #count = firstOwn;
  /** Why nobody answers any more. */
  #ended: string | undefined;
  readonly #over = new vscode.EventEmitter<void>();
  /** The process has ended, or was never there. */
  readonly onEnd = this.#over.event;
  /** It has said so itself, or VS Code has let go of it. */
  #isOver = false;

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    super(() => undefined);
    this.#process = spawn(command, args, { env: { ...process.env, ...env }, windowsHide: true });
    const { stdin, stdout, stderr } = this.#process;
    stdin.on('error', () => undefined);
    stdout.on('data', (bytes: Buffer) => this.#heard(bytes));
    stderr.setEncoding('utf8').on('data', (output: string) => this.#say(output));
    this.#process.on('error', ({ message }) =>
      this.#end(
        `The debug adapter cannot be run: ${message}. The setting “vmkd.node” names the Node that runs it; if it is empty, VS Code’s own does.`,
      ),
    );
    this.#process.on('close', (code, signal) =>
      this.#end(
        `The debug adapter has ended with ${signal ?? `exit code ${code}`}. Its guardian takes its breakpoints out and lets the kernel go; attach again.`,
      ),
    );
  }

  /** What VS Code says. */
  handleMessage(message: vscode.DebugProtocolMessage): void {
    const request = message as unknown as Request;
    if (this.#ended !== undefined) {
      this.#refuse(request, this.#ended);
      return;
    }
    if (request.type === 'request') this.#asked.set(request.seq, request);
    this.#process.stdin.write(framed(message));
  }

  /** What a view asks. @param signal Gives it up: it is answered, as soon as the adapter heeds that. */
  request(command: string, args: unknown, signal?: AbortSignal): Promise<Response> {
    const seq = this.#count++;
    if (this.#ended !== undefined) return Promise.resolve(refusal({ seq, command }, this.#ended));
    if (signal?.aborted === true) return Promise.resolve(refusal({ seq, command }, 'cancelled'));
    signal?.addEventListener('abort', () => {
      if (this.#own.has(seq)) void this.request('cancel', { requestId: seq });
    });
    return new Promise((resolve) => {
      this.#own.set(seq, { command, resolve });
      this.#process.stdin.write(framed({ seq, type: 'request', command, arguments: args }));
    });
  }

  /** VS Code is done with it. */
  override dispose(): void {
    this.#isOver = true;
    this.#process.stdin.end();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), leaveLimit);
    timer.unref();
    this.#process.once('close', () => clearTimeout(timer));
  }

  #heard(bytes: Buffer): void {
    try {
      for (const message of this.#reader.push(bytes)) this.#take(message as Response);
    } catch (thrown) {
      this.#end(`The debug adapter does not speak DAP: ${(thrown as Error).message}`);
      this.dispose();
    }
  }

  #take(message: Response): void {
    if (message.type === 'response') {
      const own = this.#own.get(message.request_seq);
      if (own !== undefined) {
        this.#own.delete(message.request_seq);
        own.resolve(message);
        return;
      }
      this.#asked.delete(message.request_seq);
    }
    if (message.event === 'terminated' || message.command === 'disconnect') this.#isOver = true;
    if (!this.#progress.hides(message)) this.#fire(message);
  }

  #end(why: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    for (const [seq, { command, resolve }] of this.#own) resolve(refusal({ seq, command }, why));
    this.#own.clear();
    for (const request of this.#asked.values()) this.#refuse(request, why);
    this.#asked.clear();
    if (!this.#isOver) this.#say(`${why}\n`);
    this.#fire({ type: 'event', event: 'terminated' });
    this.#over.fire();
  }

  /** To leave one that is not there any more is no failure. */
  #refuse(request: Request, why: string): void {
    if (request.type !== 'request') return;
    this.#fire({ ...refusal(request, why), success: request.command === 'disconnect' });
  }

  #say(output: string): void {
    this.#fire({ type: 'event', event: 'output', body: { category: 'stderr', output } });
  }

  #fire(message: Message): void {
    this.#sent.fire({ seq: 0, ...message });
  }
}

const refusal = ({ seq, command }: Pick<Request, 'seq' | 'command'>, message: string): Response => ({
  type: 'response',
  request_seq: seq,
  command,
  success: false,
  message,
});
