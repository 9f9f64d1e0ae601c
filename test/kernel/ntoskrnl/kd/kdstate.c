/*
 * kdstate.c - telling the debugger that the machine stopped, and doing what it asks until it says go.
 *
 *   build ──> send ──> wait for a request ──> handler ──> reply ──> wait ...
 *     ^         ^              │                     │
 *     │         └──────────────┘ RESET, RESEND,      │
 *     │                          or a lone 'b'       │
 *     └──────────────────────────────────────────────┤ KdpReportAgain: the debugger came back to us
 *                                                    └ KdpLeave: the machine runs
 *
 * Every report that is built deletes the breakpoints in the 16 bytes it shows, and shows them as they were
 * before. Source of truth: NT's kd64 as described by the KD reference of this project.
 */
#include "kdp.h"

CHAR KdpMessageBuffer[KDP_MESSAGE_BUFFER_SIZE];
BOOLEAN KdpContextSent;
BOOLEAN KdpAppendTraceData;
ULONG KdpBugCheckRequested;
BOOLEAN KdpBugCheckPending;

static KDP_REQUEST KdpRequest;

typedef struct _KDP_API {
  ULONG ApiNumber;
  KDP_HANDLER *Handler;
} KDP_API;

static const KDP_API KdpApis[] = {
    {DbgKdReadVirtualMemoryApi, KdpReadVirtualMemory},
    {DbgKdWriteVirtualMemoryApi, KdpWriteVirtualMemory},
    {DbgKdGetContextApi, KdpGetContext},
    {DbgKdSetContextApi, KdpSetContext},
    {DbgKdWriteBreakPointApi, KdpWriteBreakpoint},
    {DbgKdRestoreBreakPointApi, KdpRestoreBreakpoint},
    {DbgKdContinueApi, KdpContinue},
    {DbgKdReadControlSpaceApi, KdpReadControlSpace},
    {DbgKdWriteControlSpaceApi, KdpWriteControlSpace},
    {DbgKdReadIoSpaceApi, KdpReadIoSpace},
    {DbgKdWriteIoSpaceApi, KdpWriteIoSpace},
    {DbgKdRebootApi, KdpReboot},
    {DbgKdContinueApi2, KdpContinue2},
    {DbgKdReadPhysicalMemoryApi, KdpReadPhysicalMemory},
    {DbgKdWritePhysicalMemoryApi, KdpWritePhysicalMemory},
    {DbgKdClearSpecialCallsApi, KdpAcceptSilently},
    {DbgKdReadIoSpaceExtendedApi, KdpReadIoSpaceExtended},
    {DbgKdWriteIoSpaceExtendedApi, KdpWriteIoSpaceExtended},
    {DbgKdGetVersionApi, KdpGetVersion},
    {DbgKdCauseBugCheckApi, KdpCauseBugCheck},
    {DbgKdSwitchProcessor, KdpSwitchProcessor},
    {DbgKdReadMachineSpecificRegister, KdpReadMsr},
    {DbgKdWriteMachineSpecificRegister, KdpWriteMsr},
    {DbgKdSearchMemoryApi, KdpSearchMemory},
    {DbgKdGetBusDataApi, KdpGetBusData},
    {DbgKdSetBusDataApi, KdpSetBusData},
    {DbgKdCheckLowMemoryApi, KdpCheckLowMemory},
    {DbgKdClearAllInternalBreakpointsApi, KdpAcceptSilently},
    {DbgKdFillMemoryApi, KdpFillMemory},
    {DbgKdQueryMemoryApi, KdpQueryMemory},
    {DbgKdGetContextExApi, KdpGetContextEx},
    {DbgKdSetContextExApi, KdpSetContextEx},
};

static KDP_HANDLER *KdpFindHandler(ULONG ApiNumber)
{
  ULONG Index;

  for (Index = 0; Index < RTL_NUMBER_OF(KdpApis); Index++) {
    if (KdpApis[Index].ApiNumber == ApiNumber) {
      return KdpApis[Index].Handler;
    }
  }
  /* Special calls, internal breakpoints, the Ex breakpoints, page-in, and what is not known at all. */
  return KdpNotSupported;
}

VOID KdpSetCommonState(ULONG NewState, PCONTEXT Context, PDBGKD_ANY_WAIT_STATE_CHANGE Change)
{
  PDBGKD_CONTROL_REPORT Report = &Change->ControlReport;
  PKPRCB Prcb = KeGetCurrentPrcb();
  ULONG Count = 0;

  KdpZeroMemory(Change, sizeof(*Change));
  Change->NewState = NewState;
  Change->ProcessorLevel = (USHORT)(UCHAR)Prcb->CpuType;
  Change->Processor = (USHORT)Prcb->Number;
  Change->NumberProcessors = KeNumberProcessors;
  Change->Thread = (ULONG64)Prcb->CurrentThread;
  Change->ProgramCounter = Context->Rip;

  KdpCopyMemoryChunks(Context->Rip, Report->InstructionStream, DBGKD_MAXSTREAM, 0, 0, &Count);
  Report->InstructionCount = (USHORT)Count;
  if (Count && KdpDeleteBreakpointRange(Context->Rip, Context->Rip + Count - 1)) {
    KdpCopyMemoryChunks(Context->Rip, Report->InstructionStream, Count, 0, 0, &Count);
  }
}

