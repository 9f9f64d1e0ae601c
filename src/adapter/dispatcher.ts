/**
 * From a request's name to its handler, and from what the handler does to a response. Requests run side by side: a slow one
 * must not keep `pause`, `cancel` or `disconnect` waiting. What must not overlap (breakpoints of one file, steps) takes its
 * turn in the session.
 *
 * Invariants: each request gets exactly one response, whatever its handler throws; a request that was cancelled ends with
 * DAP's word for it.
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../engine/core/errors';
import { checkArguments } from './argumentShapes';
import type { Connection } from './connection';
import { errorResponse } from './errors';
import type { AnyHandler, Call } from './protocol';
import type { Session } from './session';
import { slowRequest } from './slowRequests';

export class Dispatcher {
  readonly #underWay = new Map<number, CallUnderWay>();

  constructor(
    private readonly handlers: ReadonlyMap<string, AnyHandler>,
    private readonly session: Session,
    private readonly connection: Connection,
  ) {
    session.ended.signal.addEventListener('abort', () => {
      for (const call of this.#underWay.values()) call.cancel();
    });
  }

  async dispatch(request: P.Request): Promise<void> {
    const call = new CallUnderWay(request.seq, this.connection);
    if (this.session.ended.signal.aborted) call.cancel();
    this.#underWay.set(request.seq, call);
    try {
      const body = await this.#handle(request, call);
      this.connection.respond(request, { success: true, ...(body === undefined ? {} : { body }) });
    } catch (thrown) {
      this.connection.respond(request, { success: false, ...errorResponse(request.command, thrown) });
    } finally {
      if (this.#underWay.get(request.seq) === call) this.#underWay.delete(request.seq);
      call.end();
    }
  }

  /** Nothing happens if it is not under way any more. */
  cancel(id: number): void {
    this.#underWay.get(id)?.cancel();
  }

  async #handle(
    { command, arguments: args }: P.Request & { arguments?: unknown },
    call: CallUnderWay,
  ): Promise<unknown> {
    const handler = this.handlers.get(command);
    if (handler === undefined) {
      throw new VmkdError('request-bad', `vmkd does not know the request “${command}”`);
    }
    const given: unknown = args ?? {};
    checkArguments(command, given);
    const slow = slowRequest(command);
    if (slow === undefined) return handler(this.session, given as never, call);
    const { title, cancel } = slow;
    const cancelled = cancel === 'nothing' ? undefined : (): void => call.cancel();
    const over = this.session.progress.watch(title, call.id, cancelled);
    try {
      const handled = handler(this.session, given as never, call);
      return await (cancel === 'leaves' ? call.unlessCancelled(handled) : handled);
    } finally {
      over();
    }
  }
}

/** Its signal is made when somebody asks for it: most requests are over before anybody could cancel them. */
class CallUnderWay implements Call {
  #abort: AbortController | undefined;
  aborted = false;
  #releaseEvents: (() => void) | undefined;
  #onCancel: (() => void) | undefined;

  constructor(
    readonly id: number,
    private readonly connection: Connection,
  ) {}

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.aborted) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  cancel(): void {
    this.aborted = true;
    this.#abort?.abort();
    this.#onCancel?.();
  }

  /** What its handler yields; once it is cancelled nobody waits for that. */
  unlessCancelled(handled: unknown): unknown {
    if (!(handled instanceof Promise)) return handled;
    return new Promise((resolve, reject) => {
      this.#onCancel = () => reject(new VmkdError('cancelled', 'The request was cancelled'));
      if (this.aborted) this.#onCancel();
      handled.then(resolve, reject);
    });
  }

  holdEvents(): void {
    this.#releaseEvents ??= this.connection.holdEvents();
  }

  end(): void {
    this.#releaseEvents?.();
  }
}
