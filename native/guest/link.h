/*
 * link.h: the guest's end of the mailbox, for code that the kernel calls with interrupts off and all other processors
 * frozen: no waiting without a limit, no lock, nothing but the mailbox and the link is touched.
 *
 *               LinkPoll, LinkSend, LinkReceive see the host's new Epoch
 *    ┌──────┐  ─────────────────────────────────────────────────────────▶  ┌──────────┐
 *    │ UART │                                                              │ attached │  Epoch = the host's
 *    └──────┘  ◀─────────────────────────────────────────────────────────  └──────────┘
 *               LinkLeft: the host let go, is silent, is stuck, or talks nonsense
 */
#ifndef VMKD_LINK_H
#define VMKD_LINK_H

#include "mailbox.h"

typedef struct _LINK {
  MAILBOX *Mailbox;
  ULONG64 Nonce;
  ULONG64 TicksPerMillisecond; /* of LinkTicks */
  ULONG Epoch;                 /* the one that we are in; 0: none */
  ULONG RefusedEpoch;          /* the one that we left: never again */
  ULONG Posted, Taken;         /* these five are what Mailbox->Guest shows, where others might change them */
  ULONG Beat, Polls, Discarded;
  ULONG Sending;               /* the message that we wait for the host to take; 0: none */
  ULONG BreakIns;              /* the host's, as far as they had their effect */
  ULONG HostBeat;
  ULONG64 LastTicks;
  ULONG64 Silence; /* ticks that we have watched HostBeat stand still */
} LINK;

typedef enum _LINK_RESULT {
  LinkDone,   /* sent; or received, as asked for */
  LinkNot,    /* not now: nothing came in time; no break-in wanted */
  LinkResend, /* the host starts anew: what was said last is to be said again */
  LinkLeft,   /* there is no host; use the UART */
} LINK_RESULT;

/* A KD packet's two parts, as the kernel has them. */
typedef struct _LINK_PACKET {
  ULONG Type;
  PSTRING Header;
  PSTRING Data;      /* may be NULL */
  PULONG DataLength; /* receiving: gets Data's length; may be NULL */
} LINK_PACKET;

/* The mailbox is zeroed but for its header. Shows State and all else that Guest has. */
VOID LinkInitialize(LINK *Link, MAILBOX *Mailbox, ULONG64 TicksPerMillisecond);

/* Whether the host wants the running guest to stop: LinkDone, LinkNot, or LinkLeft. One cached line is read. */
LINK_RESULT LinkPoll(LINK *Link);

/* Hands a packet to the host: LinkDone when the host has it, LinkLeft if it is to go by UART. */
LINK_RESULT LinkSend(LINK *Link, const LINK_PACKET *Packet);

/* Waits for a packet of Packet->Type, Milliseconds at most: LinkDone, LinkNot, LinkResend, LinkLeft. */
LINK_RESULT LinkReceive(LINK *Link, const LINK_PACKET *Packet, ULONG Milliseconds);

/* Lets the host go. */
VOID LinkLeave(LINK *Link, ULONG Reason);

/* What the surroundings provide. */
ULONG64 LinkTicks(VOID); /* a clock that does not go back */
VOID LinkPause(VOID);    /* called each time a wait goes round */

#endif
