/**
 * A packet channel: carries whole KD packets between debugger and target, in order, each exactly once as far as its
 * carrier can tell. KDCOM over a byte link is one (link/kdcomChannel.ts); packets through guest memory will be another.
 *
 * The owner judges each packet before the channel acknowledges it, since only the owner knows what it awaits:
 *   accept     it is new and makes sense: acknowledged, then delivered
 *   stale      well formed, but not awaited (a late duplicate): acknowledged, not delivered
 *   damaged    cannot be what its header says: the peer is asked to send it again
 */

import type { VmkdError } from '../core/errors';
import type { KdPacket } from './packet';

export type Verdict = 'accept' | 'stale' | 'damaged';

export interface ChannelOwner {
  /** Must not throw, nor keep `packet.payload`, which is only valid during the call. */
  judge(packet: KdPacket): Verdict;
  /** `packet.payload` is a copy that may be kept. */
  onPacket(packet: KdPacket): void;
  /**
   * Ids have started anew on both sides; the peer repeats what it was saying. Whatever was in flight is forgotten.
   * @param restarted The peer itself did: it was rebooted, or had given us up. False for a RESET, ours or its.
   */
  onPeerReset(restarted: boolean): void;
  /** The peer wants to hear again what it has acknowledged already; only target-side owners are asked. */
  onResend?(): void;
  /** Debugger's wish to stop the target; only target-side owners see it. */
  onBreakIn(): void;
  /** Target side: false while the target runs, when it hears nothing but break-ins. The debugger always listens. */
  listens(): boolean;
  /** Last call of all. Undefined when we closed the channel ourselves. */
  onClosed(error: VmkdError | undefined): void;
}

/** What has come over the carrier so far; tells a silent peer from one that talks nonsense. */
export interface ChannelStatistics {
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly controlReceived: number;
  readonly damaged: number;
  readonly garbageBytes: number;
  readonly retransmissions: number;
  readonly duplicates: number;
}

export interface SendOptions {
  /** How often the packet is sent in all; Infinity for ever. Default: the channel's own. */
  readonly attempts?: number;
  /**
   * True: an order to go on running. After it the peer may be deaf, so that whatever else it says acknowledges the order, too,
   * and the last attempt is no failure: the caller has its own limit.
   */
  readonly order?: boolean;
}

export type Delivery = 'acknowledged' | 'reset';

export interface PacketChannel {
  readonly name: string;
  readonly statistics: ChannelStatistics;
  /**
   * Sends one packet, again and again until the peer has it. At most one is in flight: a second call waits for the first.
   * @returns 'acknowledged' when the peer has it; 'reset' if either side started anew meanwhile, so that nobody knows.
   * @throws target-not-acknowledging after the last attempt, or if too many packets wait already; link-lost.
   */
  send(packet: KdPacket, options?: SendOptions): Promise<Delivery>;
  /** Asks a running target to stop. Debugger side only. */
  breakIn(): void;
  /**
   * Asks the peer to start anew with us. Its answer shows as `onPeerReset`, then it repeats what it was saying.
   * @param manner Unawaited: it may run, and never answer.
   */
  requestReset(manner?: 'awaited' | 'unawaited'): void;
  /**
   * The peer is another one than before, and has not said so: a machine that was taken back to a snapshot. Shows as
   * `onPeerReset(true)` at once; what it says next is taken for new.
   */
  forgetPeer(): void;
  close(): void;
}
