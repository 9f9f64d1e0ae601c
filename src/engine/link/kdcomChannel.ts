/**
 * KDCOM over a byte link: the packet channel of serial ports, pipes and sockets. Stop and wait, ids that toggle bit 0,
 * acknowledgements, resends, and the RESET handshake, for either side: we are the debugger of a guest, and the target
 * of a WinDbg on the companion pipe.
 *
 * What the two sides do differently:
 *                     debugger                                   target
 *   new or repeated   repeated = id and bytes of the last one,   repeated = not the expected id
 *                     since a target may restart its ids
 *   SYNC in an id     the target started anew: so do we          no id that is expected
 *   RESET received    the answer to ours, else answered          ids start anew, answered once however many were
 *                                                                queued, and what was in flight is sent again
 *   RESEND            what is in flight is sent again            the same; if nothing is, the stop is told again
 *   'b'               noise                                      a wish to break in
 *   gives up          says so                                    and takes the debugger for gone: the next id has SYNC
 *   while it runs     always listens                             hears 'b' only, answers nothing
 *
 * Invariants: one packet in flight; an acknowledgement and the next request leave in one write when they can; every
 * wait runs on the clock; a header's damage and a packet cut short are answered by RESEND, at most once per chunk; what
 * the operating system does not take off our hands is not added to, and a queue that grows is refused.
 * Source: the behaviour of kdcom.dll and WinDbg on the wire.
 */

import { concatenate } from '../core/bytes';
import { VmkdError } from '../core/errors';
import { Alarm } from '../core/alarm';
import type { Clock } from '../core/clock';
import type { ChannelOwner, ChannelStatistics, Delivery, PacketChannel, SendOptions } from '../kd/channel';
import {
  PacketScanner,
  PacketType,
  breakInByte,
  checksum,
  encodeControlPacket,
  encodeDataPacket,
  initialPacketId,
  syncPacketId,
  type ControlType,
  type DataType,
  type ScannerSink,
} from '../kd/framing';
import type { KdPacket } from '../kd/packet';
import type { ByteLink } from './link';

export interface KdcomTiming {
  /** Milliseconds until a packet that nobody acknowledged is sent again. */
  readonly acknowledge: number;
  /** Milliseconds of silence within a packet until it is given up. */
  readonly withinPacket: number;
  /** How often a packet is sent in all, unless the caller says otherwise. */
  readonly attempts: number;
}

/** Generous enough for a real 115,200 baud line, where 4,000 bytes take 350 ms. */
export const serialTiming: KdcomTiming = { acknowledge: 600, withinPacket: 500, attempts: 10 };

export interface KdcomOptions {
  readonly role: 'debugger' | 'target';
  readonly clock: Clock;
  readonly timing?: KdcomTiming;
}

interface InFlight {
  readonly packet: KdPacket;
  /** See SendOptions. */
  readonly order: boolean;
  attemptsLeft: number;
  readonly resolve: (delivery: Delivery) => void;
  readonly reject: (error: VmkdError) => void;
}

/** “Forget what you knew of me”: after a boot, and after a debugger was given up. */
const firstTargetId = (initialPacketId | syncPacketId) >>> 0;

/** Packets that may wait for the one in flight. KD is ask and answer: more is a defect, or a flood. */
const longestQueue = 64;

/** Bytes that may lie unsent before nothing is repeated any more: a paused machine takes none. */
const mostUnsent = 32 * 1024;

type Counters = { -readonly [K in keyof ChannelStatistics]: ChannelStatistics[K] };

