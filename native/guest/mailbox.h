/*
 * mailbox.h: the memory through which guest and host exchange KD packets. docs/mailbox.md draws it and says how it is
 * used; src/engine/link/mailbox/layout.ts is the host's description of the same bytes, and a test compares the two.
 *
 * The mailbox is a number of whole guest-physical pages, in any order and place; the first names them all.
 *
 *   page 0   0x000  MAILBOX_HEADER   written once, before the magic
 *            0x040  MAILBOX_GUEST    written by the guest only, a cache line
 *            0x080  MAILBOX_HOST     written by the host only, a cache line
 *            0x400  page frame numbers, MAILBOX_HEADER.PageCount of them
 *   page 1…  SlotCount slots guest to host, then as many host to guest, SlotBytes each:
 *            MAILBOX_MESSAGE, then its payload
 *
 * Invariants: little endian; no field is written by both sides; each side bounds everything that it reads here.
 */
#ifndef VMKD_MAILBOX_H
#define VMKD_MAILBOX_H

#include "types.h"

#define MAILBOX_MAGIC "vmkd's mailbox\r\n" /* 16 bytes, no NUL */
#define MAILBOX_VERSION 1u
#define MAILBOX_PAGE_BYTES 4096u
#define MAILBOX_SLOT_COUNT 4u
#define MAILBOX_SLOT_BYTES 4352u
#define MAILBOX_PAYLOAD_BYTES 4096u /* the longest payload of a message */
#define MAILBOX_PAGES 10u
#define MAILBOX_FRAMES_OFFSET 0x400u
#define MAILBOX_RINGS_OFFSET 0x1000u

/* The header's checksum covers the header before it, then the page frame numbers. */
typedef struct _MAILBOX_HEADER {
  UCHAR Magic[16];
  ULONG Version;
  ULONG PageCount;
  ULONG64 Nonce; /* random, another one at each load */
  ULONG SlotCount;
  ULONG SlotBytes;
  ULONG Machine;     /* IMAGE_FILE_MACHINE_*: 8664 or 14C */
  ULONG ModuleBuild; /* of vmkd.sys */
  ULONG64 LoadTime;  /* 100 ns since 1601, UTC */
  ULONG Reserved;
  ULONG Checksum; /* CRC-32 */
} MAILBOX_HEADER;
C_ASSERT(sizeof(MAILBOX_HEADER) == 64);

typedef struct _MAILBOX_GUEST {
  ULONG64 Nonce;    /* the header's, again: a look at this line alone shows that the mailbox is still one */
  ULONG State;      /* MAILBOX_STATE_* */
  LONG Status;      /* NTSTATUS of DriverEntry */
  ULONG Beat;       /* changes while the guest lives: each clock tick, and all the time while it waits here */
  ULONG Epoch;      /* the host's, while the guest sends and listens here; 0 while it uses the UART */
  ULONG Posted;     /* messages posted in this epoch */
  ULONG Taken;      /* the host's messages taken in this epoch */
  ULONG Pong;       /* the host's Ping, as soon as it is seen */
  ULONG LeftEpoch;  /* the last epoch that the guest left … */
  ULONG LeftReason; /* … and why: MAILBOX_LEFT_* */
  ULONG Withdrawn;  /* the message of LeftEpoch that goes by UART instead: its sequence, or 0 */
  ULONG Monitor;    /* MAILBOX_MONITOR_* */
  ULONG Takeover;   /* MAILBOX_TAKEOVER_*: how the kernel's calls come here */
  ULONG Polls;      /* calls of the kernel that asked for a break-in */
  ULONG Discarded;  /* the host's messages that the kernel did not await */
} MAILBOX_GUEST;
C_ASSERT(sizeof(MAILBOX_GUEST) == 64);

