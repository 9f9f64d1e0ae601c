/**
 * One client on two streams: framing is @vscode/debugadapter's, the rest is ours. Events may be held back while a request
 * is under way, and whoever sends much can wait until the client has taken what was sent before.
 *
 * Invariant: messages leave in the order in which they were sent; held events keep theirs, behind the response that they
 * were held for; progress is never held.
 */

import type { Readable, Writable } from 'node:stream';
import { ProtocolServer } from '@vscode/debugadapter/lib/protocol.js';
import type { DebugProtocol as P } from '@vscode/debugprotocol';

export interface EventSink {
  send(event: string, body?: unknown): void;
}

/** Bytes that may wait in our process for the client to take them. */
const highWater = 1 << 20;

export class Connection extends ProtocolServer implements EventSink {
  readonly #output: Writable;
  readonly #held: P.Event[] = [];
  #holds = 0;
  #closed = false;

  /**
   * @param onRequest Called for each request; must not throw.
   * @param onClosed The client has gone, or its stream failed. Called once.
   */
  constructor(
    input: Readable,
    output: Writable,
    private readonly onRequest: (request: P.Request) => void,
    onClosed: () => void,
  ) {
    super();
    this.#output = output;
    const close = (): void => {
      if (this.#closed) return;
      this.#closed = true;
      onClosed();
    };
    // `end` as well: a socket that is only half closed has no `close` yet.
    input.on('end', close);
    this.on('close', close);
    this.on('error', () => {
      if (!input.readable || !output.writable) close();
    });
    this.start(input, output);
  }

  protected override dispatchRequest(request: P.Request): void {
    this.onRequest(request);
  }

  send(event: string, body?: unknown): void {
    const message: P.Event = { seq: 0, type: 'event', event, ...(body === undefined ? {} : { body }) };
    // What is under way is no consequence of it.
    const mayWait = !event.startsWith('progress');
    if (this.#holds > 0 && mayWait) this.#held.push(message);
    else if (!this.#closed) this.sendEvent(message);
  }

  /** @returns what lets the events go; calls nest. */
  holdEvents(): () => void {
    this.#holds++;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      if (--this.#holds > 0) return;
      for (const event of this.#held.splice(0)) this.send(event.event, event.body);
    };
  }

  respond(request: P.Request, outcome: Pick<P.Response, 'success' | 'message' | 'body'>): void {
    if (this.#closed) return;
    const { seq, command } = request;
    this.sendResponse({ seq: 0, type: 'response', request_seq: seq, command, ...outcome });
  }

  /** Whether the client is slow to take what it is sent. */
  get congested(): boolean {
    return !this.#closed && this.#output.writableLength > highWater;
  }

  /** Resolves when a slow client has taken everything, or is gone; at once if it is not slow. */
  drained(): Promise<void> {
    if (!this.congested) return Promise.resolve();
    return new Promise((resolve) => {
      this.#output.once('drain', resolve);
      this.#output.once('close', resolve);
    });
  }
}
