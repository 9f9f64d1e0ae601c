/**
 * QMP, QEMU's control protocol: JSON objects, one a line, over a stream.
 *
 *   QEMU → {"QMP": {"version": …, "capabilities": […]}}                 the greeting
 *        ← {"execute": "qmp_capabilities", "id": 1}                     nothing else is obeyed before
 *   QEMU → {"return": {}, "id": 1}   or   {"error": {"class": …, "desc": …}, "id": 1}
 *   QEMU → {"event": "STOP", "timestamp": …, "data": …}                 at any time
 *
 * Source of truth: QEMU's docs/interop/qmp-spec. A socket that QEMU listens on takes one client; a second one connects and
 * hears nothing, which is how a monitor that somebody holds is told.
 *
 * Invariants: each command settles once: with its answer, with QEMU's refusal, by its limit, or with the end of the
 * connection; a line has at most `longestLine` bytes, and what is no JSON object ends the connection.
 */

import { connect, type Socket } from 'node:net';
import { systemClock, type Clock, type Timer } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import { Listeners } from '../../core/listeners';

/** Where QEMU listens for a QMP client, on this machine. */
export type QmpAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Milliseconds. Most commands take less than one; saving and loading a machine's state takes longer. */
export const commandLimit = 10_000;
/** Milliseconds for the connection and the greeting: QEMU's main loop may be busy. */
const greetingLimit = 5000;

/** Bytes. “info mtree -f” of a large machine has some hundred thousand. */
const longestLine = 16 << 20;

interface Pending {
  readonly command: string;
  readonly timer: Timer;
  readonly settle: (error: VmkdError | undefined, answer?: unknown) => void;
}

export const formatQmpAddress = (address: QmpAddress): string =>
  'path' in address ? `unix:${address.path}` : `tcp:${address.host}:${address.port}`;

/** Connects to a monitor. @throws machine-no-control, machine-monitor-busy, machine-monitor-lost */
export async function connectQmp(
  address: QmpAddress,
  options: { readonly clock?: Clock; readonly milliseconds?: number } = {},
): Promise<Qmp> {
  const { clock = systemClock, milliseconds = greetingLimit } = options;
  const name = formatQmpAddress(address);
  const socket = await new Promise<Socket>((resolve, reject) => {
    const candidate = connect(address);
    const fail = (why: string, cause?: unknown): void => {
      timer.cancel();
      candidate.destroy();
      const message = `The monitor ${name} cannot be reached: ${why}.`;
      const nextStep = 'Does the machine still run, and is it yours?';
      reject(new VmkdError('machine-no-control', message, { cause, nextStep }));
    };
    const timer = clock.after(milliseconds, () => fail(`it did not answer within ${milliseconds} ms`));
    candidate.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EAGAIN') {
        fail(error.message, error);
        return;
      }
      // A Unix socket says so when as many wait already as it lets wait.
      timer.cancel();
      const message = `The monitor ${name} is held by somebody, and others wait for it.`;
      reject(new VmkdError('machine-monitor-busy', message, { cause: error }));
    });
    candidate.once('connect', () => {
      timer.cancel();
      candidate.removeAllListeners('error');
      resolve(candidate);
    });
  });
  const qmp = new Qmp(socket, name, clock);
  await qmp.start(milliseconds);
  return qmp;
}

export class Qmp {
  readonly onEvent = new Listeners<QmpEvent>();
  /** The connection has ended, by whomever. Told once. */
  readonly onEnd = new Listeners<VmkdError>();
  readonly #pending = new Map<number, Pending>();
  /** What has come of the next line. */
  #parts: Buffer[] = [];
  #length = 0;
  #nextId = 1;
  #greet: (() => void) | undefined;
  #end: VmkdError | undefined;

