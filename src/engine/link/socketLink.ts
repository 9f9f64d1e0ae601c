/**
 * A ByteLink over a socket of the operating system: Unix socket, TCP, or Windows named pipe (Node makes them alike).
 *
 * Invariants: see link.ts. The socket stays paused until `attach`, so that early bytes, and the news that the peer
 * has gone, wait in the operating system. A peer that closes its half has closed the link. Every error of the socket
 * ends here: none becomes an unhandled 'error' event.
 */

import type { Socket } from 'node:net';
import { VmkdError } from '../core/errors';
import { systemClock, type Clock } from '../core/clock';
import type { ByteLink, LinkHandlers } from './link';
import { linkError, lostError } from './osErrors';

/** How long `close` lets the operating system take bytes that were written before. */
const flushMilliseconds = 500;

export class SocketLink implements ByteLink {
  readonly name: string;
  readonly #socket: Socket;
  readonly #clock: Clock;
  #handlers: LinkHandlers | undefined;
  #state: 'open' | 'closing' | 'closed' = 'open';
  /** Why the link ends; undefined while it lives and when we end it. */
  #error: VmkdError | undefined;

  /** @param socket Connected, and paused since before its first byte; the link owns it from now on. */
  constructor(socket: Socket, name: string, clock: Clock = systemClock) {
    this.name = name;
    this.#socket = socket;
    this.#clock = clock;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.#error ??= linkError(name, 'use', error);
    });
    socket.on('end', () => {
      this.#error ??= lostError(name);
      socket.destroy();
    });
    socket.on('close', () => this.#closed());
  }

  get queuedBytes(): number {
    return this.#state === 'closed' ? 0 : this.#socket.writableLength;
  }

  attach(handlers: LinkHandlers): void {
    if (this.#handlers !== undefined) throw new VmkdError('internal', `${this.name} has a reader already.`);
    this.#handlers = handlers;
    if (this.#state === 'closed') {
      queueMicrotask(() => handlers.onClosed(this.#error));
      return;
    }
    this.#socket.on('data', (chunk: Buffer) => {
      // A plain array: the slice of a Buffer is no copy, which its readers may well take it for.
      if (this.#state === 'open') {
        handlers.onBytes(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      }
    });
    this.#socket.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== 'open' || bytes.length === 0 || this.#socket.destroyed) return;
    // Node may keep what it is given until the operating system takes it, and the caller's array is only lent.
    this.#socket.write(Buffer.from(bytes));
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    const socket = this.#socket;
    if (socket.writableLength === 0 || socket.destroyed) {
      socket.destroy();
      return;
    }
    const timer = this.#clock.after(flushMilliseconds, () => socket.destroy());
    socket.once('close', () => timer.cancel());
    socket.end(() => socket.destroy());
  }

  #closed(): void {
    // What fails while we close is not the owner's business any more.
    if (this.#state === 'closing') this.#error = undefined;
    else this.#error ??= lostError(this.name);
    this.#state = 'closed';
    this.#handlers?.onClosed(this.#error);
  }
}
