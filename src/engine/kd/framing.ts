/**
 * KDCOM framing: how packets stand in a stream of bytes. Pure functions and one incremental scanner; no time, no I/O.
 *
 *   0        4      6           8          12         16                16+n  17+n
 *   +--------+------+-----------+----------+----------+------------------+----+
 *   | leader | type | byteCount | packetId | checksum | payload, n bytes | AA |   data packet, leader "0000"
 *   +--------+------+-----------+----------+----------+------------------+----+
 *   | "iiii" | type |     0     | packetId |     0    |                          control packet
 *   +--------+------+-----------+----------+----------+
 *   'b'                                                                         break-in: one bare byte
 *
 * The checksum is the plain sum of the payload's bytes, so it cannot see bytes that changed places.
 * Invariants: memory is one fixed window whatever the peer sends; every byte is consumed once, as part of a packet,
 * a break-in, or garbage; a header that cannot be true is given up at once, never waited for.
 * Source: the behaviour of Microsoft's kdcom.dll as seen on the wire by real debuggers and targets.
 */

import { VmkdError } from '../core/errors';
import { layout, hex32, u16, u32 } from '../core/layout';

export const dataLeader = 0x30303030;
export const controlLeader = 0x69696969;
export const breakInByte = 0x62;
export const trailerByte = 0xaa;

export const headerSize = 16;
/** What we accept. NT itself sends and accepts at most 4000 bytes; some stubs (QEMU's) go up to 4096. */
export const maxAcceptedPayload = 4096;

/** First packet id of either side; ids then toggle bit 0. */
export const initialPacketId = 0x80800000;
/** Set by a target in its first packet after a boot or after it gave a debugger up: "forget what you knew of me". */
export const syncPacketId = 0x800;

export const packetTypes = {
  1: 'StateChange32',
  2: 'StateManipulate',
  3: 'DebugIo',
  4: 'Acknowledge',
  5: 'Resend',
  6: 'Reset',
  7: 'StateChange64',
  9: 'TraceIo',
  10: 'ControlRequest',
  11: 'FileIo',
} as const;

/** By name, the number on the wire. */
export const PacketType = {
  StateChange32: 1,
  StateManipulate: 2,
  DebugIo: 3,
  Acknowledge: 4,
  Resend: 5,
  Reset: 6,
  StateChange64: 7,
  TraceIo: 9,
  ControlRequest: 10,
  FileIo: 11,
} as const satisfies { [N in keyof typeof packetTypes as (typeof packetTypes)[N]]: N };

export type ControlType = 4 | 5 | 6;
export type DataType = Exclude<keyof typeof packetTypes, ControlType>;

export const packetHeader = layout(headerSize, {
  leader: [0, hex32],
  type: [4, u16],
  byteCount: [6, u16],
  packetId: [8, hex32],
  checksum: [12, u32],
});

/** Sum of the bytes, modulo 2^32. */
export function checksum(payload: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < payload.length; i++) sum += payload[i]!;
  return sum >>> 0;
}

/** 16 + n + 1 bytes. @param payload n bytes, 1 to 4096. @throws value-out-of-range */
export function encodeDataPacket(type: DataType, packetId: number, payload: Uint8Array): Uint8Array {
  if (payload.length === 0 || payload.length > maxAcceptedPayload) {
    throw new VmkdError(
      'value-out-of-range',
      `A packet of ${payload.length} bytes; 1 to ${maxAcceptedPayload} are possible`,
    );
  }
  const bytes = new Uint8Array(headerSize + payload.length + 1);
  packetHeader.write(bytes, {
    leader: dataLeader,
    type,
    byteCount: payload.length,
    packetId,
    checksum: checksum(payload),
  });
  bytes.set(payload, headerSize);
  bytes[bytes.length - 1] = trailerByte;
  return bytes;
}

/** 16 bytes. @param packetId What is acknowledged; 0 for RESEND and RESET. */
export function encodeControlPacket(type: ControlType, packetId: number): Uint8Array {
  const bytes = new Uint8Array(headerSize);
  packetHeader.write(bytes, { leader: controlLeader, type, byteCount: 0, packetId, checksum: 0 });
  return bytes;
}

