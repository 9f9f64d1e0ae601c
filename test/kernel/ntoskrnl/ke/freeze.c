/*
 * freeze.c: one processor owns the machine while the debugger talks; the others wait here, registers saved.
 *
 *   KPRCB.IpiFrozen   RUNNING -> TARGET_FREEZE (owner sends an NMI) -> FROZEN (registers saved) -> THAW -> RUNNING
 *   with ACTIVE on exactly one processor: the one whose registers the debugger is looking at.
 *
 * The freeze is an NMI, so that a processor that spins with interrupts off stops too, and its RIP is where it spun.
 */
#include "ki.h"

static volatile LONG FreezeLock;
static PKPRCB volatile KiFreezeOwner;
static ULONG FreezeRecursion;
static volatile LONG NextActive = -1; /* asked for by a processor that is not the owner */

#define FREEZE_LIMIT_SECONDS 2

static BOOLEAN WaitForState(PKPRCB Prcb, ULONG State)
{
  ULONG64 End = KiReadTsc() + HalpTscFrequency * FREEZE_LIMIT_SECONDS;
  while ((Prcb->IpiFrozen & IPI_FROZEN_STATE_MASK) != State) {
    if (KiReadTsc() > End) return FALSE; /* dead or not started: go on without it */
    YieldProcessor();
  }
  return TRUE;
}

BOOLEAN KeFreezeExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  PKPRCB Self = KeGetCurrentPrcb();
  UNREFERENCED_PARAMETER(TrapFrame);
  UNREFERENCED_PARAMETER(ExceptionFrame);
  if (KiFreezeOwner == Self) {
    FreezeRecursion++;
    return Enabled;
  }
  while (InterlockedCompareExchange(&FreezeLock, 1, 0)) YieldProcessor(); /* the owner's NMI finds us here */
  KiFreezeOwner = Self;
  NextActive = -1;
  Self->IpiFrozen = IPI_FROZEN_STATE_OWNER | IPI_FROZEN_FLAG_ACTIVE;
  for (ULONG I = 0; I < KeNumberProcessors; I++) {
    PKPRCB Prcb = KiProcessorBlock[I];
    if (Prcb == Self) continue;
    Prcb->IpiFrozen = IPI_FROZEN_STATE_TARGET_FREEZE;
    KeMemoryBarrier();
    HalpSendIpi(Prcb->InitialApicId, APIC_NMI);
  }
  for (ULONG I = 0; I < KeNumberProcessors; I++)
    if (KiProcessorBlock[I] != Self) WaitForState(KiProcessorBlock[I], IPI_FROZEN_STATE_FROZEN);
  return Enabled;
}

VOID KeThawExecution(BOOLEAN Enable)
{
  PKPRCB Self = KeGetCurrentPrcb();
  if (FreezeRecursion) {
    FreezeRecursion--;
    if (Enable) KiEnableInterrupts();
    return;
  }
  for (ULONG I = 0; I < KeNumberProcessors; I++) {
    PKPRCB Prcb = KiProcessorBlock[I];
    if (Prcb == Self) continue;
    if ((Prcb->IpiFrozen & IPI_FROZEN_STATE_MASK) == IPI_FROZEN_STATE_FROZEN) {
      Prcb->IpiFrozen = IPI_FROZEN_STATE_THAW;
      WaitForState(Prcb, IPI_FROZEN_STATE_RUNNING);
    } else {
      Prcb->IpiFrozen = IPI_FROZEN_STATE_RUNNING;
    }
  }
  Self->IpiFrozen = IPI_FROZEN_STATE_RUNNING;
  KiFreezeOwner = NULL;
  InterlockedExchange(&FreezeLock, 0);
  KiWriteCr3(KiReadCr3());
  if (Enable) KiEnableInterrupts();
}

/* In the NMI of a processor that is to stop. */
VOID KiFreezeTargetExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  PKPRCB Self = KeGetCurrentPrcb();
  KiSaveProcessorState(TrapFrame, ExceptionFrame);
  Self->IpiFrozen = IPI_FROZEN_STATE_FROZEN;
  while ((Self->IpiFrozen & IPI_FROZEN_STATE_MASK) != IPI_FROZEN_STATE_THAW) {
    if (!(Self->IpiFrozen & IPI_FROZEN_FLAG_ACTIVE)) {
      YieldProcessor();
      continue;
    }
    KCONTINUE_STATUS Status = KdReportProcessorChange();
    Self->IpiFrozen = IPI_FROZEN_STATE_FROZEN;
    KeMemoryBarrier();
    /* Only now may another processor be in the debugger: one at a time. */
    if (Status == ContinueNextProcessor && NextActive >= 0 && (ULONG)NextActive < KeNumberProcessors) {
      PKPRCB Next = KiProcessorBlock[NextActive];
      NextActive = -1;
      Next->IpiFrozen |= IPI_FROZEN_FLAG_ACTIVE;
    } else {
      KiFreezeOwner->IpiFrozen = IPI_FROZEN_STATE_THAW; /* the owner leaves the debugger and thaws us all */
    }
  }
  KiRestoreProcessorState(TrapFrame, ExceptionFrame);
  KiWriteCr3(KiReadCr3());
  KeMemoryBarrier();
  Self->IpiFrozen = IPI_FROZEN_STATE_RUNNING;
}

KCONTINUE_STATUS KeSwitchFrozenProcessor(ULONG ProcessorIndex)
{
  PKPRCB Self = KeGetCurrentPrcb();
  if (ProcessorIndex >= KeNumberProcessors) return ContinueError;
  PKPRCB Target = KiProcessorBlock[ProcessorIndex];
  if (Target == Self) return ContinueProcessorReselected;
  ULONG State = Target->IpiFrozen & IPI_FROZEN_STATE_MASK;
  if (State != IPI_FROZEN_STATE_FROZEN && State != IPI_FROZEN_STATE_OWNER) return ContinueError;
  if (KiFreezeOwner != Self) {
    NextActive = (LONG)ProcessorIndex;
    return ContinueNextProcessor;
  }
  Self->IpiFrozen = IPI_FROZEN_STATE_OWNER;
  KeMemoryBarrier();
  Target->IpiFrozen |= IPI_FROZEN_FLAG_ACTIVE;
  while (Self->IpiFrozen == IPI_FROZEN_STATE_OWNER) YieldProcessor();
  BOOLEAN Thawed = (Self->IpiFrozen & IPI_FROZEN_STATE_MASK) == IPI_FROZEN_STATE_THAW;
  Self->IpiFrozen = IPI_FROZEN_STATE_OWNER | IPI_FROZEN_FLAG_ACTIVE;
  return Thawed ? ContinueSuccess : ContinueProcessorReselected;
}
