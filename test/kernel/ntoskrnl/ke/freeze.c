/*
 * freeze.c: one processor owns the machine while the debugger talks; the others wait here, registers saved.
 *
 *   KPRCB.IpiFrozen   RUNNING -> TARGET_FREEZE (owner sends an NMI) -> FROZEN (registers saved) -> THAW -> RUNNING
 *   with ACTIVE on exactly one processor: the one whose registers the debugger is looking at.
 *
 * The freeze is an NMI, so that a processor that spins with interrupts off stops too, and its RIP is where it spun.
 * One that does not come in time (its virtual CPU has no host processor) is gone on without, and owed its NMI: the
 * next freeze sends it none, and if there is no next freeze it is swallowed when it comes.
 */
#include "ki.h"

static volatile LONG FreezeLock;
static PKPRCB volatile KiFreezeOwner;
static ULONG FreezeRecursion;
static volatile LONG NextActive = -1; /* asked for by a processor that is not the owner */

static volatile LONG NmiOwed[MAXIMUM_PROCESSORS]; /* 1: sent, not yet seen, and its freeze is over */

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

static BOOLEAN ChangeState(PKPRCB Prcb, ULONG From, ULONG To)
{
  return InterlockedCompareExchange((volatile LONG *)&Prcb->IpiFrozen, (LONG)To, (LONG)From) == (LONG)From;
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
    if (!InterlockedExchange(&NmiOwed[I], 0)) HalpSendIpi(Prcb->InitialApicId, APIC_NMI);
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
    NmiOwed[I] = 1; /* before it can see that it is no longer wanted */
    if (ChangeState(Prcb, IPI_FROZEN_STATE_TARGET_FREEZE, IPI_FROZEN_STATE_RUNNING)) continue;
    NmiOwed[I] = 0;
    if ((Prcb->IpiFrozen & IPI_FROZEN_STATE_MASK) != IPI_FROZEN_STATE_FROZEN) continue; /* started since */
    Prcb->IpiFrozen = IPI_FROZEN_STATE_THAW;
    WaitForState(Prcb, IPI_FROZEN_STATE_RUNNING);
  }
  Self->IpiFrozen = IPI_FROZEN_STATE_RUNNING;
  KiFreezeOwner = NULL;
  InterlockedExchange(&FreezeLock, 0);
  KiWriteCr3(KiReadCr3());
  if (Enable) KiEnableInterrupts();
}

/* In the NMI of a processor that is to stop; FALSE when the freeze was over before its registers were saved. */
static BOOLEAN FreezeTargetExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  PKPRCB Self = KeGetCurrentPrcb();
  KiSaveProcessorState(TrapFrame, ExceptionFrame);
  if (!ChangeState(Self, IPI_FROZEN_STATE_TARGET_FREEZE, IPI_FROZEN_STATE_FROZEN)) {
    KiRestoreProcessorControlState(&Self->ProcessorState);
    return FALSE;
  }
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
  return TRUE;
}

BOOLEAN KiFreezeInterrupt(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  PKPRCB Self = KeGetCurrentPrcb();
  /* Again when a freeze began in between: it counts on the NMI that we are in. */
  do {
    if (Self->IpiFrozen == IPI_FROZEN_STATE_TARGET_FREEZE && FreezeTargetExecution(TrapFrame, ExceptionFrame))
      return TRUE;
    if (InterlockedExchange(&NmiOwed[Self->Number], 0)) return TRUE;
  } while (Self->IpiFrozen == IPI_FROZEN_STATE_TARGET_FREEZE);
  return FALSE;
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
