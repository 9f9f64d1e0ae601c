/**
 * One attachment of the client to a channel, from its opening to its end. Everything that belongs to that channel lives
 * and dies here: the exchange under way, sequence numbers, what the target has said about itself. What an old channel
 * still says therefore never touches a new session.
 *
 * Invariants: one exchange at a time (the client's mutex sees to it); a reply is taken only for the request that awaits
 * it, by its API and by the sequence number that travels in the padding, once the target has shown that it hands the
 * padding back; `onEnded` is the last call.
 */

import { equalBytes } from '../core/bytes';
import { VmkdError, asVmkdError } from '../core/errors';
import { Alarm } from '../core/alarm';
import type { Clock } from '../core/clock';
import type { ChannelOwner, PacketChannel, Verdict } from './channel';
import { Exchange, type ExchangeResult, type ExchangeSetting } from './exchange';
import { PacketType, breakInByte, encodeDataPacket, initialPacketId } from './framing';
import { encodeManipulate, readManipulateHead, type ManipulateApi } from './manipulate/message';
import { getVersion } from './manipulate/version';
import { NtStatus } from './ntstatus';
import { decodeTargetPacket, type KdPacket } from './packet';
import type { StateChange } from './stateChange';
import { TargetRequests, type TargetServant } from './targetRequests';

export interface SessionHooks {
  /** The target has stopped. @param repeated The same was said last: it may be said again only, or have happened again. */
  onStop(stop: Stop, repeated: boolean): void;
  /** Ids have started anew. @param restarted The target itself did. */
  onPeerReset(restarted: boolean): void;
  /** The peer can be no target of ours: it speaks a protocol that we do not. */
  onFault(error: VmkdError): void;
  onEnded(error: VmkdError): void;
}

export interface Stop {
  readonly change: StateChange;
  /** The state change as it was sent. */
  readonly bytes: Uint8Array;
}

/** How far back a late reply may come from. */
const recentSequences = 65536;

/** How often the same nonsense must come until it is taken as meant. */
const convincing = 3;

/** Enough to get past those whose second byte is a break-in's. */
const mostNumbersTried = 1024;

/** An order may come again to a target that runs already, which looks for nothing but one byte. */
const looksLikeBreakIn = (payload: Uint8Array): boolean =>
  encodeDataPacket(PacketType.StateManipulate, initialPacketId, payload).includes(breakInByte);

/**
 * Always large, so that the padding of a target that sends zeros or small numbers is never one of ours. The upper bytes are
 * never a break-in's; a number comes again after two million.
 */
const sequenceNumber = (count: number): number => ((count & 0x5fdf_ffff) | 0x8000_0000) >>> 0;

export class Session {
  /** The last stop heard of. */
  lastStop: Stop | undefined;
  /** Answers to requests that we did not make: somebody else debugs this target. */
  foreignReplies = 0;
  readonly #requests: TargetRequests;
  /** Of the exchange under way. */
  readonly #alarm: Alarm;
  #channel: PacketChannel | undefined;
  #exchange: Exchange | undefined;
  #sequence: number;
  #echoesPadding = false;
  /** A request of somebody else's was given up, or sent again: a reply may come yet, and has no number of ours. */
  #mayAnswerLate = false;
  /** A RESET was answered: what the target says next, it says again. */
  #repeats = false;
  #relaying = false;
  /** The stop that was judged last: it is delivered next, if at all. */
  #judgedStop: StateChange | undefined;
  /** The last packet that made no sense, and how often it came in a row. */
  #refused: KdPacket | undefined;
  #refusals = 0;
  #ended = false;

  constructor(
    private readonly clock: Clock,
    private readonly hooks: SessionHooks,
    private readonly servant: TargetServant,
    firstSequence: number,
  ) {
    this.#sequence = sequenceNumber(firstSequence);
    this.#alarm = new Alarm(clock);
    this.#requests = new TargetRequests(servant, () => this.#channel);
  }

