/**
 * A recording as a debugger: asks a target what the recorded debugger asked, in that order, and says where the answers differ.
 * The target is brought to its stops as it was then: by a break-in, by an order to go on.
 *
 * What is recorded is done again, writes and breakpoints included.
 */

import { equalBytes } from '../../core/bytes';
import type { Clock } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import { Waiters } from '../../core/waiters';
import type { ChannelOwner, PacketChannel } from '../../kd/channel';
import { PacketType } from '../../kd/framing';
import { manipulateHeader, manipulateSize, readManipulateHead } from '../../kd/manipulate/message';
import { decodeTargetPacket, type KdPacket } from '../../kd/packet';
import { hasReply, type RecordedStop, type Scene } from './recording';

export interface Comparison {
  /** Undefined: what is compared are state changes. */
  readonly request: Uint8Array | undefined;
  readonly recorded: Uint8Array;
  readonly now: Uint8Array;
  readonly isSame: boolean;
}

/** Milliseconds for a stop, and for a reply. */
const stopLimit = 20_000;
const replyLimit = 20_000;
/** Milliseconds between two calls to a target that does not stop. */
const callInterval = 1500;

export class ReplayDebugger {
  readonly #channel: PacketChannel;
  readonly #arrivals: Waiters<undefined>;
  readonly #stops: Uint8Array[] = [];
  #reply: Uint8Array | undefined;
  #wasReset = false;
  #ended: VmkdError | undefined;
  #answers: readonly { readonly type: KdPacket['type']; readonly payload: Uint8Array }[] = [];

  constructor(
    open: (owner: ChannelOwner) => PacketChannel,
    private readonly clock: Clock,
  ) {
    this.#arrivals = new Waiters(clock);
    this.#channel = open({
      listens: () => true,
      judge: (packet) => (makesSense(packet) ? 'accept' : 'damaged'),
      onPacket: (packet) => this.#onPacket(packet),
      onPeerReset: () => {
        this.#wasReset = true;
        this.#arrivals.succeed(undefined);
      },
      onBreakIn: () => undefined,
      onClosed: (error) => {
        this.#ended = error ?? new VmkdError('link-lost', 'The link was closed');
        this.#arrivals.fail(this.#ended);
      },
    });
  }

  /** Asks all of it. @throws link-*, target-did-not-stop, target-no-reply */
  async *compare(scenes: readonly Scene[]): AsyncGenerator<Comparison> {
    this.#answers = scenes.flatMap((scene) =>
      scene.kind === 'asked' && scene.answer !== undefined
        ? [{ type: scene.packet.type, payload: scene.answer }]
        : [],
    );
    let isFirst = true;
    for (const scene of scenes) {
      if (scene.kind !== 'stop') continue;
      const now = await this.#stop(isFirst, scene.wanted);
      isFirst = false;
      yield { request: undefined, recorded: scene.payload, now, isSame: equalBytes(scene.payload, now) };
      yield* this.#ask(scene);
    }
  }

  close(): void {
    this.#channel.close();
  }

  async *#ask({ exchanges, order }: RecordedStop): AsyncGenerator<Comparison> {
    for (const { request, reply } of exchanges) {
      this.#reply = undefined;
      await this.#channel.send({ type: PacketType.StateManipulate, payload: request });
      if (!hasReply(request)) continue;
      const limit = new VmkdError('target-no-reply', 'A recorded request was not answered');
      await this.#until(() => this.#reply !== undefined, replyLimit, limit);
      const now = this.#reply!;
      if (reply !== undefined) yield { request, recorded: reply, now, isSame: isSameReply(reply, now) };
    }
    if (order !== undefined) await this.#channel.send({ type: PacketType.StateManipulate, payload: order });
  }

  async #stop(isFirst: boolean, wanted: boolean): Promise<Uint8Array> {
    const limit = new VmkdError(
      'target-did-not-stop',
      'The target did not stop as it did when it was recorded',
    );
    const deadline = this.clock.now() + stopLimit;
    this.#wasReset = !isFirst;
    while (this.#stops.length === 0 || !this.#wasReset) {
      if (this.clock.now() >= deadline) throw limit;
      if (wanted && this.#stops.length === 0) this.#channel.breakIn();
      if (isFirst) this.#channel.requestReset();
      await this.#until(() => this.#stops.length > 0 && this.#wasReset, callInterval, undefined);
    }
    const now = this.#stops.at(-1)!;
    this.#stops.length = 0;
    return now;
  }

  async #until(reached: () => boolean, milliseconds: number, limit: VmkdError | undefined): Promise<void> {
    const deadline = this.clock.now() + milliseconds;
    while (!reached()) {
      if (this.#ended) throw this.#ended;
      const late = limit ?? new VmkdError('link-timeout', 'Nothing came');
      try {
        await this.#arrivals.wait(Math.max(0, deadline - this.clock.now()), () => late);
      } catch (thrown) {
        if (thrown !== late || limit !== undefined) throw thrown;
        return;
      }
    }
  }

  #onPacket({ type, payload }: KdPacket): void {
    if (type === PacketType.StateChange64) this.#stops.push(payload);
    else if (type === PacketType.StateManipulate) this.#reply = payload;
    else {
      // Prints need none.
      const answer = this.#answers.find((one) => one.type === type);
      if (answer && payload[0] !== 0x30) this.#channel.send(answer).catch(() => undefined);
    }
    this.#arrivals.succeed(undefined);
  }
}

function makesSense(packet: KdPacket): boolean {
  try {
    decodeTargetPacket(packet);
    return true;
  } catch {
    return false;
  }
}

/** The padding is the request's, and the recorded request may have had another. */
function isSameReply(recorded: Uint8Array, now: Uint8Array): boolean {
  if (now.length < manipulateSize) return false;
  const masked = now.slice();
  manipulateHeader.write(masked, { padding: readManipulateHead(recorded).padding });
  return equalBytes(recorded, masked);
}
