/**
 * The demo kernel's console, COM2: a log, and commands with one-line answers ("= text", or "! text" for a failure).
 *
 * Invariant: commands go out one at a time, so the next answer line belongs to the command that waits.
 */

import type { Socket } from 'node:net';

const answerLimitMs = 10_000;
/** The log is kept for error messages and waitFor; a kernel that talks for ever must not fill the heap. */
const keptLines = 10_000;

interface Watcher {
  seen(line: string): void;
  ended(): void;
}

export class KernelConsole {
  /** Every line so far, answers included, the oldest dropped after 10,000. */
  readonly lines: string[] = [];
  readonly #socket: Socket;
  readonly #watchers = new Set<Watcher>();
  #partial = '';
  #turn: Promise<unknown> = Promise.resolve();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#received(text));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      for (const watcher of [...this.#watchers]) watcher.ended();
    });
  }

  /**
   * Sends one line and resolves to its answer, without the mark. Rejects if the kernel says that the command failed,
   * does not answer within the limit (a debugger holds it?), or ends.
   */
  command(line: string, limitMs = answerLimitMs): Promise<string> {
    const run = async (): Promise<string> => {
      const answer = this.#next((text) => /^[=!] ?/.test(text), limitMs, `answer “${line}”`);
      this.#socket.write(`${line}\n`);
      const text = await answer;
      if (text.startsWith('!')) throw new Error(`The demo kernel refused “${line}”: ${text.slice(2)}`);
      return text.slice(2);
    };
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** The first line, past or to come, that matches. `from` skips that many lines: take `lines.length` before an act. */
  waitFor(pattern: RegExp, limitMs = answerLimitMs, from = 0): Promise<string> {
    const past = this.lines.slice(from).find((line) => pattern.test(line));
    if (past !== undefined) return Promise.resolve(past);
    return this.#next((line) => pattern.test(line), limitMs, `print ${pattern.source}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #next(wanted: (line: string) => boolean, limitMs: number, what: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        finish();
        reject(new Error(`The demo kernel ${why} before it would ${what}. Its last lines:\n${this.#tail()}`));
      };
      const timer = setTimeout(() => fail(`took over ${limitMs} ms`), limitMs);
      const watcher: Watcher = {
        seen: (line) => {
          if (!wanted(line)) return;
          finish();
          resolve(line);
        },
        ended: () => fail('ended'),
      };
      const finish = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
      };
      this.#watchers.add(watcher);
      if (this.#socket.destroyed) watcher.ended();
    });
  }

  #received(text: string): void {
    const pieces = (this.#partial + text).split('\n');
    this.#partial = pieces.pop() ?? '';
    for (const piece of pieces) {
      const line = piece.replace(/\r$/, '');
      this.lines.push(line);
      if (this.lines.length > keptLines) this.lines.shift();
      for (const watcher of [...this.#watchers]) watcher.seen(line);
    }
  }

  #tail(): string {
    const lines = this.lines.slice(-10);
    return lines.length === 0 ? '  (nothing)' : lines.map((line) => `  ${line}`).join('\n');
  }
}
