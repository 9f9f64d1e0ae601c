/*
 * except.c: from a trap to an exception, and who gets it: debugger first, then frame handlers, then the debugger
 * again, then the blue screen.
 */
#include "ki.h"

static VOID Raise(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, NTSTATUS Code, ULONG Parameters,
                  ULONG_PTR P0, ULONG_PTR P1, ULONG_PTR P2, ULONG64 Address)
{
  EXCEPTION_RECORD Record = {.ExceptionCode = Code, .NumberParameters = Parameters, .ExceptionAddress = (PVOID)Address};
  Record.ExceptionInformation[0] = P0;
  Record.ExceptionInformation[1] = P1;
  Record.ExceptionInformation[2] = P2;
  KiDispatchException(&Record, ExceptionFrame, TrapFrame, TrapFrame->PreviousMode, TRUE);
}

static VOID AllowInterrupts(PKTRAP_FRAME TrapFrame)
{
  if (TrapFrame->EFlags & EFLAGS_IF_MASK) KiEnableInterrupts();
}

static VOID PageFault(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  NTSTATUS Status;
  AllowInterrupts(TrapFrame);
  if (MmAccessFault(TrapFrame, TrapFrame->PreviousMode, &Status)) return;
  if (Status != STATUS_ACCESS_VIOLATION) {
    Raise(TrapFrame, ExceptionFrame, Status, 0, 0, 0, 0, TrapFrame->Rip);
    return;
  }
  Raise(TrapFrame, ExceptionFrame, Status, 2, TrapFrame->FaultIndicator, TrapFrame->FaultAddress, 0, TrapFrame->Rip);
}

/* `int 2Dh`: registers hold the service; RIP skips the int3 behind it, and KiDispatchException steps back onto it. */
static VOID DebugService(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  TrapFrame->Rip++;
  EXCEPTION_RECORD Record = {.ExceptionCode = STATUS_BREAKPOINT, .NumberParameters = 5};
  Record.ExceptionAddress = (PVOID)(TrapFrame->Rip - 1);
  Record.ExceptionInformation[0] = TrapFrame->Rax;
  Record.ExceptionInformation[1] = TrapFrame->Rcx;
  Record.ExceptionInformation[2] = TrapFrame->Rdx;
  Record.ExceptionInformation[3] = TrapFrame->R8;
  Record.ExceptionInformation[4] = TrapFrame->R9;
  KiDispatchException(&Record, ExceptionFrame, TrapFrame, TrapFrame->PreviousMode, TRUE);
}

static VOID NonMaskable(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  /* Where the machine goes down once is enough; another processor that comes here stops. */
  if (!KiFreezeInterrupt(TrapFrame, ExceptionFrame) && KiBugCheckOwner != KeGetCurrentPrcb())
    KeBugCheckEx(NMI_HARDWARE_FAILURE, 0x4F4454, 0, 0, 0);
}

VOID KiHandleTrap(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, ULONG Vector)
{
  switch (Vector) {
  case 0x01: /* interrupts stay off for #DB and #BP: Dr6 and the frozen picture belong together */
    Raise(TrapFrame, ExceptionFrame, STATUS_SINGLE_STEP, 0, 0, 0, 0, TrapFrame->Rip);
    break;
  case 0x02:
    NonMaskable(TrapFrame, ExceptionFrame);
    break;
  case 0x03:
    Raise(TrapFrame, ExceptionFrame, STATUS_BREAKPOINT, 1, BREAKPOINT_BREAK, 0, 0, TrapFrame->Rip - 1);
    break;
  case 0x2D:
    DebugService(TrapFrame, ExceptionFrame);
    break;
  case 0x0E:
    PageFault(TrapFrame, ExceptionFrame);
    break;
  case 0x00:
    AllowInterrupts(TrapFrame);
    Raise(TrapFrame, ExceptionFrame, STATUS_INTEGER_DIVIDE_BY_ZERO, 0, 0, 0, 0, TrapFrame->Rip);
    break;
  case 0x06:
    AllowInterrupts(TrapFrame);
    Raise(TrapFrame, ExceptionFrame, STATUS_ILLEGAL_INSTRUCTION, 0, 0, 0, 0, TrapFrame->Rip);
    break;
  case 0x0D: /* NT: an access violation without an address; for user mode a privileged instruction */
    AllowInterrupts(TrapFrame);
    if (TrapFrame->PreviousMode == UserMode)
      Raise(TrapFrame, ExceptionFrame, STATUS_PRIVILEGED_INSTRUCTION, 0, 0, 0, 0, TrapFrame->Rip);
    else
      Raise(TrapFrame, ExceptionFrame, STATUS_ACCESS_VIOLATION, 2, 0, ~0ull, 0, TrapFrame->Rip);
    break;
  case 0x11:
    AllowInterrupts(TrapFrame);
    Raise(TrapFrame, ExceptionFrame, STATUS_DATATYPE_MISALIGNMENT, 0, 0, 0, 0, TrapFrame->Rip);
    break;
  default:
    KeBugCheckEx(UNEXPECTED_KERNEL_MODE_TRAP, Vector, (ULONG_PTR)TrapFrame, TrapFrame->ErrorCode, TrapFrame->Rip);
  }
}

VOID KiDispatchException(PEXCEPTION_RECORD ExceptionRecord, PKEXCEPTION_FRAME ExceptionFrame, PKTRAP_FRAME TrapFrame,
                         KPROCESSOR_MODE PreviousMode, BOOLEAN FirstChance)
{
  CONTEXT Context;
  Context.ContextFlags = CONTEXT_ALL;
  KeContextFromKframes(TrapFrame, ExceptionFrame, &Context);
  if (ExceptionRecord->ExceptionCode == STATUS_BREAKPOINT) Context.Rip--;
  if (ExceptionRecord->ExceptionCode == STATUS_SINGLE_STEP) Context.EFlags &= ~EFLAGS_TF_MASK;

  BOOLEAN Handled = FALSE;
  if (FirstChance) {
    Handled = KdTrap(TrapFrame, ExceptionFrame, ExceptionRecord, &Context, PreviousMode, FALSE);
    if (!Handled && PreviousMode == KernelMode) Handled = RtlDispatchException(ExceptionRecord, &Context);
  }
  if (!Handled) Handled = KdTrap(TrapFrame, ExceptionFrame, ExceptionRecord, &Context, PreviousMode, TRUE);
  if (!Handled && PreviousMode == UserMode) {
    KiEnableInterrupts();
    ConsolePrint("user exception %08lx at %p: the process ends\n", (ULONG)ExceptionRecord->ExceptionCode,
                 ExceptionRecord->ExceptionAddress);
    PspExitThread(ExceptionRecord->ExceptionCode);
  }
  if (!Handled)
    KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG_PTR)(LONG64)ExceptionRecord->ExceptionCode,
                 (ULONG_PTR)ExceptionRecord->ExceptionAddress, ExceptionRecord->ExceptionInformation[0],
                 ExceptionRecord->ExceptionInformation[1]);
  KeContextToKframes(TrapFrame, ExceptionFrame, &Context, Context.ContextFlags, PreviousMode);
}
