/**
 * KD over a serial port and a mailbox, whichever is there: one packet channel for the client, which notices nothing of it.
 *
 *            a living mailbox is found                     the guest takes it
 *   serial  ──────────────────────────▶  turning  ─────────────────────────▶  mailbox
 *     ▲                                     │                                    │
 *     └────────── not taken ────────────────┘                                    │
 *     └────────── the guest goes back to its UART, or was reset ─────────────────┘
 *
 * How no packet is lost or doubled on the way over:
 *   serial ─▶ mailbox   We wait until we are in step with the guest on the line, so that we can come back to it at any time;
 *                       send nothing new until what is under way is acknowledged; and offer the mailbox then. The guest
 *                       takes an offer between two of its calls of kdcom, when it has our acknowledgement.
 *   mailbox ─▶ serial   The guest decides. Its words say whether it had our packet, else it is sent again by the line; and
 *                       whether it sends again what we have, which is then swallowed.
 *   new machine         A new packet on the line while the mailbox claims to be in use: it is an old machine's. Nobody
 *                       knows what became of what was under way; nothing is written to the mailbox any more.
 *
 * Packet ids of the line are kept as they were meanwhile, by both sides. A line on which nothing is ever heard is not waited
 * for: some machines have their serial port elsewhere.
 */

import { equalBytes } from '../../core/bytes';
import type { Clock, Timer } from '../../core/clock';
import { VmkdError, asVmkdError } from '../../core/errors';
import type { ChannelOwner, ChannelStatistics, Delivery, PacketChannel, SendOptions } from '../../kd/channel';
import { decodeDebugIo } from '../../kd/debugIo';
import { PacketType, breakInByte, encodeDataPacket, initialPacketId } from '../../kd/framing';
import type { KdPacket } from '../../kd/packet';
import { KdcomChannel, serialTiming, type KdcomTiming } from '../kdcomChannel';
import type { ByteLink } from '../link';
import type { TraceWriter } from '../trace';
import { announcedByPrint } from './announcement';
import { MailboxCarrier, type CarrierOwner, type Ending } from './carrier';
import type { Doorbell } from './doorbell';
import type { MailboxRam, MailboxWindow } from './ram';
import { MailboxSearch } from './search';
import type { FoundMailbox } from './finder';
import { doorbellOf } from './watchedDoorbell';

export type Carrying = 'serial' | 'mailbox';

export interface HybridObserver {
  /** Which way packets go from now on; why, when it is not the better one. */
  onCarrier?(carrying: Carrying, why?: VmkdError): void;
  /** There is no mailbox; modules that could not start, the newest first, some perhaps in kernels that were. */
  onNoMailbox?(failures: readonly FoundMailbox[]): void;
}

export interface HybridOptions {
  readonly clock: Clock;
  /** Absent: the guest has no serial port that we can reach, and must have loaded its module. */
  readonly serial?: ByteLink;
  readonly timing?: KdcomTiming;
  readonly ram: MailboxRam;
  /** Asks where the guest says that it has its mailbox (VMware's guestinfo), while all of RAM is searched for it. */
  readonly announced?: () => Promise<bigint | undefined>;
  readonly doorbell?: () => Doorbell;
  /** Gets the mailbox's packets too, framed as if they had come by the line. */
  readonly trace?: Pick<TraceWriter, 'record'>;
  readonly observer?: HybridObserver;
}

interface Entry {
  readonly packet: KdPacket;
  readonly options: SendOptions;
  /** On the clock; of a packet that no carrier takes. KDCOM has its own, which comes first where KDCOM carries. */
  readonly deadline: number;
  timer: Timer | undefined;
  readonly resolve: (delivery: Delivery) => void;
  readonly reject: (error: VmkdError) => void;
}

/** As KDCOM's. */
const longestQueue = 64;
/** Milliseconds that turning may take, on top of what a packet has. */
const turningMilliseconds = 4000;
/** Milliseconds to wait until what is under way on the line has arrived, before the mailbox is offered. */
const quietMilliseconds = 2000;
const quietPause = 5;
/** Milliseconds after which a line that has been called, and has not said anything, is not waited for any more. */
const deadLineMilliseconds = 3500;
/** Milliseconds for the guest to show that it lives on without its line. */
const lineGoneMilliseconds = 1000;

type Counters = { -readonly [K in keyof ChannelStatistics]: ChannelStatistics[K] };

