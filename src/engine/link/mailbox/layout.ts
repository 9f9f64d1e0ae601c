/**
 * The mailbox as it lies in guest memory: the host's description of what native/guest/mailbox.h describes for the guest.
 * A test compares the two, name by name. docs/mailbox.md draws it and says who writes what when.
 *
 *   page 0   0x000  header         written once
 *            0x040  guest's line   written by the guest only
 *            0x080  host's line    written by the host only
 *            0x400  page frame numbers, u64 each
 *   page 1…  slots guest to host, then slots host to guest; a message's head and its payload in each
 */

import { layout, hex32, u16, u32, u64, bytes } from '../../core/layout';

export const mailboxMagic = "vmkd's mailbox\r\n";
export const mailboxVersion = 1;
export const pageBytes = 4096;
/** The longest payload of a message. */
export const payloadBytes = 4096;

export const guestOffset = 0x40;
export const hostOffset = 0x80;
export const framesOffset = 0x400;
export const ringsOffset = 0x1000;

export const header = layout(64, {
  magic: [0, bytes(16)],
  version: [16, u32],
  pageCount: [20, u32],
  nonce: [24, u64],
  slotCount: [32, u32],
  slotBytes: [36, u32],
  machine: [40, hex32],
  moduleBuild: [44, u32],
  loadTime: [48, u64],
  reserved: [56, u32],
  checksum: [60, hex32],
});

export const guestLine = layout(64, {
  nonce: [0, u64],
  state: [8, u32],
  status: [12, hex32],
  beat: [16, u32],
  epoch: [20, hex32],
  posted: [24, u32],
  taken: [28, u32],
  pong: [32, u32],
  leftEpoch: [36, hex32],
  leftReason: [40, u32],
  withdrawn: [44, u32],
  monitor: [48, u32],
  takeover: [52, u32],
  polls: [56, u32],
  discarded: [60, u32],
});

export const hostLine = layout(64, {
  nonce: [0, u64],
  epoch: [8, hex32],
  beat: [12, u32],
  posted: [16, u32],
  taken: [20, u32],
  breakIns: [24, u32],
  ping: [28, u32],
  voidBelow: [32, u32],
  reserved: [36, bytes(28)],
});

export const messageHead = layout(32, {
  sequence: [0, u32],
  epoch: [4, hex32],
  kind: [8, u16],
  packetType: [10, u16],
  length: [12, u32],
  checksum: [16, hex32],
  reserved: [20, bytes(12)],
});

/** Of a message's head, those that its checksum covers. */
export const checkedBytes = 16;

export const GuestState = { Ready: 1, Leaving: 2, Failed: 3 } as const;

/** Why the guest left an epoch. */
export const LeftReason = { ByHost: 1, Silent: 2, Stuck: 3, Damaged: 4, Large: 5, Unload: 6 } as const;

export const MessageKind = { Packet: 1, Reset: 2, ResetDone: 3 } as const;

/** Milliseconds between two beats of the host, at most. */
export const hostBeatMilliseconds = 100;
