/*
 * kdsym.c - state changes that are no exceptions: a module came or went, a command for the debugger.
 *
 * Each stops the machine until the debugger continues it.  The farewell before a reset is the unload of
 * nothing at base -1: PathNameLength 0, BaseOfDll -1, ProcessId 0.
 */
#include "kdp.h"

#define KDP_PATH_SIZE 256

static CHAR KdpPathBuffer[2 * KDP_PATH_SIZE];

/* Copies a STRING of the caller's, adds the NUL that goes over the wire, returns the length with it. */
static ULONG KdpCaptureString(ULONG64 String, PCHAR To, KPROCESSOR_MODE PreviousMode)
{
  STRING Captured;
  ULONG Length;

  if (!String || KdpCaptureBytes(String, &Captured, sizeof(Captured), sizeof(Captured), PreviousMode) !=
                     sizeof(Captured)) {
    return 0;
  }
  Length = KdpCaptureBytes((ULONG64)Captured.Buffer, To, Captured.Length, KDP_PATH_SIZE - 1, PreviousMode);
  To[Length] = 0;
  return Length + 1;
}

/* Change->u is filled in; the rest is built here, and again when the debugger has been elsewhere. */
static VOID KdpReportUnion(ULONG NewState, PDBGKD_ANY_WAIT_STATE_CHANGE Change, PSTRING Data,
                           PCONTEXT Context)
{
  DBGKD_ANY_WAIT_STATE_CHANGE Built;
  KCONTINUE_STATUS Status;
  STRING Header;

  Header.Buffer = (PCHAR)&Built;
  Header.Length = Header.MaximumLength = sizeof(Built);
  do {
    KdpSetCommonState(NewState, Context, &Built);
    KdpSetContextState(&Built, Context);
    Built.u = Change->u;
    Status = KdpSendWaitContinue(PACKET_TYPE_KD_STATE_CHANGE64, &Header, Data->Length ? Data : NULL, Context);
  } while (Status == ContinueProcessorReselected);
}

static VOID KdpSaveState(PCONTEXT Context)
{
  PKPRCB Prcb = KeGetCurrentPrcb();

  KiSaveProcessorControlState(&Prcb->ProcessorState);
  KdpMoveMemory(&Prcb->ProcessorState.ContextFrame, Context, sizeof(CONTEXT));
}

static VOID KdpRestoreState(PCONTEXT Context)
{
  PKPRCB Prcb = KeGetCurrentPrcb();

  KdpMoveMemory(Context, &Prcb->ProcessorState.ContextFrame, sizeof(CONTEXT));
  KiRestoreProcessorControlState(&Prcb->ProcessorState);
}

VOID KdpSymbol(ULONG64 Path, ULONG64 SymbolInfo, BOOLEAN Unload, KPROCESSOR_MODE PreviousMode,
               PCONTEXT Context, PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  DBGKD_ANY_WAIT_STATE_CHANGE Change;
  KD_SYMBOLS_INFO Info;
  PCONTEXT Saved = &KeGetCurrentPrcb()->ProcessorState.ContextFrame;
  BOOLEAN Enable;
  STRING Data;

  if (PreviousMode != KernelMode || !KdDebuggerEnabled || KdDebuggerNotPresent || KdpOwnsMachine()) {
    return;
  }
  Enable = KdEnterDebugger(TrapFrame, ExceptionFrame);
  if (KdpCaptureBytes(SymbolInfo, &Info, sizeof(Info), sizeof(Info), PreviousMode) == sizeof(Info)) {
    KdpSaveState(Context);
    KdpZeroMemory(&Change, sizeof(Change));
    Data.Buffer = KdpPathBuffer;
    Data.Length = (USHORT)KdpCaptureString(Path, KdpPathBuffer, PreviousMode);
    Data.MaximumLength = sizeof(KdpPathBuffer);
    Change.u.LoadSymbols.PathNameLength = Data.Length;
    Change.u.LoadSymbols.BaseOfDll = (ULONG64)Info.BaseOfDll;
    Change.u.LoadSymbols.ProcessId = (ULONG64)Info.ProcessId;
    Change.u.LoadSymbols.CheckSum = Info.CheckSum;
    Change.u.LoadSymbols.SizeOfImage = Info.SizeOfImage;
    Change.u.LoadSymbols.UnloadSymbols = Unload;
    KdpReportUnion(DbgKdLoadSymbolsStateChange, &Change, &Data, Saved);
    if (Unload && Info.SizeOfImage && (ULONG64)Info.BaseOfDll + Info.SizeOfImage > (ULONG64)Info.BaseOfDll) {
      /* The pages go away now; an int3 that stayed would be owed to whatever is mapped there next. */
      KdpDeleteBreakpointRange((ULONG64)Info.BaseOfDll, (ULONG64)Info.BaseOfDll + Info.SizeOfImage - 1);
    }
    KdpRestoreState(Context);
  }
  KdExitDebugger(Enable);
}

VOID KdpCommandString(ULONG64 Name, ULONG64 Command, KPROCESSOR_MODE PreviousMode, PCONTEXT Context,
                      PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  DBGKD_ANY_WAIT_STATE_CHANGE Change;
  PCONTEXT Saved = &KeGetCurrentPrcb()->ProcessorState.ContextFrame;
  ULONG NameLength;
  BOOLEAN Enable;
  STRING Data;

  if (PreviousMode != KernelMode || !KdDebuggerEnabled || KdDebuggerNotPresent || KdpOwnsMachine()) {
    return;
  }
  Enable = KdEnterDebugger(TrapFrame, ExceptionFrame);
  KdpSaveState(Context);
  KdpZeroMemory(&Change, sizeof(Change));
  NameLength = KdpCaptureString(Name, KdpPathBuffer, PreviousMode);
  Data.Buffer = KdpPathBuffer;
  Data.Length = (USHORT)(NameLength + KdpCaptureString(Command, KdpPathBuffer + NameLength, PreviousMode));
  Data.MaximumLength = sizeof(KdpPathBuffer);
  KdpReportUnion(DbgKdCommandStringStateChange, &Change, &Data, Saved);
  KdpRestoreState(Context);
  KdExitDebugger(Enable);
}

VOID KdShutdownNotice(VOID)
{
  DbgUnLoadImageSymbols(NULL, (PVOID)(LONG_PTR)-1, 0);
}
