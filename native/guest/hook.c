/*
 * hook.c: the mailbox if there is a host, else kdcom, as before.
 *
 * Invariants: nothing here waits, locks, allocates, or touches what may be paged out; kdcom is called with exactly what
 * the kernel passed. The kernel comes here with its debugger lock held, one processor at a time; should that ever fail
 * (a bugcheck while another processor is in here for good), the second one uses kdcom and does not touch the link.
 */
#include "hook.h"

/* As long as kdcom waits at most; the kernel then calls again. */
#define RECEIVE_MS 1000u

LINK HookLink;

static CALLS Original;
static BOOLEAN Busy;

VOID HookInitialize(const CALLS *Originals)
{
  Original = *Originals;
}

ULONG64 LinkTicks(VOID)
{
  ULONG Low, High;

  __asm__ volatile("rdtsc" : "=a"(Low), "=d"(High));
  return (ULONG64)High << 32 | Low;
}

VOID LinkPause(VOID)
{
  __asm__ volatile("pause" ::: "memory");
}

static BOOLEAN Enter(VOID)
{
  return !__atomic_exchange_n(&Busy, TRUE, __ATOMIC_ACQUIRE);
}

static VOID Leave(VOID)
{
  __atomic_store_n(&Busy, FALSE, __ATOMIC_RELEASE);
}

/* As kdcom does when somebody has answered: the kernel then sends prints and module loads too. */
static VOID HeardDebugger(VOID)
{
  if (KdDebuggerNotPresent) KdDebuggerNotPresent = FALSE;
}

VOID NTAPI HookSendPacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData, PVOID KdContext)
{
  if (Enter()) {
    LINK_PACKET Packet = {PacketType, MessageHeader, MessageData, 0};
    LINK_RESULT Result = LinkSend(&HookLink, &Packet);

    Leave();
    if (Result == LinkDone) {
      HeardDebugger();
      return;
    }
  }
  Original.SendPacket(PacketType, MessageHeader, MessageData, KdContext);
}

KDSTATUS NTAPI HookReceivePacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData, PULONG DataLength,
                                 PVOID KdContext)
{
  LINK_RESULT Result = LinkLeft;

  if (PacketType != PACKET_TYPE_KD_ACKNOWLEDGE && Enter()) {
    LINK_PACKET Packet = {PacketType, MessageHeader, MessageData, DataLength};

    if (PacketType == PACKET_TYPE_KD_POLL_BREAKIN) {
      Result = LinkPoll(&HookLink);
      if (Result == LinkNot) {
        HeardDebugger();
        Result = LinkLeft; /* a break-in may come by UART all the same */
      }
    } else {
      Result = LinkReceive(&HookLink, &Packet, RECEIVE_MS);
    }
    Leave();
  }
  switch (Result) {
  case LinkDone:
    HeardDebugger();
    return KDP_PACKET_RECEIVED;
  case LinkResend:
    HeardDebugger();
    return KDP_PACKET_RESEND;
  case LinkNot:
    return KDP_PACKET_TIMEOUT;
  case LinkLeft:
    break;
  }
  return Original.ReceivePacket(PacketType, MessageHeader, MessageData, DataLength, KdContext);
}