  /** Undefined before the channel is open and after the end. */
  get channel(): PacketChannel | undefined {
    return this.#channel;
  }

  /** Takes the channel that was opened for `owner`; one that comes too late is closed. @returns false then */
  use(channel: PacketChannel): boolean {
    if (this.#ended) {
      channel.close();
      return false;
    }
    this.#channel = channel;
    return true;
  }

  /** For the channel. */
  owner(): ChannelOwner {
    return {
      listens: () => true,
      judge: (packet) => (this.#ended ? 'stale' : this.#judge(packet)),
      onPacket: (packet) => {
        if (!this.#ended) this.#onPacket(packet);
      },
      onPeerReset: (restarted) => {
        if (!this.#ended) this.#onPeerReset(restarted);
      },
      onBreakIn: () => undefined,
      onClosed: (error) => this.end(error ?? new VmkdError('link-lost', 'The link was closed')),
    };
  }

  /** Sends a request and waits for its answer. @throws target-no-reply, request-unsure, link-lost, target-not-attached */
  exchange(
    api: ManipulateApi,
    fields: object,
    options: {
      readonly data?: Uint8Array | undefined;
      readonly processor?: number | undefined;
      readonly patience: number;
    },
  ): Promise<ExchangeResult> {
    const { processorLevel = 0, processor = 0 } = this.lastStop?.change ?? {};
    const encode = (): Uint8Array => {
      this.#sequence = sequenceNumber(this.#sequence + 1);
      const head = {
        apiNumber: api.number,
        processorLevel,
        processor: options.processor ?? processor,
        returnStatus: NtStatus.Pending,
        padding: this.#sequence,
      };
      return encodeManipulate(api.request, head, fields, options.data);
    };
    let payload = encode();
    if (api.answer === 'acknowledgement')
      for (let tries = 0; tries < mostNumbersTried && looksLikeBreakIn(payload); tries++) payload = encode();
    return this.#perform(api, payload, options.patience);
  }

  /**
   * Sends a request that somebody else has made, as it is, and gives the reply as it is. @throws as `exchange`
   * @param api What is known of it; a request that nobody here knows has a reply, and is sent once.
   */
  async relay(api: ExchangeSetting['api'], payload: Uint8Array, patience: number): Promise<ExchangeResult> {
    if (this.#mayAnswerLate) {
      // What it still answers comes before this reply, which is known by its number.
      await this.exchange(getVersion, {}, { patience });
      this.#mayAnswerLate = false;
    }
    this.#mayAnswerLate = this.#relaying = true;
    try {
      return await this.#perform(api, payload, patience, ({ sent }) => {
        this.#mayAnswerLate = sent > 1;
      });
    } finally {
      this.#relaying = false;
    }
  }

  async #perform(
    api: ExchangeSetting['api'],
    payload: Uint8Array,
    patience: number,
    onAnswered?: (exchange: Exchange) => void,
  ): Promise<ExchangeResult> {
    const { channel, lastStop } = this;
    if (!channel || !lastStop) throw new VmkdError('target-not-attached', 'There is no connection');
    const { clock } = this;
    // No spread: it would cost as much as all the rest of a request.
    const exchange = new Exchange({
      api,
      payload,
      channel,
      clock,
      patience,
      alarm: this.#alarm,
      currentStop: lastStop.bytes,
    });
    this.#exchange = exchange;
    try {
      const result = await exchange.done;
      onAnswered?.(exchange);
      return result;
    } finally {
      if (this.#exchange === exchange) this.#exchange = undefined;
    }
  }

  /** Another target is there, which does not say so: what was asked of the one before, and by it, is void. */
  replaced(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.fail(
      new VmkdError('target-running', `Another kernel is there since ${exchange.setting.api.name} was asked`),
    );
    this.#channel?.forgetPeer();
  }

  /** Ends the session and closes its channel. @param error What those who wait get. */
  end(error: VmkdError, quietly = false): void {
    if (this.#ended) return;
    this.#ended = true;
    const channel = this.#channel;
    this.#channel = undefined;
    this.#requests.forget();
    this.#exchange?.fail(error);
    this.#alarm.stop();
    channel?.close();
    if (!quietly) this.hooks.onEnded(error);
  }

  #judge(packet: KdPacket): Verdict {
    try {
      if (packet.type === PacketType.StateManipulate) {
        const verdict = this.#judgeReply(packet.payload);
        if (verdict === 'stale' && this.#repeats) this.#exchange?.onRepetition();
        this.#repeats = false;
        return verdict;
      }
      const message = decodeTargetPacket(packet);
      if (message.family === 'stateChange') this.#judgedStop = message.change;
      else this.#repeats = false;
      return 'accept';
    } catch (thrown) {
      return this.#refuse(packet, asVmkdError(thrown));
    }
  }

  /**
   * A packet that makes no sense was damaged on its way, and is asked for again; unless it comes again as it was: then the
   * peer means it, and would send it for ever.
   */
  #refuse({ type, payload }: KdPacket, error: VmkdError): Verdict {
    const again = this.#refused?.type === type && equalBytes(this.#refused.payload, payload);
    this.#refused = { type, payload: again ? this.#refused!.payload : payload.slice() };
    this.#refusals = again ? this.#refusals + 1 : 1;
    if (this.#refusals < convincing) return 'damaged';
    this.#refused = undefined;
    const fatal = type === PacketType.StateChange64 || error.code !== 'protocol-violation';
    if (fatal) this.hooks.onFault(error);
    else this.servant.onError?.(error);
    return 'stale';
  }

  #judgeReply(payload: Uint8Array): Verdict {
    const { apiNumber, padding } = readManipulateHead(payload);
    const setting = this.#exchange?.setting;
    if (setting?.api.number !== apiNumber || setting.api.answer !== 'reply') {
      if (!this.#exchange) this.foreignReplies++;
      return 'stale';
    }
    const age = (this.#sequence - padding) >>> 0;
    // A number that we used lately shows as well as the right one that the target hands padding back.
    if (age < recentSequences) this.#echoesPadding = true;
    if (padding === readManipulateHead(setting.payload).padding) return 'accept';
    // What answers another debugger's request may hold anything there, but for a number of ours.
    const mayBeAwaited = this.#relaying ? age >= recentSequences : !this.#echoesPadding;
    return mayBeAwaited ? 'accept' : 'stale';
  }

  #onPacket(packet: KdPacket): void {
    if (packet.type === PacketType.StateManipulate) {
      this.#exchange?.onReply(packet.payload);
      return;
    }
    if (packet.type === PacketType.StateChange64 && this.#judgedStop !== undefined) {
      const change = this.#judgedStop;
      this.#judgedStop = undefined;
      this.#onStateChange({ change, bytes: packet.payload });
      return;
    }
    const message = decodeTargetPacket(packet);
    switch (message.family) {
      case 'manipulate':
        return;
      case 'stateChange':
        this.#onStateChange({ change: message.change, bytes: packet.payload });
        return;
      case 'debugIo':
      case 'fileIo':
      case 'controlRequest':
      case 'traceIo':
        this.#requests.onMessage(message, packet);
        return;
    }
  }

  #onStateChange(stop: Stop): void {
    const repeated = this.lastStop !== undefined && equalBytes(this.lastStop.bytes, stop.bytes);
    const ordered = this.#exchange !== undefined && this.#exchange.setting.api.answer !== 'reply';
    const reading = this.#exchange?.onStateChange(stop.change, stop.bytes, this.#repeats) ?? 'news';
    this.#repeats = false;
    this.lastStop = stop;
    if (reading === 'news') this.hooks.onStop(stop, repeated && !ordered);
  }

  #onPeerReset(restarted: boolean): void {
    this.#repeats = true;
    if (restarted) {
      this.#echoesPadding = false;
      this.#requests.forget();
    }
    this.#exchange?.onPeerReset(restarted);
    this.hooks.onPeerReset(restarted);
  }
}
