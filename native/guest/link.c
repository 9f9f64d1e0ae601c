/*
 * link.c: see link.h and docs/mailbox.md.
 *
 * Invariants: every word of the host is read once into a local, then bounded; none of our own words is read back from
 * the mailbox. A wait ends with the host's answer, its silence, its leaving, or its time: whatever the host writes.
 * Time that passed while nobody watched (the machine was paused, or ran) counts little: SHORT_LOOK_MS at most.
 */
#include "link.h"
#include "ring.h"

#define SHORT_LOOK_MS 20u
/* A host that changes its Epoch again and again is not followed for ever. */
#define EPOCHS_A_CALL 3u

#define BARRIER() __atomic_thread_fence(__ATOMIC_SEQ_CST)

static ULONG64 Elapsed(LINK *Link)
{
  ULONG64 Now = LinkTicks(), Ticks = Now - Link->LastTicks, Most = SHORT_LOOK_MS * Link->TicksPerMillisecond;

  Link->LastTicks = Now;
  return Ticks < Most ? Ticks : Most;
}

static BOOLEAN Passed(const LINK *Link, ULONG64 Ticks, ULONG Milliseconds)
{
  return Ticks >= Milliseconds * Link->TicksPerMillisecond;
}

VOID LinkInitialize(LINK *Link, MAILBOX *Mailbox, ULONG64 TicksPerMillisecond)
{
  *Link = (LINK){0};
  Link->Mailbox = Mailbox;
  Link->Nonce = Mailbox->Header.Nonce;
  Link->TicksPerMillisecond = TicksPerMillisecond;
  Link->LastTicks = LinkTicks();
  Mailbox->Guest.Nonce = Link->Nonce;
}

VOID LinkLeave(LINK *Link, ULONG Reason)
{
  volatile MAILBOX_GUEST *Guest = &Link->Mailbox->Guest;

  if (!Link->Epoch) return;
  Guest->LeftReason = Reason;
  /* The host may have all that we posted, and just not have been seen to. From here on it stays as we say. */
  if (Link->Mailbox->Host.Taken == Link->Posted) Link->Sending = 0;
  Guest->Withdrawn = Link->Sending;
  Guest->LeftEpoch = Link->Epoch;
  BARRIER();
  Guest->Epoch = 0; /* last: from now on the host believes all the rest */
  Link->RefusedEpoch = Link->Epoch;
  Link->Epoch = 0;
}

/* Follows a host that has come anew. TRUE if there is one. */
static BOOLEAN Attach(LINK *Link, ULONG Epoch)
{
  volatile MAILBOX_GUEST *Guest = &Link->Mailbox->Guest;
  volatile MAILBOX_HOST *Host = &Link->Mailbox->Host;

  if (Epoch == 0 || Epoch == Link->RefusedEpoch || Host->Nonce != Link->Nonce) return FALSE;
  Link->Epoch = Epoch;
  Link->Posted = Link->Taken = 0;
  Link->BreakIns = Host->BreakIns;
  Link->HostBeat = Host->Beat;
  Link->Silence = 0;
  Guest->Posted = Guest->Taken = 0;
  BARRIER();
  Guest->Epoch = Epoch;
  return TRUE;
}

/*
 * One look at the host, each time a wait goes round and each time the kernel polls: shows that we live, and finds out
 * whether the host does. TRUE while we are attached to it.
 */
static BOOLEAN Look(LINK *Link)
{
  volatile MAILBOX_GUEST *Guest = &Link->Mailbox->Guest;
  volatile MAILBOX_HOST *Host = &Link->Mailbox->Host;
  ULONG Epoch = Host->Epoch, Beat = Host->Beat, Ping = Host->Ping;
  ULONG64 Ticks = Elapsed(Link);

  Guest->Beat = ++Link->Beat;
  Guest->Pong = Ping;
  if (Epoch != Link->Epoch) {
    LinkLeave(Link, MAILBOX_LEFT_BY_HOST);
    return Attach(Link, Epoch);
  }
  if (!Epoch) return FALSE;
  if (Beat != Link->HostBeat) {
    Link->HostBeat = Beat;
    Link->Silence = 0;
    return TRUE;
  }
  Link->Silence += Ticks;
  if (!Passed(Link, Link->Silence, MAILBOX_HOST_SILENCE_MS)) return TRUE;
  LinkLeave(Link, MAILBOX_LEFT_SILENT);
  return FALSE;
}