export class HybridChannel implements PacketChannel {
  readonly name: string;
  readonly #options: HybridOptions;
  readonly #owner: ChannelOwner;
  readonly #clock: Clock;
  readonly #timing: KdcomTiming;
  readonly #search: MailboxSearch;
  #serial: KdcomChannel | undefined;
  #carrier: MailboxCarrier | undefined;
  #way: 'serial' | 'turning' | 'mailbox' = 'serial';
  readonly #queue: Entry[] = [];
  /** What was handed to a carrier. */
  #current: Entry | undefined;
  /** What was wanted while nobody knew which way to go. */
  #wanted = { breakIns: 0, reset: false };
  #lastDelivered: KdPacket | undefined;
  /** The guest will say this once more. */
  #twin: KdPacket | undefined;
  /** Runs from the first call on the line until something is heard there. */
  #deadLine: Timer | undefined;
  #searches = false;
  /** Of the mailbox that was used last, and of one that has vanished without a word. */
  #nonce: bigint | undefined;
  #vanished: bigint | undefined;
  /** It was told last that another debugger uses the mailbox. */
  #isTakenTold = false;
  #closed: { readonly error: VmkdError | undefined } | undefined;
  readonly #recordedIds = { '>': initialPacketId, '<': initialPacketId };
  readonly #mailboxCounters: Pick<
    Counters,
    'bytesReceived' | 'bytesSent' | 'packetsReceived' | 'packetsSent' | 'duplicates'
  > = {
    bytesReceived: 0,
    bytesSent: 0,
    packetsReceived: 0,
    packetsSent: 0,
    duplicates: 0,
  };

