/*
 * kdlock.c - entering and leaving the debugger, and looking for a breakin.
 *
 * The port lock keeps two processors off the UART: the clock tick of one may poll for a 'b' while the
 * other prints.  It is taken before the others are frozen, because a processor frozen (by NMI) between
 * reading the line status and reading the byte would later take a byte that is no longer there.
 */
#include "kdp.h"

KD_CONTEXT KdpContext;
BOOLEAN KdEnteredDebugger;

static volatile LONG KdpDebuggerLock;
static PKPRCB volatile KdpOwner;

/* A processor that was frozen by a bugcheck may hold the lock for ever; then the machine matters more. */
#define KDP_LOCK_SPINS 5000000u

static BOOLEAN KdpTryLock(VOID)
{
  return InterlockedCompareExchange(&KdpDebuggerLock, 1, 0) == 0;
}

static VOID KdpUnlock(VOID)
{
  InterlockedExchange(&KdpDebuggerLock, 0);
}

VOID KdpTakeOwnership(VOID)
{
  KdpOwner = KeGetCurrentPrcb();
}

BOOLEAN KdpOwnsMachine(VOID)
{
  return KdEnteredDebugger && KdpOwner == KeGetCurrentPrcb();
}

BOOLEAN KdEnterDebugger(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  BOOLEAN Enable = KeDisableInterrupts();
  ULONG Spins;

  for (Spins = 0; Spins < KDP_LOCK_SPINS && !KdpTryLock(); Spins++) {
    YieldProcessor();
  }
  KeFreezeExecution(TrapFrame, ExceptionFrame);
  KdpTakeOwnership();
  KdEnteredDebugger = TRUE;
  KdSave(FALSE);
  return Enable;
}

VOID KdExitDebugger(BOOLEAN Enable)
{
  BOOLEAN BugCheck = KdpBugCheckPending; /* taken while we are alone: it happens once, here */
  ULONG Code = KdpBugCheckRequested;

  KdpBugCheckPending = FALSE;
  KdRestore(FALSE);
  KdpShareDebuggerState();
  KdEnteredDebugger = FALSE;
  KdpOwner = NULL;
  KdpUnlock();
  KeThawExecution(Enable);
  if (BugCheck) {
    KeBugCheckEx(Code, 0, 0, 0, 0);
  }
}

/* Between KdEnterDebugger and KdExitDebugger: did somebody send a 'b' while we talked? */
BOOLEAN KdpPollBreakInWithPortLock(VOID)
{
  if (!KdDebuggerEnabled) {
    return FALSE;
  }
  if (KdpContext.KdpControlCPending) {
    KdpContext.KdpControlCPending = FALSE;
    return TRUE;
  }
  return KdReceivePacket(PACKET_TYPE_KD_POLL_BREAKIN, NULL, NULL, NULL, &KdpContext) == KDP_PACKET_RECEIVED;
}

BOOLEAN KdPollBreakIn(VOID)
{
  BOOLEAN BreakIn = FALSE, Enable;

  if (KdPitchDebugger || !KdDebuggerEnabled) {
    return FALSE;
  }
  Enable = KeDisableInterrupts();
  if (KdpTryLock()) {
    BreakIn = KdpPollBreakInWithPortLock();
    KdpUnlock();
  }
  if (Enable) {
    KiEnableInterrupts();
  }
  return BreakIn;
}

VOID KdCheckForDebugBreak(VOID)
{
  if (KdPollBreakIn()) {
    DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
  }
}
