/**
 * The host's end of a mailbox in one epoch: its words and messages, and what the guest's say. The counterpart of
 * native/guest/link.c; no time, no policy. All of it is synchronous.
 *
 * Invariants: nothing is written before `look` has shown, a moment ago, that the mailbox is still one and its guest alive;
 * whatever the guest writes is bounded or refused with `mailbox-damaged`; one of our own words is never read back.
 */

import { crc32 } from 'node:zlib';
import { VmkdError } from '../../core/errors';
import type { MailboxDescription } from './description';
import {
  GuestState,
  MessageKind,
  checkedBytes,
  guestLine,
  guestOffset,
  hostLine,
  hostOffset,
  messageHead,
  payloadBytes,
  ringsOffset,
} from './layout';
import type { MailboxWindow } from './ram';

export interface MailboxMessage {
  readonly kind: number;
  readonly packetType: number;
  /** A copy of its own. */
  readonly payload: Uint8Array;
}

/** What a look shows of the guest. Valid until the next look. */
export interface GuestView {
  readonly state: number;
  readonly beat: number;
  readonly epoch: number;
  readonly taken: number;
  readonly leftEpoch: number;
  readonly leftReason: number;
  readonly withdrawn: number;
  readonly pong: number;
}

/** Most messages are short: one read fetches head and payload. */
const firstRead = 512;
/** A message that is being written when we look, or a word that comes in pieces, is right the next time. */
const mostTries = 4;

export class HostEnd {
  readonly #window: MailboxWindow;
  readonly #found: MailboxDescription;
  readonly #line = new GuestLine();
  readonly #slot: Uint8Array;
  readonly #slotView: DataView;
  #posted = 0;
  #taken = 0;
  #beat = 0;
  #breakIns = 0;
  #ping = 0;

  /** @param epoch Random, not 0. */
  constructor(
    window: MailboxWindow,
    found: MailboxDescription,
    readonly epoch: number,
  ) {
    this.#window = window;
    this.#found = found;
    this.#slot = new Uint8Array(messageHead.size + payloadBytes);
    this.#slotView = new DataView(this.#slot.buffer);
  }

  /** Messages posted in this epoch. */
  get posted(): number {
    return this.#posted;
  }

  /** The guest's messages taken in this epoch. */
  get taken(): number {
    return this.#taken;
  }

  /** Reads the guest's line. @throws mailbox-gone if it is no mailbox any more; what the window throws */
  look(): GuestView {
    const line = this.#line;
    this.#window.read(guestOffset, line.bytes);
    if (line.nonce !== this.#found.nonce) {
      throw new VmkdError('mailbox-gone', 'The pages of the mailbox hold something else now');
    }
    return line;
  }

