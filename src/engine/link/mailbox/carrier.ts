/**
 * KD packets through a mailbox, for one epoch: offered to the guest, used by both, ended by either.
 *
 *            the guest lives           guest takes the offer            guest leaves, mailbox makes no sense, or is gone
 *   watching ────────────────▶ offered ───────────────────────▶ attached ────────────────────────────────────────────▶ ended
 *      └────────── not ───────────┴── not in time ───────────────────────────────────────────────────────────────────────▲
 *
 * The end says what has become of the last packet in each direction, so that none is lost or doubled on the way on: ours
 * was taken or not; the guest's, which we have, may come once more (a twin), because the guest did not see us take it.
 *
 * Invariants: one packet of ours under way at a time; nothing is written unless the guest's beat has moved a moment ago: a
 * mailbox in the memory of a machine that was reset must not be written to. `onEnded` is the last call, and comes once.
 */

import { randomInt } from 'node:crypto';
import type { Clock } from '../../core/clock';
import { VmkdError, asVmkdError } from '../../core/errors';
import { PacketType, isDataType } from '../../kd/framing';
import type { KdPacket } from '../../kd/packet';
import type { MailboxDescription } from './description';
import type { Doorbell, Found } from './doorbell';
import { HostEnd, isReady, type GuestView } from './hostEnd';
import { LeftReason, MessageKind, hostBeatMilliseconds } from './layout';
import type { MailboxWindow } from './ram';

export interface Ending {
  /** left: the guest lives and has gone back to its UART. refused: it did not take the offer. closed: we let it go. */
  readonly kind: 'left' | 'refused' | 'damaged' | 'gone' | 'lost' | 'closed';
  readonly error: VmkdError;
  /** The guest has the packet that was under way. */
  readonly taken: boolean;
  /** The guest's last packet comes again. */
  readonly twin: boolean;
  /** The same mailbox may be offered anew. */
  readonly again: boolean;
}

export interface CarrierOwner {
  onAttached(): void;
  /** The packet that was sent has been taken. */
  onTaken(): void;
  /** The packet that was sent has not been taken by its deadline. */
  onOverdue(): void;
  /** To be taken or refused before the guest goes on; see ChannelOwner. A copy of its own. */
  onPacket(packet: KdPacket): void;
  /** The guest starts anew with us: what it says next, it says again. */
  onResetDone(): void;
  onEnded(ending: Ending): void;
}

/** Milliseconds until an offer is withdrawn. A stopped guest looks for one only as often as kdcom's wait for a packet ends. */
const offerMilliseconds = 2500;
/** Milliseconds within which the guest's beat has moved if it lives. It ticks 64 times a second. */
const freshMilliseconds = 150;
/** Milliseconds within which another host's beat has moved if it lives. */
const otherHostMilliseconds = 3 * hostBeatMilliseconds;

export class MailboxCarrier {
  readonly #end: HostEnd;
  readonly #clock: Clock;
  readonly #doorbell: Doorbell;
  readonly #owner: CarrierOwner;
  #state: 'watching' | 'offered' | 'attached' | 'ended' = 'watching';
  /** When this state began. */
  #since: number;
  /** The beat of another host, who may have died. */
  readonly #otherBeat: number;
  #guestBeat: number;
  #beatMoved: number;
  #lastBeat = -Infinity;
  /** The guest's beat when ours was last written. */
  #answeredBeat: number | undefined;
  /** What waits for a sign of life. */
  #toSend: KdPacket | undefined;
  #deadline = Infinity;
  #toBreakIn = 0;
  #toReset = false;
  /** Sequence of the packet, and of the reset, that the guest has not taken yet. */
  #underWay: number | undefined;
  #resetUnderWay: number | undefined;

  /**
   * Offers the mailbox to the guest, from the first look on.
   * @param options.beatMoved When the guest was last seen to live. @throws mailbox-gone, and what the window throws
   */
  constructor(
    window: MailboxWindow,
    found: MailboxDescription,
    options: {
      readonly clock: Clock;
      readonly doorbell: Doorbell;
      readonly owner: CarrierOwner;
      readonly beatMoved: number;
    },
  ) {
    this.#end = new HostEnd(window, found, randomInt(1, 2 ** 32));
    this.#clock = options.clock;
    this.#doorbell = options.doorbell;
    this.#owner = options.owner;
    this.#guestBeat = this.#end.look().beat;
    this.#otherBeat = this.#end.other().beat;
    this.#beatMoved = options.beatMoved;
    this.#since = this.#clock.now();
    // The first look offers it: `onEnded` must not come before the owner has this carrier.
    this.#doorbell.start((now) => this.#look(now));
  }

