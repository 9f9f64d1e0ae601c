/*
 * kdapimisc.c - GetVersion, and the answers to what this kernel, like a modern NT, does not do.
 */
#include "kdp.h"

KDP_OUTCOME KdpGetVersion(PKDP_REQUEST Request)
{
  KdpMoveMemory(&Request->State.u.GetVersion64, &KdVersionBlock, sizeof(KdVersionBlock));
  Request->State.ReturnStatus = STATUS_SUCCESS;
  Request->Data.Length = 0;
  return KdpReply;
}

/* The request comes back, 56 bytes, with C0000001. */
KDP_OUTCOME KdpNotSupported(PKDP_REQUEST Request)
{
  Request->State.ReturnStatus = STATUS_UNSUCCESSFUL;
  Request->Data.Length = 0;
  return KdpReply;
}

/* ClearSpecialCalls and ClearAllInternalBreakpoints: there are none, and nobody waits for a reply. */
KDP_OUTCOME KdpAcceptSilently(PKDP_REQUEST Request)
{
  UNREFERENCED_PARAMETER(Request);
  return KdpNoReply;
}
