/*
 * kdapirun.c - requests that let the machine go, or move the debugger elsewhere; none has a reply.
 *
 * A bugcheck asked for by the debugger happens after the other processors run again: it wants to stop
 * them itself and to talk to us.
 */
#include "kdp.h"

KDP_OUTCOME KdpContinue(PKDP_REQUEST Request)
{
  return NT_SUCCESS(Request->State.u.Continue.ContinueStatus) ? KdpLeave : KdpLeaveFailed;
}

KDP_OUTCOME KdpContinue2(PKDP_REQUEST Request)
{
  if (!NT_SUCCESS(Request->State.u.Continue2.ContinueStatus)) {
    return KdpLeaveFailed;
  }
  KdpGetStateChange(&Request->State, Request->Context);
  return KdpLeave;
}

KDP_OUTCOME KdpSwitchProcessor(PKDP_REQUEST Request)
{
  if (Request->State.Processor == KeGetCurrentPrcb()->Number) {
    return KdpReportAgain;
  }
  switch (KeSwitchFrozenProcessor(Request->State.Processor)) {
  case ContinueNextProcessor:
    return KdpOtherHasLeft; /* the other one may already be at work: touch nothing */
  case ContinueSuccess:
    KdpTakeOwnership();
    return KdpLeave;
  case ContinueProcessorReselected:
  case ContinueError:
    break;
  }
  KdpTakeOwnership();
  return KdpReportAgain;
}

KDP_OUTCOME KdpReboot(PKDP_REQUEST Request)
{
  UNREFERENCED_PARAMETER(Request);
  HalReturnToFirmware(HalRebootRoutine);
}

KDP_OUTCOME KdpCauseBugCheck(PKDP_REQUEST Request)
{
  KdpBugCheckRequested = (ULONG)Request->State.u.Raw[0];
  KdpBugCheckPending = TRUE;
  return KdpLeave;
}
