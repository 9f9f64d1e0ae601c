/*
 * ring.h: one message in one slot, put there by us or by a host that may be hostile and may change it while we look.
 */
#ifndef VMKD_RING_H
#define VMKD_RING_H

#include "mailbox.h"

/* Writes a message whose payload is First, then Second. Sums up Head->Length and Head->Checksum. */
VOID RingPut(PUCHAR Slot, MAILBOX_MESSAGE *Head, const VOID *First, ULONG FirstLength, const VOID *Second,
             ULONG SecondLength);

/* The message's head as it is now, once and for all; FALSE if its length cannot be. */
BOOLEAN RingReadHead(const UCHAR *Slot, MAILBOX_MESSAGE *Head);

/*
 * Copies the payload out: FirstLength bytes, then the rest, Head->Length - FirstLength bytes; the caller has seen to it
 * that both have room. FALSE if the checksum is wrong; then the copies are worth nothing.
 */
BOOLEAN RingReadPayload(const UCHAR *Slot, const MAILBOX_MESSAGE *Head, VOID *First, ULONG FirstLength, VOID *Second);

#endif