typedef struct _MAILBOX_HOST {
  ULONG64 Nonce;   /* the header's: whom this host means */
  ULONG Epoch;     /* of this attachment: random; 0 when no host is attached. Written after all else of a new one */
  ULONG Beat;      /* changes at least every MAILBOX_HOST_BEAT_MS */
  ULONG Posted;    /* messages posted in this epoch */
  ULONG Taken;     /* the guest's messages taken in this epoch */
  ULONG BreakIns;  /* how often the host has asked the guest to stop in this epoch */
  ULONG Ping;      /* the guest hands it back as Pong */
  ULONG VoidBelow; /* messages of the host with a lower sequence are void, if they have not been taken yet */
  ULONG Reserved[7];
} MAILBOX_HOST;
C_ASSERT(sizeof(MAILBOX_HOST) == 64);

typedef struct _MAILBOX_MESSAGE {
  ULONG Sequence; /* 1 for the first of an epoch */
  ULONG Epoch;
  USHORT Kind;       /* MAILBOX_KIND_* */
  USHORT PacketType; /* KD's, of a packet */
  ULONG Length;      /* bytes of payload */
  ULONG Checksum;    /* CRC-32 of the 16 bytes above, then the payload */
  ULONG Reserved[3];
} MAILBOX_MESSAGE;
C_ASSERT(sizeof(MAILBOX_MESSAGE) == 32);
#define MAILBOX_CHECKED_BYTES 16u /* of a message, before its payload */

#define MAILBOX_STATE_READY 1u
#define MAILBOX_STATE_LEAVING 2u /* being unloaded: the host is to let go, by Epoch 0 */
#define MAILBOX_STATE_FAILED 3u  /* DriverEntry failed; Status says why; nothing else is used */

#define MAILBOX_LEFT_BY_HOST 1u /* the host's Epoch became another */
#define MAILBOX_LEFT_SILENT 2u  /* the host's Beat stood still for MAILBOX_HOST_SILENCE_MS */
#define MAILBOX_LEFT_STUCK 3u   /* the host beat, but took no message for MAILBOX_HOST_STUCK_MS */
#define MAILBOX_LEFT_DAMAGED 4u /* the host's words or messages made no sense */
#define MAILBOX_LEFT_LARGE 5u   /* a packet does not fit */
#define MAILBOX_LEFT_UNLOAD 6u  /* the module is being unloaded */

#define MAILBOX_MONITOR_VMWARE 1u
#define MAILBOX_MONITOR_QEMU 2u

#define MAILBOX_TAKEOVER_NONE 0u
#define MAILBOX_TAKEOVER_IMPORTS 1u /* the kernel's import slots */
#define MAILBOX_TAKEOVER_ENTRIES 2u /* the first bytes of kdcom's functions */

#define MAILBOX_KIND_PACKET 1u
#define MAILBOX_KIND_RESET 2u      /* host: start anew with me, and say again what you were saying */
#define MAILBOX_KIND_RESET_DONE 3u /* guest: what follows is said anew */

#define MAILBOX_HOST_BEAT_MS 100u
#define MAILBOX_HOST_SILENCE_MS 1500u
#define MAILBOX_HOST_STUCK_MS 10000u

/* The mailbox as the guest maps it. */
typedef struct _MAILBOX {
  MAILBOX_HEADER Header;
  volatile MAILBOX_GUEST Guest;
  volatile MAILBOX_HOST Host;
  UCHAR Unused[MAILBOX_FRAMES_OFFSET - 3 * 64];
  ULONG64 Frames[MAILBOX_PAGES];
  UCHAR Unused2[MAILBOX_RINGS_OFFSET - MAILBOX_FRAMES_OFFSET - MAILBOX_PAGES * 8];
  UCHAR Slots[2 * MAILBOX_SLOT_COUNT][MAILBOX_SLOT_BYTES];
} MAILBOX;
C_ASSERT(offsetof(MAILBOX, Guest) == 0x40);
C_ASSERT(offsetof(MAILBOX, Host) == 0x80);
C_ASSERT(offsetof(MAILBOX, Frames) == MAILBOX_FRAMES_OFFSET);
C_ASSERT(offsetof(MAILBOX, Slots) == MAILBOX_RINGS_OFFSET);
C_ASSERT(sizeof(MAILBOX) <= MAILBOX_PAGES * MAILBOX_PAGE_BYTES);
C_ASSERT(sizeof(MAILBOX_MESSAGE) + MAILBOX_PAYLOAD_BYTES <= MAILBOX_SLOT_BYTES);

#endif
