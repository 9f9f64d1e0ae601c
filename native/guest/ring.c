/*
 * ring.c: messages in and out of slots.
 *
 * Invariants: a slot's bytes are read once, copied, and only the copies are believed; nothing outside the slot and the
 * caller's buffers is touched, whatever the slot holds.
 */
#include "ring.h"
#include "crc.h"

typedef ULONG64 __attribute__((aligned(1))) ANYWHERE64;

/* Not memcpy: nothing on the way of a KD packet may be a function that somebody sets a breakpoint on. */
static VOID CopyIn(VOID *To, const volatile UCHAR *From, ULONG Length)
{
  UCHAR *Bytes = To;

  for (; Length >= 8; Length -= 8, Bytes += 8, From += 8) {
    ULONG64 Eight = *(const volatile ANYWHERE64 *)From;

    __builtin_memcpy(Bytes, &Eight, sizeof(Eight));
  }
  while (Length--) *Bytes++ = *From++;
}

static VOID CopyOut(volatile UCHAR *To, const VOID *From, ULONG Length)
{
  const UCHAR *Bytes = From;

  for (; Length >= 8; Length -= 8, Bytes += 8, To += 8) {
    ULONG64 Eight;

    __builtin_memcpy(&Eight, Bytes, sizeof(Eight));
    *(volatile ANYWHERE64 *)To = Eight;
  }
  while (Length--) *To++ = *Bytes++;
}

VOID RingPut(PUCHAR Slot, MAILBOX_MESSAGE *Head, const VOID *First, ULONG FirstLength, const VOID *Second,
             ULONG SecondLength)
{
  Head->Length = FirstLength + SecondLength;
  Head->Checksum = CrcAdd(0, Head, MAILBOX_CHECKED_BYTES);
  Head->Checksum = CrcAdd(Head->Checksum, First, FirstLength);
  Head->Checksum = CrcAdd(Head->Checksum, Second, SecondLength);
  CopyOut(Slot, Head, sizeof(*Head));
  CopyOut(Slot + sizeof(*Head), First, FirstLength);
  CopyOut(Slot + sizeof(*Head) + FirstLength, Second, SecondLength);
}

BOOLEAN RingReadHead(const UCHAR *Slot, MAILBOX_MESSAGE *Head)
{
  CopyIn(Head, Slot, sizeof(*Head));
  return Head->Length <= MAILBOX_PAYLOAD_BYTES;
}

BOOLEAN RingReadPayload(const UCHAR *Slot, const MAILBOX_MESSAGE *Head, VOID *First, ULONG FirstLength, VOID *Second)
{
  ULONG SecondLength = Head->Length - FirstLength, Checksum;

  CopyIn(First, Slot + sizeof(*Head), FirstLength);
  CopyIn(Second, Slot + sizeof(*Head) + FirstLength, SecondLength);
  Checksum = CrcAdd(0, Head, MAILBOX_CHECKED_BYTES);
  Checksum = CrcAdd(Checksum, First, FirstLength);
  return CrcAdd(Checksum, Second, SecondLength) == Head->Checksum;
}