  /** Asks the guest to use the mailbox. The guest answers by its own `epoch`. */
  offer(): void {
    const line = new Uint8Array(hostLine.size);
    hostLine.write(line, { nonce: this.#found.nonce });
    this.#window.write(hostOffset, line);
    this.#writeWord('epoch', this.epoch);
  }

  /** Lets the guest go. The last that is written. */
  leave(): void {
    this.#writeWord('epoch', 0);
  }

  beat(): void {
    this.#beat = (this.#beat + 1) >>> 0;
    this.#writeWord('beat', this.#beat);
  }

  breakIn(): void {
    this.#breakIns = (this.#breakIns + 1) >>> 0;
    this.#writeWord('breakIns', this.#breakIns);
  }

  /** The guest hands the number back as `pong` as soon as it looks. @returns it */
  ping(): number {
    this.#ping = (this.#ping + 1) >>> 0;
    this.#writeWord('ping', this.#ping);
    return this.#ping;
  }

  /** Makes all messages void that the guest has not taken yet. */
  voidUntaken(): void {
    this.#writeWord('voidBelow', (this.#posted + 1) >>> 0);
  }

  /** Whether there is room for one more message. @param guestTaken As the guest said last. @throws mailbox-damaged */
  hasRoom(guestTaken: number): boolean {
    const untaken = (this.#posted - guestTaken) >>> 0;
    if (untaken > this.#found.slotCount) throw damaged('the guest has taken more messages than there were');
    return untaken < this.#found.slotCount;
  }

  /** There must be room. @returns the message's sequence */
  post(kind: number, packetType = 0, payload: Uint8Array = nothing): number {
    const sequence = (this.#posted + 1) >>> 0;
    const message = this.#slot.subarray(0, messageHead.size + payload.length);
    message.fill(0, 0, messageHead.size);
    messageHead.write(message, { sequence, epoch: this.epoch, kind, packetType, length: payload.length });
    message.set(payload, messageHead.size);
    const sum = crc32(payload, crc32(message.subarray(0, checkedBytes)));
    this.#slotView.setUint32(messageHead.fields.checksum[0], sum, true);
    this.#window.write(this.#slotOffset(this.#found.slotCount, sequence), message);
    this.#posted = sequence;
    this.#writeWord('posted', sequence);
    return sequence;
  }

  /**
   * The guest's next message, if there is one; it stays until `acknowledge`.
   * @throws mailbox-damaged if what lies there is none
   */
  peek(): MailboxMessage | undefined {
    const waiting = (this.#line.posted - this.#taken) >>> 0;
    if (waiting === 0) return undefined;
    if (waiting > this.#found.slotCount)
      throw damaged('the guest has posted more messages than there is room');
    for (let tries = mostTries; ; tries--) {
      const message = this.#read((this.#taken + 1) >>> 0);
      if (typeof message !== 'string') return message;
      if (tries === 0) throw damaged(message);
    }
  }

  /** Tells the guest that its message has arrived. */
  acknowledge(): void {
    this.#taken = (this.#taken + 1) >>> 0;
    this.#writeWord('taken', this.#taken);
  }

  close(): void {
    this.#window.close();
  }

  /** A message, or why there is none. */
  #read(sequence: number): MailboxMessage | string {
    const offset = this.#slotOffset(0, sequence);
    this.#window.read(offset, this.#slot.subarray(0, firstRead));
    const head = messageHead.read(this.#slot);
    if (head.sequence !== sequence || head.epoch !== this.epoch)
      return `message ${sequence} is not where it should be`;
    if (head.length > payloadBytes) return `a message claims ${head.length} bytes`;
    const end = messageHead.size + head.length;
    if (end > firstRead) this.#window.read(offset + firstRead, this.#slot.subarray(firstRead, end));
    const payload = this.#slot.slice(messageHead.size, end);
    const sum = crc32(payload, crc32(this.#slot.subarray(0, checkedBytes)));
    if (sum !== head.checksum) return `the checksum of message ${sequence} is wrong`;
    if (head.kind !== MessageKind.Packet && head.kind !== MessageKind.ResetDone)
      return `a message of unknown kind ${head.kind}`;
    return { kind: head.kind, packetType: head.packetType, payload };
  }

  #slotOffset(firstSlot: number, sequence: number): number {
    const { slotCount, slotBytes } = this.#found;
    return ringsOffset + (firstSlot + (((sequence - 1) >>> 0) % slotCount)) * slotBytes;
  }

  #writeWord(name: Exclude<keyof typeof hostLine.fields, 'nonce' | 'reserved'>, value: number): void {
    this.#window.writeU32(hostOffset + hostLine.fields[name][0], value);
  }
}

/** The guest's line without a copy of it for each look: it is looked at all the time. */
class GuestLine implements GuestView {
  readonly bytes = new Uint8Array(guestLine.size);
  readonly #view = new DataView(this.bytes.buffer);

  get nonce(): bigint {
    return this.#view.getBigUint64(guestLine.fields.nonce[0], true);
  }
  get state(): number {
    return this.#word('state');
  }
  get beat(): number {
    return this.#word('beat');
  }
  get epoch(): number {
    return this.#word('epoch');
  }
  get posted(): number {
    return this.#word('posted');
  }
  get taken(): number {
    return this.#word('taken');
  }
  get leftEpoch(): number {
    return this.#word('leftEpoch');
  }
  get leftReason(): number {
    return this.#word('leftReason');
  }
  get withdrawn(): number {
    return this.#word('withdrawn');
  }
  get pong(): number {
    return this.#word('pong');
  }

  #word(name: Exclude<keyof typeof guestLine.fields, 'nonce'>): number {
    return this.#view.getUint32(guestLine.fields[name][0], true);
  }
}

/** Whether the module can be talked to. */
export const isReady = ({ state }: Pick<GuestView, 'state'>): boolean => state === GuestState.Ready;

const nothing = new Uint8Array(0);

const damaged = (what: string): VmkdError =>
  new VmkdError('mailbox-damaged', `The mailbox makes no sense: ${what}`);