LINK_RESULT LinkPoll(LINK *Link)
{
  volatile MAILBOX_HOST *Host = &Link->Mailbox->Host;
  ULONG BreakIns;

  Link->Mailbox->Guest.Polls = ++Link->Polls;
  if (!Look(Link)) return LinkLeft;
  BreakIns = Host->BreakIns;
  if (BreakIns == Link->BreakIns) return LinkNot;
  Link->BreakIns = BreakIns;
  return LinkDone;
}

static PUCHAR OurSlot(LINK *Link, ULONG Sequence)
{
  return Link->Mailbox->Slots[(Sequence - 1) % MAILBOX_SLOT_COUNT];
}

static const UCHAR *HostSlot(LINK *Link, ULONG Sequence)
{
  return Link->Mailbox->Slots[MAILBOX_SLOT_COUNT + (Sequence - 1) % MAILBOX_SLOT_COUNT];
}

/* FALSE, and left, if the ring is full or the host claims to have taken what it cannot have. */
static BOOLEAN Post(LINK *Link, USHORT Kind, const LINK_PACKET *Packet)
{
  ULONG Unread = Link->Posted - Link->Mailbox->Host.Taken;
  MAILBOX_MESSAGE Head = {.Sequence = Link->Posted + 1, .Epoch = Link->Epoch, .Kind = Kind};

  if (Unread >= MAILBOX_SLOT_COUNT) {
    LinkLeave(Link, Unread == MAILBOX_SLOT_COUNT ? MAILBOX_LEFT_STUCK : MAILBOX_LEFT_DAMAGED);
    return FALSE;
  }
  if (Packet) {
    PSTRING Data = Packet->Data;

    Head.PacketType = (USHORT)Packet->Type;
    RingPut(OurSlot(Link, Head.Sequence), &Head, Packet->Header->Buffer, Packet->Header->Length,
            Data ? Data->Buffer : 0, Data ? Data->Length : 0);
  } else {
    RingPut(OurSlot(Link, Head.Sequence), &Head, 0, 0, 0, 0);
  }
  BARRIER();
  Link->Mailbox->Guest.Posted = Link->Posted = Head.Sequence;
  return TRUE;
}

/* Waits until the host has all that we posted. LinkNot: another host has come meanwhile, who has not. */
static LINK_RESULT AwaitTaken(LINK *Link)
{
  ULONG Epoch = Link->Epoch;
  ULONG64 Start = Link->LastTicks, Waited = 0;

  while (Link->Epoch == Epoch) {
    ULONG Unread = Link->Posted - Link->Mailbox->Host.Taken;

    if (Unread == 0) return LinkDone;
    if (Unread > MAILBOX_SLOT_COUNT) {
      LinkLeave(Link, MAILBOX_LEFT_DAMAGED);
      break;
    }
    LinkPause();
    Look(Link);
    Waited += Link->LastTicks - Start < Link->TicksPerMillisecond ? Link->LastTicks - Start
                                                                  : Link->TicksPerMillisecond;
    Start = Link->LastTicks;
    if (Link->Epoch == Epoch && Passed(Link, Waited, MAILBOX_HOST_STUCK_MS)) LinkLeave(Link, MAILBOX_LEFT_STUCK);
  }
  if (!Link->Sending) return LinkDone; /* it had taken it, and we left before we saw that */
  return Link->Epoch ? LinkNot : LinkLeft;
}

