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

export class Dispatcher {
  readonly #underWay = new Map<number, AbortController>();

  constructor(
    private readonly handlers: ReadonlyMap<string, AnyHandler>,
    private readonly session: Session,
    private readonly connection: Connection,
  ) {}

  async dispatch(request: P.Request): Promise<void> {
    const abort = new AbortController();
    let releaseEvents: (() => void) | undefined;
    const call: Call = {
      id: request.seq,
      signal: AbortSignal.any([abort.signal, this.session.ended.signal]),
      holdEvents: () => (releaseEvents ??= this.connection.holdEvents()),
    };
    this.#underWay.set(request.seq, abort);
    try {
      const body = await this.#handle(request, call);
      this.connection.respond(request, { success: true, ...(body === undefined ? {} : { body }) });
    } catch (thrown) {
      this.connection.respond(request, { success: false, ...errorResponse(request.command, thrown) });
    } finally {
      this.#underWay.delete(request.seq);
      releaseEvents?.();
    }
  }

  /** Nothing happens if it is not under way any more. */
  cancel(id: number): void {
    this.#underWay.get(id)?.abort();
  }

  async #handle(
    { command, arguments: args }: P.Request & { arguments?: unknown },
    call: Call,
  ): Promise<unknown> {
    const handler = this.handlers.get(command);
    if (handler === undefined) {
      throw new VmkdError('request-bad', `vmkd does not know the request “${command}”`);
    }
    const given: unknown = args ?? {};
    checkArguments(command, given);
    return handler(this.session, given as never, call);
  }
}