  /** Only when attached, and nothing is under way. @param deadline On the clock; then `onOverdue` is called. */
  send(packet: KdPacket, deadline: number): void {
    this.#toSend = packet;
    this.#deadline = deadline;
    this.#work();
  }

  /** Forgets the packet under way; the guest does not get it if it has not taken it yet. */
  abandon(): void {
    this.#toSend = undefined;
    this.#deadline = Infinity;
    if (this.#underWay === undefined) return;
    this.#underWay = undefined;
    this.#try(() => {
      if (this.#isFresh(this.#clock.now())) this.#end.voidUntaken();
    });
  }

  breakIn(): void {
    this.#toBreakIn++;
    this.#work();
  }

  /** Asks the guest to start anew. It answers when it waits for a packet, be it in an hour. */
  requestReset(): void {
    this.#toReset = this.#resetUnderWay === undefined;
    this.#work();
  }

  /** Lets the guest go back to its UART. */
  close(): void {
    this.#finish('closed', new VmkdError('mailbox-left', 'The mailbox was closed'), { letGo: true });
  }

  /** What it holds is an old machine's: nothing is written any more. */
  drop(error: VmkdError): void {
    this.#finish('gone', error);
  }

  /** Whether the guest's beat has moved within that many milliseconds. */
  livesSince(milliseconds: number): boolean {
    return this.#clock.now() - this.#beatMoved < milliseconds;
  }

  /** One look, now. */
  look(): void {
    this.#look(this.#clock.now());
  }