VOID KdpSetContextState(PDBGKD_ANY_WAIT_STATE_CHANGE Change, PCONTEXT Context)
{
  PDBGKD_CONTROL_REPORT Report = &Change->ControlReport;
  PKSPECIAL_REGISTERS Special = &KeGetCurrentPrcb()->ProcessorState.SpecialRegisters;

  Report->Dr6 = Special->KernelDr6;
  Report->Dr7 = Special->KernelDr7;
  Report->EFlags = Context->EFlags;
  Report->SegCs = Context->SegCs;
  Report->SegDs = Context->SegDs;
  Report->SegEs = Context->SegEs;
  Report->SegFs = Context->SegFs;
  Report->ReportFlags = REPORT_INCLUDES_SEGS;
  if (Context->SegCs == KGDT64_R0_CODE) {
    Report->ReportFlags |= REPORT_STANDARD_CS;
  }
}

KCONTINUE_STATUS KdpSendWaitContinue(ULONG PacketType, PSTRING SendHeader, PSTRING SendData, PCONTEXT Context)
{
  PKDP_REQUEST Request = &KdpRequest;
  STRING Header;
  ULONG Length;
  KDSTATUS Status;

  KdpContextSent = FALSE;
  KdpResetContextStage();

Report:
  KdSendPacket(PacketType, SendHeader, SendData, &KdpContext);
  if (KdDebuggerNotPresent) {
    return ContinueSuccess; /* nobody wanted to know of a module */
  }

  for (;;) {
    KDP_OUTCOME Outcome;

    Header.Buffer = (PCHAR)&Request->State;
    Header.Length = 0;
    Header.MaximumLength = sizeof(Request->State);
    Request->Data.Buffer = KdpMessageBuffer;
    Request->Data.Length = 0;
    Request->Data.MaximumLength = KDP_MESSAGE_BUFFER_SIZE;
    Request->Context = Context;

    do {
      Status =
          KdReceivePacket(PACKET_TYPE_KD_STATE_MANIPULATE, &Header, &Request->Data, &Length, &KdpContext);
    } while (Status == KDP_PACKET_TIMEOUT);
    if (Status == KDP_PACKET_RESEND) {
      goto Report;
    }

    Outcome = KdpFindHandler(Request->State.ApiNumber)(Request);
    switch (Outcome) {
    case KdpReply:
      Header.Length = sizeof(Request->State);
      KdSendPacket(PACKET_TYPE_KD_STATE_MANIPULATE, &Header, Request->Data.Length ? &Request->Data : NULL,
                   &KdpContext);
      break;
    case KdpNoReply:
      break;
    case KdpLeave:
      return ContinueSuccess;
    case KdpLeaveFailed:
      return ContinueError;
    case KdpReportAgain:
      return ContinueProcessorReselected;
    case KdpOtherHasLeft:
      return ContinueNextProcessor;
    }
  }
}

KCONTINUE_STATUS KdpReportExceptionStateChange(PEXCEPTION_RECORD ExceptionRecord, PCONTEXT Context,
                                               BOOLEAN SecondChance)
{
  static ULONG TraceData[1];
  DBGKD_ANY_WAIT_STATE_CHANGE Change;
  STRING Header, Data;
  ULONG Index;
  PEXCEPTION_RECORD64 Record = &Change.u.Exception.ExceptionRecord;
  KCONTINUE_STATUS Status;

  Header.Buffer = (PCHAR)&Change;
  Header.Length = Header.MaximumLength = sizeof(Change);
  /* Kernels that can trace calls append what they traced; 0 entries are one zero count. */
  Data.Buffer = (PCHAR)TraceData;
  Data.Length = Data.MaximumLength = KdpAppendTraceData ? sizeof(TraceData) : 0;

  do {
    KdpSetCommonState(DbgKdExceptionStateChange, Context, &Change);
    Record->ExceptionCode = ExceptionRecord->ExceptionCode;
    Record->ExceptionFlags = ExceptionRecord->ExceptionFlags;
    Record->ExceptionRecord = (ULONG64)ExceptionRecord->ExceptionRecord;
    Record->ExceptionAddress = (ULONG64)ExceptionRecord->ExceptionAddress;
    Record->NumberParameters = ExceptionRecord->NumberParameters;
    for (Index = 0; Index < EXCEPTION_MAXIMUM_PARAMETERS; Index++) {
      Record->ExceptionInformation[Index] = ExceptionRecord->ExceptionInformation[Index];
    }
    Change.u.Exception.FirstChance = !SecondChance;
    KdpSetContextState(&Change, Context);
    Status = KdpSendWaitContinue(PACKET_TYPE_KD_STATE_CHANGE64, &Header, Data.Length ? &Data : NULL, Context);
  } while (Status == ContinueProcessorReselected);
  return Status;
}

KCONTINUE_STATUS KdReportProcessorChange(VOID)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  PCONTEXT Context = &Prcb->ProcessorState.ContextFrame;
  EXCEPTION_RECORD Record;

  KdpTakeOwnership();
  KdpZeroMemory(&Record, sizeof(Record));
  Record.ExceptionCode = STATUS_WAKE_SYSTEM_DEBUGGER;
  Record.ExceptionAddress = (PVOID)Context->Rip;
  return KdpReportExceptionStateChange(&Record, Context, FALSE);
}
