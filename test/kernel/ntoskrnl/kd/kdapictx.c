/*
 * kdapictx.c - contexts: whole (GetContext, SetContext) and in pieces (GetContextEx, SetContextEx).
 *
 * A context can be set only after it was read in the same stop: a debugger that sends one without having
 * looked would write an old one.  SetContextEx collects its pieces and commits when the last has come.
 */
#include "kdp.h"

/* The context that SetContextEx is collecting; Processor MAXULONG when there is none. */
static struct {
  ULONG Processor;
  ULONG Received; /* bytes from offset 0 on */
  CONTEXT Context;
} KdpStage;

VOID KdpResetContextStage(VOID)
{
  KdpStage.Processor = MAXULONG;
  KdpStage.Received = 0;
}

static PCONTEXT KdpTargetContext(PKDP_REQUEST Request, PKPRCB *Prcb)
{
  ULONG Processor = Request->State.Processor;

  if (Processor >= KeNumberProcessors || !KiProcessorBlock[Processor]) {
    return NULL;
  }
  *Prcb = KiProcessorBlock[Processor];
  return *Prcb == KeGetCurrentPrcb() ? Request->Context : &(*Prcb)->ProcessorState.ContextFrame;
}

static VOID KdpCommitContext(PKPRCB Prcb, PCONTEXT Target, const CONTEXT *New)
{
  KdpTakeDebugRegisters(Prcb, Target, New);
  KdpMoveMemory(Target, New, sizeof(CONTEXT));
}

KDP_OUTCOME KdpGetContext(PKDP_REQUEST Request)
{
  PKPRCB Prcb;
  PCONTEXT Context = KdpTargetContext(Request, &Prcb);

  Request->Data.Length = 0;
  Request->State.ReturnStatus = STATUS_UNSUCCESSFUL;
  if (Context) {
    KdpMoveMemory(Request->Data.Buffer, Context, sizeof(CONTEXT));
    Request->Data.Length = sizeof(CONTEXT);
    Request->State.ReturnStatus = STATUS_SUCCESS;
    KdpContextSent = TRUE;
  }
  return KdpReply;
}

KDP_OUTCOME KdpSetContext(PKDP_REQUEST Request)
{
  PKPRCB Prcb;
  PCONTEXT Context = KdpTargetContext(Request, &Prcb);

  Request->State.ReturnStatus = STATUS_UNSUCCESSFUL;
  if (Context && KdpContextSent && Request->Data.Length >= sizeof(CONTEXT)) {
    KdpCommitContext(Prcb, Context, (const CONTEXT *)Request->Data.Buffer);
    Request->State.ReturnStatus = STATUS_SUCCESS;
  }
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpGetContextEx(PKDP_REQUEST Request)
{
  DBGKD_CONTEXT_EX *Ex = &Request->State.u.ContextEx;
  PKPRCB Prcb;
  PCONTEXT Context = KdpTargetContext(Request, &Prcb);

  Request->Data.Length = 0;
  Request->State.ReturnStatus = STATUS_UNSUCCESSFUL;
  Ex->BytesCopied = 0;
  if (Context && Ex->Offset < sizeof(CONTEXT)) {
    ULONG Length = min(Ex->ByteCount, (ULONG)sizeof(CONTEXT) - Ex->Offset);

    KdpMoveMemory(Request->Data.Buffer, (PUCHAR)Context + Ex->Offset, Length);
    Request->Data.Length = (USHORT)Length;
    Ex->BytesCopied = Length;
    Request->State.ReturnStatus = STATUS_SUCCESS;
    KdpContextSent = TRUE;
  }
  return KdpReply;
}

KDP_OUTCOME KdpSetContextEx(PKDP_REQUEST Request)
{
  DBGKD_CONTEXT_EX *Ex = &Request->State.u.ContextEx;
  ULONG Total = Ex->BytesCopied, Length = Ex->ByteCount;
  PKPRCB Prcb;
  PCONTEXT Context = KdpTargetContext(Request, &Prcb);

  Request->State.ReturnStatus = STATUS_UNSUCCESSFUL;
  Ex->BytesCopied = 0;
  if (Context && KdpContextSent && Total <= sizeof(CONTEXT) && Ex->Offset <= Total &&
      Length <= Total - Ex->Offset && Length == Request->Data.Length) {
    if (Ex->Offset == 0) {
      KdpStage.Processor = Prcb->Number;
      KdpStage.Received = 0;
      KdpMoveMemory(&KdpStage.Context, Context, sizeof(CONTEXT));
    }
    /* Pieces come in order, without holes, for one processor. */
    if (KdpStage.Processor == Prcb->Number && KdpStage.Received == Ex->Offset) {
      KdpMoveMemory((PUCHAR)&KdpStage.Context + Ex->Offset, Request->Data.Buffer, Length);
      KdpStage.Received += Length;
      Ex->BytesCopied = Length;
      Request->State.ReturnStatus = STATUS_SUCCESS;
      if (KdpStage.Received == Total) {
        KdpCommitContext(Prcb, Context, &KdpStage.Context);
        KdpResetContextStage();
      }
    }
  }
  Request->Data.Length = 0;
  return KdpReply;
}