  #isFresh(now: number): boolean {
    return now - this.#beatMoved < freshMilliseconds;
  }

  #work(): void {
    // The guest first: it works while we get ready to look.
    this.#try(() => this.#write(this.#clock.now()));
    this.#doorbell.expect();
  }

  /** For the doorbell. */
  #look(now: number): Found {
    if (this.#state === 'ended') return 'nothing';
    try {
      const view = this.#end.look();
      if (view.beat !== this.#guestBeat) {
        this.#guestBeat = view.beat;
        this.#beatMoved = now;
      }
      if (!isReady(view)) return this.#guestLeft(LeftReason.Unload);
      if (this.#state === 'watching') return this.#offer(now);
      if (this.#state === 'offered') return this.#lookForAnswer(view, now);
      if (view.epoch !== this.#end.epoch) return this.#guestLeft(view.leftReason);
      const settled = this.#settle(view);
      this.#write(now);
      const received = this.#receive();
      if (now > this.#deadline) this.#owner.onOverdue();
      return received === 'nothing' && settled ? 'news' : received;
    } catch (thrown) {
      return this.#failed(thrown);
    }
  }

  #offer(now: number): Found {
    const other = this.#end.other();
    if (other.epoch !== 0 && other.beat !== this.#otherBeat) {
      const error = new VmkdError(
        'target-second-debugger',
        'Another debugger uses the mailbox of this guest',
      );
      this.#finish('refused', error, { again: false });
      return 'news';
    }
    const isFree = other.epoch === 0 || now - this.#since >= otherHostMilliseconds;
    if (isFree && this.#isFresh(now)) {
      this.#state = 'offered';
      this.#since = now;
      this.#end.offer();
      return 'news';
    }
    if (now - this.#since < offerMilliseconds) return 'nothing';
    return this.#refused('The guest module shows no sign of life');
  }

  #lookForAnswer(view: GuestView, now: number): Found {
    if (view.epoch === this.#end.epoch) {
      this.#state = 'attached';
      this.#beat(now);
      this.#owner.onAttached();
      return 'news';
    }
    if (view.leftEpoch === this.#end.epoch) return this.#guestLeft(view.leftReason);
    if (now - this.#since < offerMilliseconds) return 'nothing';
    return this.#refused(`The guest did not take the mailbox within ${offerMilliseconds} ms`);
  }

  #refused(message: string): Found {
    this.#finish('refused', new VmkdError('mailbox-left', message), { letGo: true });
    return 'news';
  }

  /** Writes what waits to be written, if the guest lives. */
  #write(now: number): void {
    if (this.#state !== 'attached' || !this.#isFresh(now)) return;
    this.#beat(now);
    for (; this.#toBreakIn > 0; this.#toBreakIn--) this.#end.breakIn();
    if (this.#toReset && this.#end.hasRoom) {
      this.#toReset = false;
      this.#resetUnderWay = this.#end.post(MessageKind.Reset);
    }
    if (this.#toSend && this.#end.hasRoom) {
      const { type, payload } = this.#toSend;
      this.#toSend = undefined;
      this.#underWay = this.#end.post(MessageKind.Packet, type, payload);
    }
  }

  /** Only as long as the guest's goes on: one beat may hit a machine that was reset a moment ago, not two. */
  #beat(now: number): void {
    if (now - this.#lastBeat < hostBeatMilliseconds / 2 || this.#guestBeat === this.#answeredBeat) return;
    this.#lastBeat = now;
    this.#answeredBeat = this.#guestBeat;
    this.#end.beat();
  }

  #settle({ taken }: GuestView): boolean {
    this.#end.onTaken(taken);
    if (hasReached(taken, this.#resetUnderWay)) this.#resetUnderWay = undefined;
    if (!hasReached(taken, this.#underWay)) return false;
    this.#underWay = undefined;
    this.#deadline = Infinity;
    this.#owner.onTaken();
    return true;
  }

  #receive(): Found {
    let found: Found = 'nothing';
    for (;;) {
      if (this.#state !== 'attached') return found;
      const message = this.#end.peek();
      if (!message) return found;
      const { kind, packetType, payload } = message;
      if (kind === MessageKind.ResetDone) {
        this.#end.acknowledge();
        found = 'news';
        this.#owner.onResetDone();
      } else if (isDataType(packetType) && payload.length > 0) {
        this.#end.acknowledge();
        found = isLastWord(packetType) ? 'ours' : 'news';
        this.#owner.onPacket({ type: packetType, payload });
      } else {
        throw new VmkdError('mailbox-damaged', `The guest sent a packet of unknown type ${packetType}`);
      }
    }
  }

  #guestLeft(reason: number): Found {
    // Again: the words that tell what has become of the last packets are written before the one that says “left”.
    const { taken, leftEpoch, withdrawn } = this.#end.look();
    const knowsUs = leftEpoch === this.#end.epoch;
    this.#finish('left', new VmkdError('mailbox-left', whyLeft(reason), nextStepFor(reason)), {
      letGo: true,
      taken: hasReached(taken, this.#underWay),
      twin: knowsUs && withdrawn !== 0 && hasReached(this.#end.taken, withdrawn),
      again: reason !== LeftReason.Unload,
    });
    return 'news';
  }

  #finish(
    kind: Ending['kind'],
    error: VmkdError,
    facts: { letGo?: boolean; taken?: boolean; twin?: boolean; again?: boolean } = {},
  ): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#doorbell.stop();
    const { letGo = false, taken = false, twin = false, again = kind === 'refused' } = facts;
    try {
      if (letGo && this.#isFresh(this.#clock.now())) this.#end.leave();
      this.#end.close();
    } catch {
      // Its memory is gone, and we were going anyway.
    }
    this.#owner.onEnded({ kind, error, taken, twin, again });
  }

  #try(action: () => void): void {
    if (this.#state === 'ended') return;
    try {
      action();
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  /** What fails ends the carrier. */
  #failed(thrown: unknown): Found {
    const error = asVmkdError(thrown);
    if (error.code === 'mailbox-gone') this.#finish('gone', error);
    else if (error.code === 'mailbox-damaged') this.#finish('damaged', error, { letGo: true, again: true });
    else this.#finish('lost', error);
    return 'news';
  }
}

/** Whether `count`, which goes up and wraps, has come to `sequence`. */
const hasReached = (count: number, sequence: number | undefined): boolean =>
  sequence !== undefined && ((count - sequence) | 0) >= 0;

/** Whether a guest that has said this waits for our next packet, and says nothing until then. */
const isLastWord = (type: number): boolean =>
  type === PacketType.StateManipulate || type === PacketType.StateChange64;

function whyLeft(reason: number): string {
  switch (reason) {
    case LeftReason.ByHost:
      return 'The guest saw that the mailbox was let go';
    case LeftReason.Silent:
      return 'The guest took us for dead: this process was busy, or stopped, for too long';
    case LeftReason.Stuck:
      return 'The guest waited too long for a packet to be taken';
    case LeftReason.Damaged:
      return 'The guest found the host’s words in the mailbox damaged';
    case LeftReason.Large:
      return 'The guest has a packet that does not fit into the mailbox';
    case LeftReason.Unload:
      return 'The guest module is being unloaded';
    default:
      return 'The guest went back to its serial port and does not say why';
  }
}

const nextStepFor = (reason: number): { nextStep?: string } =>
  reason === LeftReason.Unload ? { nextStep: 'Load vmkd.sys again to have the fast transport back.' } : {};
