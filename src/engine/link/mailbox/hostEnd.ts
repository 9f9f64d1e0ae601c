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
}

/** Most messages are short: one read fetches head and payload. */
const firstRead = 512;
/** A message that is being written when we look, or a word that comes in pieces, is right the next time. */
const mostTries = 4;

export class HostEnd {
  readonly #window: MailboxWindow;
  readonly #found: MailboxDescription;
  readonly #line: GuestLine;
  readonly #slot = new Slot();
  #posted = 0;
  #untaken = 0;
  #taken = 0;
  #beat = 0;
  #breakIns = 0;

  /** @param epoch Random, not 0. */
  constructor(
    window: MailboxWindow,
    found: MailboxDescription,
    readonly epoch: number,
  ) {
    this.#window = window;
    this.#found = found;
    this.#line = new GuestLine(found.nonce);
  }

  /** The guest's messages taken in this epoch. */
  get taken(): number {
    return this.#taken;
  }

  /** Reads the guest's line. @throws mailbox-gone if it is no mailbox any more; what the window throws */
  look(): GuestView {
    const line = this.#line;
    this.#window.read(guestOffset, line.bytes);
    if (!line.isOfNonce) {
      throw new VmkdError('mailbox-gone', 'The pages of the mailbox hold something else now');
    }
    return line;
  }

  /** What another host has said here, before we say anything: its epoch, 0 if there is none, and its beat. */
  other(): { readonly epoch: number; readonly beat: number } {
    const line = new Uint8Array(hostLine.size);
    this.#window.read(hostOffset, line);
    return hostLine.read(line);
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

  /** Makes all messages void that the guest has not taken yet. */
  voidUntaken(): void {
    this.#writeWord('voidBelow', (this.#posted + 1) >>> 0);
  }

  /** Hears how many messages the guest says to have taken. @throws mailbox-damaged */
  onTaken(count: number): void {
    const untaken = (this.#posted - count) >>> 0;
    if (untaken > this.#found.slotCount) throw damaged('the guest has taken more messages than there were');
    this.#untaken = untaken;
  }

  /** Whether there is room for one more message. */
  get hasRoom(): boolean {
    return this.#untaken < this.#found.slotCount;
  }

  /** There must be room. @returns the message's sequence */
  post(kind: number, packetType = 0, payload: Uint8Array = nothing): number {
    const sequence = (this.#posted + 1) >>> 0;
    const slot = this.#slot;
    slot.set('sequence', sequence);
    slot.set('epoch', this.epoch);
    slot.set('kind', kind | (packetType << 16));
    slot.set('length', payload.length);
    slot.set('checksum', crc32(payload, crc32(slot.checked)));
    slot.bytes.set(payload, messageHead.size);
    const message = slot.bytes.subarray(0, messageHead.size + payload.length);
    this.#window.write(this.#slotOffset(this.#found.slotCount, sequence), message);
    this.#posted = sequence;
    this.#untaken++;
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
    const slot = this.#slot;
    this.#window.read(offset, slot.start);
    if (slot.get('sequence') !== sequence || slot.get('epoch') !== this.epoch)
      return `message ${sequence} is not where it should be`;
    const length = slot.get('length');
    if (length > payloadBytes) return `a message claims ${length} bytes`;
    const end = messageHead.size + length;
    if (end > firstRead) this.#window.read(offset + firstRead, slot.bytes.subarray(firstRead, end));
    const payload = slot.bytes.slice(messageHead.size, end);
    if (crc32(payload, crc32(slot.checked)) !== slot.get('checksum'))
      return `the checksum of message ${sequence} is wrong`;
    const kinds = slot.get('kind');
    const [kind, packetType] = [kinds & 0xffff, kinds >>> 16];
    if (kind !== MessageKind.Packet && kind !== MessageKind.ResetDone)
      return `a message of unknown kind ${kind}`;
    return { kind, packetType, payload };
  }

  #slotOffset(firstSlot: number, sequence: number): number {
    const { slotCount, slotBytes } = this.#found;
    return ringsOffset + (firstSlot + (((sequence - 1) >>> 0) % slotCount)) * slotBytes;
  }

  #writeWord(name: Exclude<keyof typeof hostLine.fields, 'nonce' | 'reserved'>, value: number): void {
    this.#window.writeU32(hostOffset + hostLine.fields[name][0], value);
  }
}

/** The guest's line without an object for each look: it is looked at all the time. */
class GuestLine implements GuestView {
  readonly bytes = new Uint8Array(guestLine.size);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #nonceLow: number;
  readonly #nonceHigh: number;

  constructor(nonce: bigint) {
    this.#nonceLow = Number(nonce & 0xffff_ffffn);
    this.#nonceHigh = Number(nonce >> 32n);
  }

  get isOfNonce(): boolean {
    const at = guestLine.fields.nonce[0];
    return (
      this.#view.getUint32(at, true) === this.#nonceLow &&
      this.#view.getUint32(at + 4, true) === this.#nonceHigh
    );
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

  #word(name: Exclude<keyof typeof guestLine.fields, 'nonce'>): number {
    return this.#view.getUint32(guestLine.fields[name][0], true);
  }
}

/** A message that comes or goes. `kind` is read and written together with `packetType`, its upper half. */
class Slot {
  readonly bytes = new Uint8Array(messageHead.size + payloadBytes);
  readonly start = this.bytes.subarray(0, firstRead);
  readonly checked = this.bytes.subarray(0, checkedBytes);
  readonly #view = new DataView(this.bytes.buffer);

  get(name: SlotWord): number {
    return this.#view.getUint32(messageHead.fields[name][0], true);
  }

  set(name: SlotWord, value: number): void {
    this.#view.setUint32(messageHead.fields[name][0], value, true);
  }
}

type SlotWord = 'sequence' | 'epoch' | 'kind' | 'length' | 'checksum';

/** Whether the module can be talked to. */
export const isReady = ({ state }: Pick<GuestView, 'state'>): boolean => state === GuestState.Ready;

const nothing = new Uint8Array(0);

const damaged = (what: string): VmkdError =>
  new VmkdError('mailbox-damaged', `The mailbox makes no sense: ${what}`);