LINK_RESULT LinkSend(LINK *Link, const LINK_PACKET *Packet)
{
  ULONG Length = Packet->Header->Length + (Packet->Data ? Packet->Data->Length : 0u), Attempt;

  if (!Look(Link)) return LinkLeft;
  if (Length > MAILBOX_PAYLOAD_BYTES) {
    LinkLeave(Link, MAILBOX_LEFT_LARGE);
    return LinkLeft;
  }
  for (Attempt = 0; Attempt < EPOCHS_A_CALL; Attempt++) {
    LINK_RESULT Result;

    if (!Post(Link, MAILBOX_KIND_PACKET, Packet)) return LinkLeft;
    Link->Sending = Link->Posted; /* should we leave, the host learns which message comes again by UART */
    Result = AwaitTaken(Link);
    Link->Sending = 0;
    if (Result != LinkNot) return Result;
  }
  LinkLeave(Link, MAILBOX_LEFT_BY_HOST);
  return LinkLeft;
}

/* The next message of the host, which is there. LinkNot: it was nothing that is awaited. */
static LINK_RESULT Take(LINK *Link, const LINK_PACKET *Packet)
{
  volatile MAILBOX_GUEST *Guest = &Link->Mailbox->Guest;
  ULONG Sequence = Link->Taken + 1, HeaderLength = Packet->Header->MaximumLength, Room;
  const UCHAR *Slot = HostSlot(Link, Sequence);
  LINK_RESULT Result = LinkNot;
  MAILBOX_MESSAGE Head;

  if (!RingReadHead(Slot, &Head) || Head.Sequence != Sequence || Head.Epoch != Link->Epoch) goto Damaged;
  if ((LONG)(Link->Mailbox->Host.VoidBelow - Sequence) > 0) {
    Guest->Discarded = ++Link->Discarded;
  } else if (Head.Kind == MAILBOX_KIND_RESET) {
    Result = LinkResend;
  } else {
    Room = HeaderLength + (Packet->Data ? Packet->Data->MaximumLength : 0u);
    if (Head.Kind != MAILBOX_KIND_PACKET || Head.PacketType != Packet->Type || Head.Length < HeaderLength ||
        Head.Length > Room) {
      Guest->Discarded = ++Link->Discarded;
    } else {
      if (!RingReadPayload(Slot, &Head, Packet->Header->Buffer, HeaderLength, Packet->Data ? Packet->Data->Buffer : 0))
        goto Damaged;
      Packet->Header->Length = (USHORT)HeaderLength;
      if (Packet->Data) Packet->Data->Length = (USHORT)(Head.Length - HeaderLength);
      if (Packet->DataLength) *Packet->DataLength = Head.Length - HeaderLength;
      Result = LinkDone;
    }
  }
  BARRIER();
  Guest->Taken = Link->Taken = Sequence;
  return Result;

Damaged:
  LinkLeave(Link, MAILBOX_LEFT_DAMAGED);
  return LinkLeft;
}

LINK_RESULT LinkReceive(LINK *Link, const LINK_PACKET *Packet, ULONG Milliseconds)
{
  ULONG64 Start, Waited = 0;

  if (!Look(Link)) return LinkLeft;
  for (Start = Link->LastTicks;; Start = Link->LastTicks) {
    ULONG Waiting = Link->Mailbox->Host.Posted - Link->Taken;

    if (Waiting > MAILBOX_SLOT_COUNT) {
      LinkLeave(Link, MAILBOX_LEFT_DAMAGED);
      return LinkLeft;
    }
    if (Waiting) {
      LINK_RESULT Result = Take(Link, Packet);

      if (Result == LinkResend && !Post(Link, MAILBOX_KIND_RESET_DONE, 0)) return LinkLeft;
      if (Result != LinkNot) return Result;
      continue;
    }
    if (Passed(Link, Waited, Milliseconds)) return LinkNot;
    LinkPause();
    if (!Look(Link)) return LinkLeft;
    Waited += Link->LastTicks - Start;
  }
}