export class KdcomChannel implements PacketChannel {
  readonly name: string;
  readonly #link: ByteLink;
  readonly #owner: ChannelOwner;
  readonly #timing: KdcomTiming;
  readonly #isTarget: boolean;
  readonly #scanner: PacketScanner;
  readonly #counters: Counters = {
    bytesReceived: 0,
    bytesSent: 0,
    packetsReceived: 0,
    packetsSent: 0,
    controlReceived: 0,
    damaged: 0,
    garbageBytes: 0,
    retransmissions: 0,
    duplicates: 0,
  };

  #nextId: number;
  /** Target role: the id that the debugger's next new packet bears. */
  #expectedId = initialPacketId;
  /** Debugger role: the last packet delivered, to know it when it comes again. */
  #lastAccepted: { type: number; id: number; length: number; sum: number } | undefined;
  #inFlight: InFlight | undefined;
  readonly #waiting: InFlight[] = [];
  /** RESETs of ours that have not been answered. */
  #resetsUnanswered = 0;
  /** Those that nobody waits for any more, for something else was acknowledged: they may be answered yet. */
  #resetsLate = 0;
  /** What was in flight when a RESET was sent may have been taken, and its id with it. */
  #mayBeTaken = false;
  #resetToAnswer = false;
  #resendAsked = false;
  /** For the packet in flight to be acknowledged. */
  readonly #acknowledgement: Alarm;
  /** For the rest of a packet to come. */
  readonly #rest: Alarm;
  #acknowledgements: Uint8Array[] = [];
  #closed: { error: VmkdError | undefined } | undefined;

  constructor(link: ByteLink, owner: ChannelOwner, options: KdcomOptions) {
    this.name = link.name;
    this.#link = link;
    this.#owner = owner;
    this.#acknowledgement = new Alarm(options.clock);
    this.#rest = new Alarm(options.clock);
    this.#timing = options.timing ?? serialTiming;
    this.#isTarget = options.role === 'target';
    this.#nextId = this.#isTarget ? firstTargetId : initialPacketId;
    this.#scanner = new PacketScanner(this.#sink());
    link.attach({ onBytes: (chunk) => this.#onBytes(chunk), onClosed: (error) => this.#onClosed(error) });
  }

  get statistics(): ChannelStatistics {
    return this.#counters;
  }

  send(packet: KdPacket, options: SendOptions = {}): Promise<Delivery> {
    return new Promise((resolve, reject) => {
      const order = options.order ?? false;
      const attemptsLeft = options.attempts ?? this.#timing.attempts;
      const entry: InFlight = { packet, order, attemptsLeft, resolve, reject };
      if (this.#closed) reject(this.#closed.error ?? new VmkdError('link-lost', `${this.name} is closed`));
      else if (this.#waiting.length >= longestQueue) reject(this.#notAcknowledged('packets queue up'));
      else if (this.#inFlight) this.#waiting.push(entry);
      else this.#launch(entry);
    });
  }

  /** Whether nothing is under way in either direction, as far as this end can tell. */
  get isQuiet(): boolean {
    return this.#inFlight === undefined && this.#resetsUnanswered === 0 && !this.#scanner.midPacket;
  }

  breakIn(): void {
    this.#write(Uint8Array.of(breakInByte));
  }

  requestReset(manner: 'awaited' | 'unawaited' = 'awaited'): void {
    if (manner === 'awaited') this.#resetsUnanswered++;
    else this.#resetsLate++;
    this.#scanner.clear();
    if (this.#inFlight && !this.#inFlight.order) this.#mayBeTaken = true;
    // An order may have been obeyed: its acknowledgement is still welcome.
    this.#settleAll('reset', (entry) => !entry.order);
    this.#writeIfTaken(encodeControlPacket(PacketType.Reset, 0));
  }

  forgetPeer(): void {
    this.#scanner.clear();
    this.#nextId = initialPacketId;
    this.#expectedId = initialPacketId;
    this.#lastAccepted = undefined;
    this.#mayBeTaken = false;
    this.#resetsUnanswered = this.#resetsLate = 0;
    this.#settleAll('reset');
    this.#owner.onPeerReset(true);
  }

  close(): void {
    // A target that waits for these would repeat what we have, long after we are gone.
    this.#flush();
    this.#link.close();
  }

  // --- sending

  #launch(entry: InFlight): void {
    this.#mayBeTaken = false;
    this.#inFlight = entry;
    this.#transmit(entry);
  }

  #transmit(entry: InFlight): void {
    if (entry.attemptsLeft-- <= 0) {
      // An order stays: it may be acknowledged yet, and its id is used until then.
      if (!entry.order) this.#giveUp();
      return;
    }
    this.#acknowledgement.set(this.#timing.acknowledge, () => this.#retransmit());
    this.#counters.packetsSent++;
    this.#write(encodeDataPacket(entry.packet.type, this.#nextId, entry.packet.payload));
  }

  #retransmit(): void {
    const entry = this.#inFlight;
    if (!entry) return;
    if (this.#link.queuedBytes > mostUnsent) {
      this.#acknowledgement.set(this.#timing.acknowledge, () => this.#retransmit());
      return;
    }
    this.#counters.retransmissions++;
    this.#transmit(entry);
  }

  #giveUp(): void {
    if (this.#isTarget) {
      this.#nextId = firstTargetId;
      this.#expectedId = initialPacketId;
    }
    this.#settle((entry) => entry.reject(this.#notAcknowledged('a packet was sent again and again')));
  }

  #notAcknowledged(what: string): VmkdError {
    return new VmkdError('target-not-acknowledging', `${this.name}: ${what}, and never acknowledged`);
  }

  /** Ends the packet in flight and launches the next that waits. */
  #settle(finish: (entry: InFlight) => void): void {
    const entry = this.#inFlight;
    if (!entry) return;
    this.#acknowledgement.lift();
    this.#inFlight = undefined;
    finish(entry);
    const next = this.#waiting.shift();
    if (next) this.#launch(next);
  }

  get #awaitsTaking(): boolean {
    return this.#inFlight !== undefined || this.#mayBeTaken;
  }

  #settleAll(delivery: Delivery, concerned?: (entry: InFlight) => boolean): void {
    for (const entry of this.#takeAll(concerned)) entry.resolve(delivery);
  }

  /** What is in flight, unless `concerned` spares it, and what waits: no longer ours, and no timer runs for it. */
  #takeAll(concerned: (entry: InFlight) => boolean = () => true): InFlight[] {
    const taken = this.#waiting.splice(0);
    if (this.#inFlight && concerned(this.#inFlight)) {
      this.#acknowledgement.lift();
      taken.push(this.#inFlight);
      this.#inFlight = undefined;
    }
    return taken;
  }

  #acknowledged(): void {
    this.#mayBeTaken = false;
    this.#nextId = (this.#nextId ^ 1) & ~syncPacketId;
    this.#nextId >>>= 0;
    if (this.#inFlight) {
      this.#resetsLate += this.#resetsUnanswered;
      this.#resetsUnanswered = 0;
    }
    this.#settle((entry) => entry.resolve('acknowledged'));
  }

  #write(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#acknowledgements.length > 0) bytes = concatenate([...this.#acknowledgements.splice(0), bytes]);
    this.#counters.bytesSent += bytes.length;
    this.#link.write(bytes);
  }

  #writeIfTaken(bytes: Uint8Array): void {
    if (this.#link.queuedBytes <= mostUnsent) this.#write(bytes);
  }

  #acknowledge(packetId: number): void {
    if (this.#link.queuedBytes > mostUnsent) return;
    const id = this.#isTarget ? packetId : (packetId & ~syncPacketId) >>> 0;
    this.#acknowledgements.push(encodeControlPacket(PacketType.Acknowledge, id));
    if (this.#acknowledgements.length === 1) this.#flushSoon();
  }

  /**
   * An acknowledgement waits for a request to travel with it, until all is done that the packet has set in motion: Node comes
   * to a tick that is asked for within a microtask when no microtask is left.
   */
  #flushSoon(): void {
    void Promise.resolve().then(() => process.nextTick(() => this.#flush()));
  }

  #flush(): void {
    if (this.#acknowledgements.length > 0) this.#write(concatenate(this.#acknowledgements.splice(0)));
  }

  // --- receiving

  #onBytes(chunk: Uint8Array): void {
    this.#counters.bytesReceived += chunk.length;
    this.#resendAsked = false;
    this.#scanner.push(chunk);
    this.#afterScan();
  }

  #afterScan(): void {
    if (this.#resetToAnswer) {
      // Only now: a debugger that waited long has queued a RESET a second, and each answer would provoke the next.
      this.#resetToAnswer = false;
      this.#answerReset();
    }
    if (!this.#scanner.midPacket || this.#closed) {
      this.#rest.lift();
      return;
    }
    this.#rest.set(this.#timing.withinPacket, () => {
      this.#resendAsked = false;
      this.#scanner.expire();
      this.#afterScan();
    });
  }

  #sink(): ScannerSink {
    return {
      onData: (type, packetId, payload) => this.#onData(type, packetId, payload),
      onControl: (type, packetId) => this.#onControl(type, packetId),
      onBreakIn: () => {
        if (this.#isTarget) this.#owner.onBreakIn();
        else this.#counters.garbageBytes++;
      },
      onDamaged: () => {
        this.#counters.damaged++;
        this.#askToResend();
      },
      onGarbage: (count) => {
        this.#counters.garbageBytes += count;
      },
    };
  }

  #askToResend(): void {
    if (this.#resendAsked || this.#deaf) return;
    this.#resendAsked = true;
    this.#writeIfTaken(encodeControlPacket(PacketType.Resend, 0));
  }

  /** A running target with nothing to say only polls for break-ins: all else falls on deaf ears. */
  get #deaf(): boolean {
    return this.#isTarget && this.#inFlight === undefined && !this.#owner.listens();
  }

  #onControl(type: ControlType, packetId: number): void {
    this.#counters.controlReceived++;
    if (this.#deaf) return;
    switch (type) {
      case PacketType.Acknowledge:
        if (this.#awaitsTaking && packetId === (this.#nextId & ~syncPacketId) >>> 0) this.#acknowledged();
        return;
      case PacketType.Resend:
        if (this.#inFlight) this.#retransmit();
        else if (this.#isTarget) this.#owner.onResend?.();
        return;
      case PacketType.Reset:
        this.#onReset();
        return;
    }
  }

  #onReset(): void {
    this.#nextId = initialPacketId;
    this.#expectedId = initialPacketId;
    this.#lastAccepted = undefined;
    if (this.#isTarget) {
      this.#resetToAnswer = true;
      return;
    }
    this.#mayBeTaken = false;
    // Who answers a RESET does not run: an order that lingers was not obeyed.
    this.#settleAll('reset');
    if (this.#resetsUnanswered > 0) this.#resetsUnanswered--;
    else if (this.#resetsLate > 0) this.#resetsLate--;
    else {
      // An answer to the answer would be answered for ever.
      this.#resetsLate++;
      this.#write(encodeControlPacket(PacketType.Reset, 0));
    }
    this.#owner.onPeerReset(false);
  }

  #answerReset(): void {
    this.#write(encodeControlPacket(PacketType.Reset, 0));
    if (this.#inFlight) this.#retransmit();
    else this.#owner.onPeerReset(false);
  }

  #onData(type: DataType, packetId: number, payload: Uint8Array): void {
    if (this.#resetToAnswer || this.#deaf) return;
    const sum = checksum(payload);
    if (this.#isRepeated(type, packetId, payload.length, sum)) {
      this.#counters.duplicates++;
      this.#acknowledge(packetId);
      return;
    }
    const verdict = this.#owner.judge({ type, payload });
    if (verdict === 'damaged') {
      this.#counters.damaged++;
      this.#askToResend();
      return;
    }
    const startsAnew = !this.#isTarget && (packetId & syncPacketId) !== 0;
    if (startsAnew) {
      this.#nextId = initialPacketId;
      this.#mayBeTaken = false;
      this.#settleAll('reset');
    }
    this.#acknowledge(packetId);
    if (verdict === 'stale') return;
    this.#lastAccepted = { type, id: packetId, length: payload.length, sum };
    this.#expectedId = (this.#expectedId ^ 1) >>> 0;
    this.#counters.packetsReceived++;
    // Who says something new has got what we said before: its acknowledgement was lost.
    if (this.#awaitsTaking && (this.#isTarget || this.#inFlight?.order === true || isAnswer(type)))
      this.#acknowledged();
    if (startsAnew) this.#owner.onPeerReset(true);
    this.#owner.onPacket({ type, payload: payload.slice() });
  }

  #isRepeated(type: DataType, packetId: number, length: number, sum: number): boolean {
    if (this.#isTarget) return packetId !== this.#expectedId;
    const last = this.#lastAccepted;
    return (
      last !== undefined &&
      last.id === packetId &&
      last.type === type &&
      last.length === length &&
      last.sum === sum
    );
  }

  #onClosed(error: VmkdError | undefined): void {
    this.#closed = { error };
    this.#rest.stop();
    const reason = error ?? new VmkdError('link-lost', `${this.name} was closed`);
    for (const entry of this.#takeAll()) entry.reject(reason);
    this.#acknowledgement.stop();
    this.#owner.onClosed(error);
  }
}

const isAnswer = (type: DataType): boolean =>
  type === PacketType.StateManipulate || type === PacketType.StateChange64;