  /** @param socket Connected to QEMU, nothing read yet; it belongs to us from now on. @param name For messages. */
  constructor(
    private readonly socket: Socket,
    readonly name: string,
    private readonly clock: Clock = systemClock,
  ) {
    socket.on('data', (bytes: Buffer) => this.#received(bytes));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#ended(lost(name, 'it was closed')));
  }

  /** Waits for the greeting and makes the monitor ready. @throws machine-monitor-busy, machine-monitor-lost */
  async start(milliseconds = greetingLimit): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        const stop = this.onEnd.add((error) => finish(() => reject(error)));
        const busy = (): void => {
          const message = `${this.name} accepts us, but says nothing for ${milliseconds} ms: another program may hold it.`;
          finish(() => reject(new VmkdError('machine-monitor-busy', message)));
        };
        const timer = this.clock.after(milliseconds, busy);
        const finish = (settle: () => void): void => {
          timer.cancel();
          stop();
          settle();
        };
        this.#greet = () => finish(resolve);
        if (this.#end !== undefined) finish(() => reject(this.#end!));
      });
      await this.execute('qmp_capabilities');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * @returns what QEMU answers.
   * @throws machine-control-refused with QEMU's words; machine-control-timeout; machine-monitor-lost
   */
  execute(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    milliseconds = commandLimit,
  ): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) {
        reject(this.#end);
        return;
      }
      const settle = (error: VmkdError | undefined, answer?: unknown): void => {
        timer.cancel();
        this.#pending.delete(id);
        if (error === undefined) resolve(answer);
        else reject(error);
      };
      const timer = this.clock.after(milliseconds, () => {
        const message = `QEMU did not answer ${command} within ${milliseconds / 1000} s`;
        settle(new VmkdError('machine-control-timeout', message));
      });
      this.#pending.set(id, { command, timer, settle });
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  /** A command of the human monitor. @returns what it prints. @throws as `execute` */
  async human(line: string, milliseconds?: number): Promise<string> {
    const answer = await this.execute('human-monitor-command', { 'command-line': line }, milliseconds);
    return typeof answer === 'string' ? answer : '';
  }

  close(): void {
    this.#ended(lost(this.name, 'we left it'));
  }

  #ended(error: VmkdError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    this.socket.destroy();
    this.#parts = [];
    for (const { settle } of [...this.#pending.values()]) settle(error);
    this.onEnd.tell(error);
  }

  #received(bytes: Buffer): void {
    let from = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
      this.#keep(bytes.subarray(from, end));
      from = end + 1;
      if (this.#end !== undefined) return;
      const line = Buffer.concat(this.#parts, this.#length);
      this.#parts = [];
      this.#length = 0;
      this.#line(line.toString('utf8'));
    }
    this.#keep(bytes.subarray(from));
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > longestLine)
      this.#ended(lost(this.name, `it sent a line of over ${longestLine} bytes`));
    else if (part.length > 0) this.#parts.push(part);
  }

  #line(line: string): void {
    if (line.trim() === '') return;
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      message = undefined;
    }
    if (isRecord(message)) this.#message(message);
    else this.#ended(lost(this.name, 'what it sends is no QMP'));
  }

  #message(message: Readonly<Record<string, unknown>>): void {
    if ('QMP' in message) {
      this.#greet?.();
      return;
    }
    const { event, id, error, data } = message;
    if (typeof event === 'string') {
      this.onEvent.tell({ name: event, data: isRecord(data) ? data : {} });
      return;
    }
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
    if (pending === undefined) return; // an answer that came too late, or to nobody
    if (error === undefined) pending.settle(undefined, message['return']);
    else {
      const words =
        isRecord(error) && typeof error['desc'] === 'string' ? error['desc'].slice(0, 1000) : 'no reason';
      pending.settle(new VmkdError('machine-control-refused', `QEMU refused ${pending.command}: ${words}`));
    }
  }
}

const lost = (name: string, why: string): VmkdError =>
  new VmkdError('machine-monitor-lost', `The monitor ${name} is gone: ${why}.`);

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