  constructor(owner: ChannelOwner, options: HybridOptions) {
    this.#owner = owner;
    this.#options = options;
    this.#clock = options.clock;
    this.#timing = options.timing ?? serialTiming;
    this.name = options.serial?.name ?? 'the mailbox';
    if (options.serial) {
      const { clock, timing } = options;
      this.#serial = new KdcomChannel(options.serial, this.#serialOwner(), {
        role: 'debugger',
        clock,
        ...(timing && { timing }),
      });
    }
    this.#search = new MailboxSearch(options.ram, this.#clock, {
      onFound: (found) => this.#turnTo(found),
      onNone: (failures) => options.observer?.onNoMailbox?.(failures),
      onLost: (error) => this.#onRamLost(error),
    });
    if (!this.#serial) this.#startSearch();
  }

  /** Which way packets go; undefined while there is none, or it changes. */
  get carrying(): Carrying | undefined {
    if (this.#way === 'mailbox') return 'mailbox';
    return this.#way === 'serial' && this.#serial ? 'serial' : undefined;
  }

  get statistics(): ChannelStatistics {
    const serial = this.#serial?.statistics;
    const mailbox = this.#mailboxCounters;
    return {
      bytesReceived: (serial?.bytesReceived ?? 0) + mailbox.bytesReceived,
      bytesSent: (serial?.bytesSent ?? 0) + mailbox.bytesSent,
      packetsReceived: (serial?.packetsReceived ?? 0) + mailbox.packetsReceived,
      packetsSent: (serial?.packetsSent ?? 0) + mailbox.packetsSent,
      controlReceived: serial?.controlReceived ?? 0,
      damaged: serial?.damaged ?? 0,
      garbageBytes: serial?.garbageBytes ?? 0,
      retransmissions: serial?.retransmissions ?? 0,
      duplicates: (serial?.duplicates ?? 0) + mailbox.duplicates,
    };
  }

  send(packet: KdPacket, options: SendOptions = {}): Promise<Delivery> {
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.now() + this.#limit(options);
      const entry: Entry = { packet, options, deadline, timer: undefined, resolve, reject };
      if (this.#closed) reject(this.#closed.error ?? new VmkdError('link-lost', `${this.name} is closed`));
      else if (this.#queue.length >= longestQueue) reject(this.#notAcknowledged('packets queue up'));
      else {
        this.#queue.push(entry);
        this.#pump();
        if (this.#queue.includes(entry)) this.#watch(entry);
      }
    });
  }

  breakIn(): void {
    this.#called();
    if (this.#way === 'mailbox' && this.#carrier) this.#callBy(this.#carrier);
    else if (this.#way === 'serial' && this.#serial) this.#serial.breakIn();
    else this.#wanted.breakIns++;
  }

  requestReset(manner?: 'awaited' | 'unawaited'): void {
    this.#called();
    for (const entry of this.#queue.splice(0)) finish(entry, () => entry.resolve('reset'));
    if (this.#way === 'mailbox') {
      // An order may have been obeyed: its acknowledgement is still welcome.
      if (this.#current && !this.#current.options.order) {
        this.#carrier?.abandon();
        this.#settle((entry) => entry.resolve('reset'));
      }
      this.#carrier?.requestReset();
    } else if (this.#way === 'serial' && this.#serial) {
      this.#serial.requestReset(manner);
    } else {
      this.#wanted.reset = true;
    }
  }

  forgetPeer(): void {
    if (this.#serial) this.#serial.forgetPeer();
    else this.#onSerialReset(true);
  }

  close(): void {
    if (this.#closed) return;
    this.#end(undefined);
    if (this.#serial) this.#serial.close();
    else queueMicrotask(() => this.#owner.onClosed(undefined));
  }

  // --- sending

  #pump(): void {
    if (this.#current || this.#queue.length === 0) return;
    if (this.#way === 'mailbox' && this.#carrier) {
      const entry = (this.#current = this.#queue.shift()!);
      this.#mailboxCounters.packetsSent++;
      this.#mailboxCounters.bytesSent += entry.packet.payload.length;
      this.#record('>', entry.packet);
      this.#carrier.send(entry.packet, entry.deadline);
    } else if (this.#way === 'serial' && this.#serial) {
      this.#sendBySerial(this.#serial);
    }
  }

  #sendBySerial(serial: KdcomChannel): void {
    const entry = (this.#current = this.#queue.shift()!);
    serial.send(entry.packet, entry.options).then(
      (delivery) => {
        if (delivery === 'acknowledged') this.#startSearch();
        if (this.#current === entry) this.#settle(() => entry.resolve(delivery));
      },
      (thrown: unknown) => {
        if (this.#current === entry) this.#settle(() => entry.reject(asVmkdError(thrown)));
      },
    );
  }

  /** Milliseconds. */
  #limit({ attempts = this.#timing.attempts, order = false }: SendOptions): number {
    return order ? Infinity : attempts * this.#timing.acknowledge + turningMilliseconds;
  }

  /** A packet that waits for its turn does not wait for ever. */
  #watch(entry: Entry): void {
    const { deadline } = entry;
    if (deadline === Infinity) return;
    entry.timer = this.#clock.after(deadline - this.#clock.now(), () => {
      const at = this.#queue.indexOf(entry);
      if (at < 0) return;
      this.#queue.splice(at, 1);
      entry.reject(this.#notAcknowledged('the guest took no packet'));
    });
  }

  #settle(how: (entry: Entry) => void): void {
    const entry = this.#current;
    if (!entry) return;
    this.#current = undefined;
    finish(entry, () => how(entry));
    this.#pump();
  }

  #notAcknowledged(what: string): VmkdError {
    return new VmkdError('target-not-acknowledging', `${this.name}: ${what}, and never acknowledged`);
  }

  // --- receiving

  #deliver(packet: KdPacket): void {
    if (this.#isTwin(packet)) return;
    this.#lastDelivered = packet;
    this.#owner.onPacket(packet);
  }

  #isTwin(packet: KdPacket): boolean {
    const twin = this.#twin;
    this.#twin = undefined;
    if (twin?.type !== packet.type || !equalBytes(twin.payload, packet.payload)) return false;
    this.#mailboxCounters.duplicates++;
    return true;
  }

  #serialOwner(): ChannelOwner {
    return {
      listens: () => true,
      judge: (packet) => this.#owner.judge(packet),
      onBreakIn: () => undefined,
      onPacket: (packet) => this.#onSerialPacket(packet),
      onPeerReset: (restarted) => this.#onSerialReset(restarted),
      onClosed: (error) => this.#onSerialClosed(error),
    };
  }

  #onSerialPacket(packet: KdPacket): void {
    // The guest may just have left, and not been looked at since.
    if (this.#way === 'mailbox') this.#carrier?.look();
    if (this.#way === 'mailbox') {
      const message = 'The guest sent a packet by its serial port while its mailbox claims to be in use';
      this.#carrier?.drop(new VmkdError('mailbox-gone', message));
    }
    const announced = packet.type === PacketType.DebugIo ? announcementIn(packet.payload) : undefined;
    if (announced !== undefined) this.#search.lookAt(announced);
    this.#deliver(packet);
  }

  #onSerialReset(restarted: boolean): void {
    if (restarted) {
      this.#twin = undefined;
      this.#vanished = undefined;
      // It was meant for the kernel that was.
      for (const entry of this.#queue.splice(0)) finish(entry, () => entry.resolve('reset'));
      this.#carrier?.drop(new VmkdError('mailbox-gone', 'The guest was reset, or taken back'));
      this.#search.lookSoon();
    }
    this.#startSearch();
    this.#owner.onPeerReset(restarted);
  }

  #onSerialClosed(error: VmkdError | undefined): void {
    this.#serial = undefined;
    if (this.#closed) {
      this.#owner.onClosed(this.#closed.error);
    } else if (this.#way !== 'mailbox') {
      this.#lose(error);
    } else {
      // Perhaps the machine is off, perhaps only its port is gone: the guest's beat will tell.
      this.#clock.after(lineGoneMilliseconds, () => {
        if (this.#way === 'mailbox' && !this.#carrier?.livesSince(lineGoneMilliseconds)) this.#lose(error);
      });
    }
  }

  // --- turning to the mailbox and away from it

  /** The line is in step, or dead: from now on a mailbox is welcome. */
  #startSearch(): void {
    this.#deadLine?.cancel();
    if (this.#searches || this.#closed) return;
    this.#searches = true;
    this.#search.start();
    // A hint is worth having only if it can be had.
    this.#options.announced?.().then(
      (address) => address !== undefined && this.#search.lookAt(address),
      () => undefined,
    );
  }

  /** Somebody wants to know who is there. */
  #called(): void {
    if (this.#deadLine || this.#searches) return;
    this.#deadLine = this.#clock.after(deadLineMilliseconds, () => {
      if (this.#serial?.statistics.bytesReceived === 0) this.#startSearch();
    });
  }

  /** Offers a living mailbox, when the line is quiet. */
  async #turnTo(found: FoundMailbox): Promise<void> {
    if (this.#closed || this.#carrier) return;
    this.#way = 'turning';
    const end = this.#clock.now() + quietMilliseconds;
    while (!this.#isQuiet && this.#clock.now() < end) {
      await pause(this.#clock, quietPause);
      if (this.#isClosed) return;
    }
    if (!this.#isQuiet) {
      this.#back();
      return;
    }
    const { description } = found;
    let window: MailboxWindow | undefined;
    try {
      this.#nonce = description.nonce;
      window = this.#options.ram.window(description.pages);
      this.#carrier = new MailboxCarrier(window, description, {
        clock: this.#clock,
        doorbell: this.#options.doorbell?.() ?? doorbellOf(window, this.#clock),
        owner: this.#carrierOwner(),
        beatMoved: found.beatMoved,
      });
    } catch {
      window?.close();
      this.#search.lookLater(); // it was gone again before we could begin
      this.#back();
    }
  }

  get #isQuiet(): boolean {
    if (this.#current) return false;
    const serial = this.#serial;
    // What was called into a line on which nobody is will never be answered.
    return serial === undefined || serial.isQuiet || serial.statistics.bytesReceived === 0;
  }

  /** Not narrowed by the compiler: it changes while somebody waits. */
  get #isClosed(): boolean {
    return this.#closed !== undefined;
  }

  #back(): void {
    this.#way = 'serial';
    if (this.#serial) this.#catchUp(this.#serial);
    this.#pump();
  }

  /** Does what was wanted meanwhile. */
  #catchUp(way: Pick<PacketChannel, 'breakIn' | 'requestReset'>): void {
    const { breakIns, reset } = this.#wanted;
    this.#wanted = { breakIns: 0, reset: false };
    for (let i = 0; i < breakIns; i++) way.breakIn();
    if (reset) way.requestReset();
  }

  #carrierOwner(): CarrierOwner {
    return {
      onAttached: () => {
        this.#way = 'mailbox';
        this.#search.pause();
        this.#options.observer?.onCarrier?.('mailbox');
        // Without a line, nothing but another mailbox tells of another machine.
        const isNew = this.#vanished !== undefined && this.#vanished !== this.#nonce;
        this.#vanished = undefined;
        if (isNew && !this.#serial) this.#owner.onPeerReset(true);
        const carrier = this.#carrier;
        if (carrier) {
          this.#catchUp({
            breakIn: () => this.#callBy(carrier),
            requestReset: () => carrier.requestReset(),
          });
        }
        this.#pump();
      },
      onTaken: () => this.#settle((entry) => entry.resolve('acknowledged')),
      onOverdue: () => {
        this.#carrier?.abandon();
        this.#settle((entry) => entry.reject(this.#notAcknowledged('the guest took no packet')));
      },
      onPacket: (packet) => this.#onMailboxPacket(packet),
      onResetDone: () => {
        // Who answers a RESET does not run: an order that lingers was not obeyed.
        if (this.#current?.options.order) this.#settle((entry) => entry.resolve('reset'));
        this.#owner.onPeerReset(false);
      },
      onEnded: (ending) => this.#onCarrierEnded(ending),
    };
  }

  #onMailboxPacket(packet: KdPacket): void {
    this.#mailboxCounters.packetsReceived++;
    this.#mailboxCounters.bytesReceived += packet.payload.length;
    this.#record('<', packet);
    // Nothing is damaged on this way; what the owner still finds senseless, the guest means.
    for (let tries = 0; tries < 3; tries++) {
      const verdict = this.#owner.judge(packet);
      if (verdict === 'accept') this.#deliver(packet);
      if (verdict !== 'damaged') return;
    }
  }

  #callBy(carrier: MailboxCarrier): void {
    this.#options.trace?.record('>', Uint8Array.of(breakInByte));
    carrier.breakIn();
  }

  /** With ids that toggle, as on the line: what is said twice, and meant twice, is no repetition. */
  #record(direction: '>' | '<', { type, payload }: KdPacket): void {
    const id = (this.#recordedIds[direction] ^= 1) >>> 0;
    this.#options.trace?.record(direction, encodeDataPacket(type, id, payload));
  }

  #onCarrierEnded(ending: Ending): void {
    const wasUsed = this.#way === 'mailbox';
    this.#carrier = undefined;
    if (this.#closed) return;
    this.#way = 'serial';
    if (wasUsed && this.#current) this.#settleAfter(ending, this.#current);
    if (ending.twin) this.#twin = this.#lastDelivered;
    if (ending.kind === 'gone') this.#vanished = this.#nonce;
    if (ending.again) this.#search.lookSoon();
    else if (ending.kind === 'gone') this.#search.lookSoon();
    else this.#search.lookLater();
    // Who uses it may use it for hours, and it is asked for again and again: that is told once.
    const isTaken = ending.error.code === 'target-second-debugger';
    if (wasUsed || (isTaken && !this.#isTakenTold))
      this.#options.observer?.onCarrier?.('serial', ending.error);
    this.#isTakenTold = isTaken;
    if (!this.#serial && ending.kind === 'lost') {
      this.#lose(ending.error);
      return;
    }
    this.#back();
  }

  /** What becomes of the packet that the mailbox carried. */
  #settleAfter(ending: Ending, entry: Entry): void {
    this.#current = undefined;
    if (ending.kind === 'left' && !ending.taken) this.#queue.unshift(entry);
    else finish(entry, () => entry.resolve(ending.taken ? 'acknowledged' : 'reset'));
  }

  #onRamLost(error: VmkdError): void {
    if (!this.#serial && this.#way !== 'mailbox') this.#lose(error);
  }

  #lose(error: VmkdError | undefined): void {
    if (this.#closed) return;
    this.#end(error);
    this.#owner.onClosed(error);
  }

  #end(error: VmkdError | undefined): void {
    this.#closed = { error };
    this.#search.stop();
    this.#deadLine?.cancel();
    this.#carrier?.close();
    this.#carrier = undefined;
    const reason = error ?? new VmkdError('link-lost', `${this.name} was closed`);
    const entries = [...(this.#current ? [this.#current] : []), ...this.#queue.splice(0)];
    this.#current = undefined;
    for (const entry of entries) finish(entry, () => entry.reject(reason));
  }
}

function finish(entry: Entry, how: () => void): void {
  entry.timer?.cancel();
  how();
}

const pause = (clock: Clock, milliseconds: number): Promise<void> =>
  new Promise((resolve) => clock.after(milliseconds, resolve));

/** The address that a print announces, if the packet is one that does. */
function announcementIn(payload: Uint8Array): bigint | undefined {
  try {
    const message = decodeDebugIo(payload);
    return message.kind === 'print' ? announcedByPrint(message.text) : undefined;
  } catch {
    return undefined;
  }
}
