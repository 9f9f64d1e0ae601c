/**
 * QMP, QEMU's control protocol: one JSON object a line, over a Unix socket on which we listen and QEMU connects, so
 * that its readiness is an event. Source of truth: QEMU's docs/interop/qmp-spec.
 *
 * Invariant: each command settles once: with its answer, with QEMU's error, or when the connection or its limit ends.
 */

import type { Socket } from 'node:net';

const commandLimitMs = 10_000;

interface Pending {
  command: string;
  settle: (error: Error | undefined, answer: unknown) => void;
}

export class Qmp {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #greeted: Promise<void>;
  #greet: () => void = () => undefined;
  #text = '';
  #nextId = 1;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#greeted = new Promise((resolve) => (this.#greet = resolve));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#received(text));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#closed());
  }

  /** Waits for the greeting and leaves the negotiation mode. */
  async start(): Promise<void> {
    await this.#greeted;
    await this.execute('qmp_capabilities');
  }

  execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        settle(new Error(`QEMU did not answer ${command} within ${commandLimitMs / 1000} s`), undefined);
      }, commandLimitMs);
      const settle = (error: Error | undefined, answer: unknown): void => {
        clearTimeout(timer);
        this.#pending.delete(id);
        if (error === undefined) resolve(answer);
        else reject(error);
      };
      this.#pending.set(id, { command, settle });
      if (this.#socket.destroyed) settle(new Error(`QEMU has ended; ${command} was not sent`), undefined);
      else this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n')) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      if (line.trim() !== '') this.#message(JSON.parse(line) as Record<string, unknown>);
    }
  }

  #message(message: Record<string, unknown>): void {
    if ('QMP' in message) this.#greet();
    const pending = typeof message['id'] === 'number' ? this.#pending.get(message['id']) : undefined;
    if (pending === undefined) return; // an event
    const error = message['error'] as { desc?: string } | undefined;
    if (error === undefined) pending.settle(undefined, message['return']);
    else
      pending.settle(new Error(`QEMU refused ${pending.command}: ${error.desc ?? 'no reason'}`), undefined);
  }

  #closed(): void {
    for (const { command, settle } of [...this.#pending.values()]) {
      settle(new Error(`QEMU ended before it answered ${command}`), undefined);
    }
  }
}
