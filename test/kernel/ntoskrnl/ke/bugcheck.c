/*
 * bugcheck.c: KeBugCheckEx: the data for `.bugcheck`, the message, a first break, the screen (COM2), a last break.
 */
#include "ki.h"

ULONG64 KiBugCheckData[5];
PKPRCB volatile KiBugCheckOwner;
static volatile LONG BugCheckActive;

/* As NT: breaks for ever when a debugger may come, so a late one finds the machine where it fell. */
static VOID BugCheckDebugBreak(ULONG Status)
{
  do {
    DbgBreakPointWithStatus(Status);
  } while (Status != DBG_STATUS_BUGCHECK_FIRST);
}

VOID KeBugCheckEx(ULONG Code, ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  RtlCaptureContext(&Prcb->ProcessorState.ContextFrame);
  if (InterlockedCompareExchange(&BugCheckActive, 1, 0)) {
    /* A second one: the first goes on if it is another processor's, otherwise nothing more can be done. */
    if (KiBugCheckOwner == Prcb) HalReturnToFirmware(HalRebootRoutine);
    /* Interrupts on: the return from one lets the freeze NMI in, should we be in an NMI ourselves. It comes in on the
       same stack, so nothing here needs one; and no other thread may run on this processor any more. */
    KfRaiseIrql(max(KeGetCurrentIrql(), DISPATCH_LEVEL));
    for (;;) {
      KiEnableInterrupts();
      KiHalt();
    }
  }
  KiBugCheckOwner = Prcb;
  KiBugCheckData[0] = Code;
  KiBugCheckData[1] = P1;
  KiBugCheckData[2] = P2;
  KiBugCheckData[3] = P3;
  KiBugCheckData[4] = P4;
  ConsolePrint("*** STOP: 0x%08lx (0x%016llx,0x%016llx,0x%016llx,0x%016llx)\n", Code, P1, P2, P3, P4);
  PKLDR_DATA_TABLE_ENTRY Module = LdrpModuleOfAddress(Code == KMODE_EXCEPTION_NOT_HANDLED ? P2 : P3);
  if (Module)
    ConsolePrint("*** %ls, base %p\n", Module->BaseDllName.Buffer, Module->DllBase);
  if (KdDebuggerEnabled && !KdDebuggerNotPresent) {
    DbgPrint("\n*** Fatal System Error: 0x%08lx\n                       (0x%p,0x%p,0x%p,0x%p)\n\n", Code, (PVOID)P1,
             (PVOID)P2, (PVOID)P3, (PVOID)P4);
    BugCheckDebugBreak(DBG_STATUS_BUGCHECK_FIRST);
  }
  KeDisableInterrupts();
  if (KdDebuggerEnabled) BugCheckDebugBreak(DBG_STATUS_BUGCHECK_SECOND);
  for (;;) KiHalt();
}

VOID KeBugCheck(ULONG BugCheckCode) { KeBugCheckEx(BugCheckCode, 0, 0, 0, 0); }
