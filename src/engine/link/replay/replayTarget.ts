/**
 * A recording as a target: says what the recorded target said, in that order, and answers what it was asked. Any debugger can be
 * put to it, to see what it makes of a session that went wrong elsewhere.
 *
 * Answers are found by the request, the next one first; what a request leaves to chance (status, padding) does not count. A
 * request that was never recorded is refused as NT refuses what it does not know, and reported.
 */

import type { ChannelOwner, PacketChannel } from '../../kd/channel';
import { letsGo } from '../../kd/manipulate/execution';
import { manipulateHeader, readManipulateHead } from '../../kd/manipulate/message';
import { NtStatus } from '../../kd/ntstatus';
import { KdServer, withStatus } from '../../kd/server';
import { hasReply, type RecordedExchange, type RecordedStop, type Scene } from './recording';

export interface ReplayReport {
  /** Stops that the debugger was told of. */
  stops: number;
  /** Requests that were answered from the recording. */
  answered: number;
  /** Requests that were not recorded in their stop. */
  readonly unrecorded: Uint8Array[];
}

export class ReplayTarget {
  readonly report: ReplayReport = { stops: 0, answered: 0, unrecorded: [] };
  /** Resolves when the debugger has gone, or was shown out. */
  readonly gone: Promise<void>;
  readonly #server: KdServer;
  #stop: RecordedStop | undefined;
  #used = new Set<RecordedExchange>();
  #onBreakIn: () => void = () => undefined;

  constructor(
    open: (owner: ChannelOwner) => PacketChannel,
    private readonly scenes: readonly Scene[],
  ) {
    this.#server = new KdServer(open);
    this.#server.serveRest((request) => this.#onRequest(request));
    this.#server.onBreakIn = () => this.#onBreakIn();
    this.gone = new Promise((resolve) => (this.#server.onClosed = () => resolve()));
  }

  /** Resolves at the end of the recording: from then on it runs, and never stops. @throws link-*: the debugger is gone */
  async run(): Promise<ReplayReport> {
    for (const scene of this.scenes) {
      switch (scene.kind) {
        case 'said':
          // Nobody need be there to hear it.
          await this.#server.tell(scene.packet, 3).catch(() => undefined);
          break;
        case 'asked':
          await this.#server.ask(scene.packet).catch(() => undefined);
          break;
        case 'stop':
          await this.#show(scene);
          break;
      }
    }
    return this.report;
  }

  /** Says it, as soon as the debugger wants the target to stop, if it wanted that then. */
  async #show(stop: RecordedStop): Promise<void> {
    if (stop.wanted) await new Promise<void>((resolve) => (this.#onBreakIn = resolve));
    this.#onBreakIn = () => undefined;
    this.#stop = stop;
    this.#used = new Set();
    this.report.stops++;
    await this.#server.stop(stop.payload);
  }

  #onRequest(request: Uint8Array): Uint8Array | 'silent' | 'go' {
    const stop = this.#stop!;
    const { apiNumber } = readManipulateHead(request);
    if (letsGo.has(apiNumber)) return 'go';
    const isOrder = stop.order !== undefined && isAlike(stop.order, request);
    if (isOrder && !hasReply(request)) return 'go';
    const alike = stop.exchanges.filter((exchange) => isAlike(exchange.request, request));
    const found = alike.find((exchange) => !this.#used.has(exchange)) ?? alike.at(-1);
    if (found === undefined) {
      this.report.unrecorded.push(request);
      return hasReply(request) ? withStatus(request, NtStatus.Unsuccessful) : 'silent';
    }
    this.#used.add(found);
    this.report.answered++;
    if (found.reply === undefined)
      return hasReply(request) ? withStatus(request, NtStatus.Unsuccessful) : 'silent';
    return inStead(found, request);
  }
}

/** The recorded reply, with the padding of this request if the target handed that back. */
function inStead({ request: then, reply }: RecordedExchange, now: Uint8Array): Uint8Array {
  const answer = reply!.slice();
  if (readManipulateHead(answer).padding === readManipulateHead(then).padding)
    manipulateHeader.write(answer, { padding: readManipulateHead(now).padding });
  return answer;
}

/** Whether two requests ask the same. */
export function isAlike(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  // 8 ReturnStatus, 12 padding: nobody reads them.
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i] && (i < 8 || i >= 16)) return false;
  return true;
}