export interface ScannerSink {
  /** A whole data packet with a right checksum and trailer. `payload` is only valid during the call. */
  onData(type: DataType, packetId: number, payload: Uint8Array): void;
  onControl(type: ControlType, packetId: number): void;
  /** A 'b' outside any packet. */
  onBreakIn(): void;
  /** Something began like a packet and was none: ask the peer to send again. */
  onDamaged(reason: 'header' | 'checksum' | 'trailer'): void;
  /** Bytes that belong to nothing. */
  onGarbage(count: number): void;
}

const windowSize = 2 * (headerSize + maxAcceptedPayload + 1);

/** Finds packets in chunks of bytes, however they were split. */
export class PacketScanner {
  readonly #window = new Uint8Array(windowSize);
  readonly #view = new DataView(this.#window.buffer);
  #start = 0;
  #end = 0;

  constructor(private readonly sink: ScannerSink) {}

  /** True when a packet has begun and not ended: the channel then limits how long it waits for the rest. */
  get midPacket(): boolean {
    return this.#end > this.#start;
  }

  push(chunk: Uint8Array): void {
    let taken = 0;
    while (taken < chunk.length) {
      if (this.#start > 0) this.#compact();
      const part = Math.min(chunk.length - taken, windowSize - this.#end);
      this.#window.set(chunk.subarray(taken, taken + part), this.#end);
      this.#end += part;
      taken += part;
      this.#scan();
    }
  }

  /** The rest of the packet did not come in time: gives up its first byte and looks again behind it. */
  expire(): void {
    if (!this.midPacket) return;
    this.#skipFalseStart('header');
    this.#scan();
  }

  /** Forgets a packet begun; used when the link is new. */
  clear(): void {
    this.#start = this.#end = 0;
  }

  #compact(): void {
    this.#window.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  #scan(): void {
    while (this.#start < this.#end) {
      const lead = this.#window[this.#start]!;
      if (lead !== 0x30 && lead !== 0x69) {
        this.#start++;
        if (lead === breakInByte) this.sink.onBreakIn();
        else this.sink.onGarbage(1);
        continue;
      }
      const leaderBytes = this.#countLeader(lead);
      if (leaderBytes < 4) {
        if (this.#start + leaderBytes === this.#end) return;
        this.#start += leaderBytes;
        this.sink.onGarbage(leaderBytes);
        continue;
      }
      if (this.#end - this.#start < headerSize) return;
      const whole = lead === 0x69 ? this.#takeControl() : this.#takeData();
      if (!whole) return;
    }
  }

  #countLeader(lead: number): number {
    let count = 1;
    while (count < 4 && this.#start + count < this.#end && this.#window[this.#start + count] === lead)
      count++;
    return count;
  }

  #takeControl(): boolean {
    const type = this.#view.getUint16(this.#start + 4, true);
    const byteCount = this.#view.getUint16(this.#start + 6, true);
    const packetId = this.#view.getUint32(this.#start + 8, true);
    if ((type !== 4 && type !== 5 && type !== 6) || byteCount !== 0) {
      this.#skipFalseStart('header');
      return true;
    }
    this.#start += headerSize;
    this.sink.onControl(type, packetId);
    return true;
  }

  /** @returns false if the packet has not come whole yet. */
  #takeData(): boolean {
    const at = this.#start;
    const type = this.#view.getUint16(at + 4, true);
    const byteCount = this.#view.getUint16(at + 6, true);
    if (!isDataType(type) || byteCount === 0 || byteCount > maxAcceptedPayload) {
      this.#skipFalseStart('header');
      return true;
    }
    const end = at + headerSize + byteCount + 1;
    if (end > this.#end) return false;
    const payload = this.#window.subarray(at + headerSize, end - 1);
    const packetId = this.#view.getUint32(at + 8, true);
    // Consumed whole even when damaged: what lies inside a payload must not be taken for packets.
    this.#start = end;
    if (this.#window[end - 1] !== trailerByte) this.sink.onDamaged('trailer');
    else if (checksum(payload) !== this.#view.getUint32(at + 12, true)) this.sink.onDamaged('checksum');
    else this.sink.onData(type, packetId, payload);
    return true;
  }

  #skipFalseStart(reason: 'header'): void {
    this.#start++;
    this.sink.onGarbage(1);
    this.sink.onDamaged(reason);
  }
}

export function isDataType(type: number): type is DataType {
  return type in packetTypes && type !== 4 && type !== 5 && type !== 6;
}
