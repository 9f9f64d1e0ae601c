/*
 * kdtrap.c - where exceptions meet the debugger.
 *
 * What is passed on:
 *   debug services (int 2Dh)             always, here, and never reported as a stop
 *   breakpoint, single step, assertion   always, first chance and second
 *   anything else, second chance         always
 *   anything else, first chance          only with FLG_STOP_ON_EXCEPTION, and then errors and warnings only
 */
#include "kdp.h"

ULONG NtGlobalFlag;

static BOOLEAN KdpWants(NTSTATUS Code, BOOLEAN SecondChance)
{
  if (Code == STATUS_BREAKPOINT || Code == STATUS_SINGLE_STEP || Code == STATUS_ASSERTION_FAILURE ||
      SecondChance) {
    return TRUE;
  }
  if (!(NtGlobalFlag & FLG_STOP_ON_EXCEPTION)) {
    return FALSE;
  }
  return Code != STATUS_PORT_DISCONNECTED && !NT_SUCCESS(Code); /* severity warning (8) or error (C) */
}

/* The processor's own view of the debug registers goes into the CONTEXT that the debugger will read. */
static VOID KdpShowDebugRegisters(PCONTEXT Context, const KSPECIAL_REGISTERS *Special)
{
  Context->Dr0 = Special->KernelDr0;
  Context->Dr1 = Special->KernelDr1;
  Context->Dr2 = Special->KernelDr2;
  Context->Dr3 = Special->KernelDr3;
  Context->Dr6 = Special->KernelDr6;
  Context->Dr7 = Special->KernelDr7;
}

static BOOLEAN KdpReport(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
                         PEXCEPTION_RECORD ExceptionRecord, PCONTEXT ContextRecord, BOOLEAN SecondChance)
{
  KCONTINUE_STATUS Status;
  PKPRCB Prcb;
  BOOLEAN Enable;

  if (!KdpWants(ExceptionRecord->ExceptionCode, SecondChance)) {
    return FALSE;
  }
  Enable = KdEnterDebugger(TrapFrame, ExceptionFrame);
  Prcb = KeGetCurrentPrcb();
  KiSaveProcessorControlState(&Prcb->ProcessorState);
  KdpShowDebugRegisters(ContextRecord, &Prcb->ProcessorState.SpecialRegisters);
  KdpMoveMemory(&Prcb->ProcessorState.ContextFrame, ContextRecord, sizeof(CONTEXT));
  Status = KdpReportExceptionStateChange(ExceptionRecord, &Prcb->ProcessorState.ContextFrame, SecondChance);
  KdpMoveMemory(ContextRecord, &Prcb->ProcessorState.ContextFrame, sizeof(CONTEXT));
  KiRestoreProcessorControlState(&Prcb->ProcessorState);
  KdExitDebugger(Enable);
  return Status != ContinueError;
}

BOOLEAN KdIsThisAKdTrap(PEXCEPTION_RECORD ExceptionRecord, PCONTEXT ContextRecord,
                        KPROCESSOR_MODE PreviousMode)
{
  UNREFERENCED_PARAMETER(ContextRecord);
  UNREFERENCED_PARAMETER(PreviousMode);
  return ExceptionRecord->ExceptionCode == STATUS_BREAKPOINT && ExceptionRecord->NumberParameters > 0 &&
         ExceptionRecord->ExceptionInformation[0] != BREAKPOINT_BREAK;
}

/* FALSE for a service number that does not exist: it is reported as the breakpoint that it looks like. */
static BOOLEAN KdpService(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
                          PEXCEPTION_RECORD ExceptionRecord, PCONTEXT Context, KPROCESSOR_MODE PreviousMode)
{
  const ULONG_PTR *Information = ExceptionRecord->ExceptionInformation;
  ULONG64 Before = Context->Rip, Answer = STATUS_SUCCESS;

  switch (Information[0]) {
  case BREAKPOINT_PRINT:
    Answer = (ULONG)KdpPrint((ULONG)Information[3], (ULONG)Information[4], Information[1],
                             (USHORT)Information[2], PreviousMode, TrapFrame, ExceptionFrame);
    break;
  case BREAKPOINT_PROMPT:
    Answer = KdpPrompt(Information[1], (USHORT)Information[2], Information[3], (USHORT)Information[4],
                       PreviousMode, TrapFrame, ExceptionFrame);
    break;
  case BREAKPOINT_LOAD_SYMBOLS:
  case BREAKPOINT_UNLOAD_SYMBOLS:
    KdpSymbol(Information[1], Information[2], Information[0] == BREAKPOINT_UNLOAD_SYMBOLS, PreviousMode,
              Context, TrapFrame, ExceptionFrame);
    break;
  case BREAKPOINT_COMMAND_STRING:
    KdpCommandString(Information[1], Information[2], PreviousMode, Context, TrapFrame, ExceptionFrame);
    break;
  default:
    return FALSE;
  }
  if (Context->Rip == Before) { /* else the debugger has sent the thread elsewhere */
    Context->Rax = Answer;
    Context->Rip = Before + 1;
  }
  return TRUE;
}

/*
 * TRUE: the exception is dealt with; the caller resumes with what ContextRecord now holds.
 * FALSE: the machine's own handlers are next.
 */
BOOLEAN KdTrap(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PEXCEPTION_RECORD ExceptionRecord,
               PCONTEXT ContextRecord, KPROCESSOR_MODE PreviousMode, BOOLEAN SecondChance)
{
  if (KdIsThisAKdTrap(ExceptionRecord, ContextRecord, PreviousMode) &&
      KdpService(TrapFrame, ExceptionFrame, ExceptionRecord, ContextRecord, PreviousMode)) {
    return TRUE;
  }
  if (KdpFixUpGuardedFault(ContextRecord)) {
    return TRUE;
  }
  if (KdpOwnsMachine()) {
    return FALSE; /* a fault of the debugger itself: nobody is left to debug it */
  }
  if (!KdDebuggerEnabled || KdPitchDebugger) {
    return FALSE;
  }
  return KdpReport(TrapFrame, ExceptionFrame, ExceptionRecord, ContextRecord, SecondChance);
}
