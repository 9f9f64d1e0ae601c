/*
 * sched.c: which thread runs where. Round robin within 32 priorities, one ready queue set for all processors.
 *
 * Invariant: KiDispatcherLock, taken with interrupts off, guards every thread state, queue and wait list. It is held
 * across KiSwapContext and released by the thread that comes out of it, so no processor can run a thread whose
 * registers are still in another one.
 */
#include "ki.h"

#define QUANTUM_TICKS 2

KSPIN_LOCK KiDispatcherLock;
LIST_ENTRY KiDispatcherReadyListHead[32];
static BOOLEAN ReadyListsReady;

BOOLEAN KiLockDispatcher(VOID)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  KiAcquireSpinLock(&KiDispatcherLock);
  return Enabled;
}

VOID KiUnlockDispatcher(BOOLEAN Enabled)
{
  KiReleaseSpinLock(&KiDispatcherLock);
  if (Enabled) KiEnableInterrupts();
}

VOID KiRequestDispatchInterrupt(PKPRCB Prcb)
{
  Prcb->DispatchRequested = TRUE;
  HalpSendIpi(Prcb->InitialApicId, APIC_FIXED | DISPATCH_VECTOR);
}

static VOID QueueReady(PKTHREAD Thread)
{
  Thread->State = Ready;
  InsertTailList(&KiDispatcherReadyListHead[Thread->Priority & 31], &Thread->WaitListEntry);
}

/* Lock held. Puts the thread in the queue and interrupts a processor that should run it. */
VOID KiReadyThread(PKTHREAD Thread, KPRIORITY Increment)
{
  UNREFERENCED_PARAMETER(Increment);
  if (!ReadyListsReady) {
    for (ULONG I = 0; I < 32; I++) InitializeListHead(&KiDispatcherReadyListHead[I]);
    ReadyListsReady = TRUE;
  }
  QueueReady(Thread);
  PKPRCB Weakest = NULL;
  for (ULONG I = 0; I < KeNumberProcessors; I++) {
    PKPRCB Prcb = KiProcessorBlock[I];
    if (!Prcb || !(Thread->Affinity & (1ull << I)) || Prcb->DispatchRequested) continue;
    KPRIORITY Running = Prcb->CurrentThread == Prcb->IdleThread ? -1 : Prcb->CurrentThread->Priority;
    if (Running >= Thread->Priority) continue;
    KPRIORITY Best = !Weakest ? 32 : Weakest->CurrentThread == Weakest->IdleThread ? -1 : Weakest->CurrentThread->Priority;
    if (Running < Best) Weakest = Prcb;
  }
  if (Weakest) KiRequestDispatchInterrupt(Weakest);
}

static PKTHREAD SelectThread(PKPRCB Prcb, KPRIORITY AtLeast)
{
  if (!ReadyListsReady) return NULL;
  for (KPRIORITY Priority = 31; Priority >= AtLeast; Priority--) {
    PLIST_ENTRY Head = &KiDispatcherReadyListHead[Priority];
    for (PLIST_ENTRY Link = Head->Flink; Link != Head; Link = Link->Flink) {
      PKTHREAD Thread = CONTAINING_RECORD(Link, KTHREAD, WaitListEntry);
      if (!(Thread->Affinity & (1ull << Prcb->Number))) continue;
      RemoveEntryList(Link);
      return Thread;
    }
  }
  return NULL;
}

static VOID SwitchTo(PKPRCB Prcb, PKTHREAD New)
{
  PKTHREAD Old = Prcb->CurrentThread;
  PKPCR Pcr = CONTAINING_RECORD(Prcb, KPCR, Prcb);
  KIRQL Irql = KeGetCurrentIrql();
  ULONG64 Cr3 = New->ApcState.Process->DirectoryTableBase;
  New->State = Running;
  New->NextProcessor = Prcb->Number;
  New->QuantumLeft = QUANTUM_TICKS;
  New->ContextSwitches++;
  Old->Running = FALSE;
  New->Running = TRUE;
  Prcb->KeContextSwitches++;
  Prcb->CurrentThread = New;
  Prcb->RspBase = (ULONG64)New->InitialStack;
  Pcr->TssBase->Rsp0 = (ULONG64)New->InitialStack;
  if (New->Teb) KiWriteMsr(MSR_GS_SWAP, (ULONG64)New->Teb);
  __asm__ volatile("fxsave (%0)" ::"r"(Old->StateSaveArea) : "memory");
  __asm__ volatile("fxrstor (%0)" ::"r"(New->StateSaveArea) : "memory");
  if (KiReadCr3() != Cr3) KiWriteCr3(Cr3);
  KiSwapContext(Old, New);
  KiWriteCr8(Irql); /* this thread is back, maybe on another processor */
}

/* Lock held, interrupts off; the current thread's state says where it goes (it is in no queue unless Waiting). */
VOID KiSwapThread(VOID)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  PKTHREAD New = SelectThread(Prcb, 0);
  SwitchTo(Prcb, New ? New : Prcb->IdleThread);
}

/* DISPATCH_VECTOR: deferred calls, then the end of a quantum or a better thread. */
VOID KiDispatchInterrupt(VOID)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  KiEnableInterrupts();
  KiRetireDpcList(Prcb);
  KiDisableInterrupts();
  KiAcquireSpinLock(&KiDispatcherLock);
  PKTHREAD Current = Prcb->CurrentThread;
  BOOLEAN Idle = Current == Prcb->IdleThread;
  Prcb->DispatchRequested = FALSE;
  KPRIORITY AtLeast = Idle ? 0 : Prcb->QuantumEnd ? Current->Priority : Current->Priority + 1;
  Prcb->QuantumEnd = FALSE;
  Current->QuantumLeft = QUANTUM_TICKS;
  PKTHREAD New = SelectThread(Prcb, AtLeast);
  if (New) {
    if (Idle)
      Current->State = Ready;
    else
      QueueReady(Current);
    SwitchTo(Prcb, New);
  }
  KiReleaseSpinLock(&KiDispatcherLock);
}

/* A new thread arrives here from KiThreadStartup with the lock held. */
VOID KiStartThread(VOID)
{
  PETHREAD Thread = (PETHREAD)KeGetCurrentThread();
  KiReleaseSpinLock(&KiDispatcherLock);
  KiWriteCr8(PASSIVE_LEVEL);
  KiEnableInterrupts();
  ((KSTART_ROUTINE *)Thread->StartAddress)(Thread->StartContext);
  PspExitThread(STATUS_SUCCESS);
}

VOID KiIdleLoop(VOID)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  KiWriteCr8(PASSIVE_LEVEL);
  KiRequestDispatchInterrupt(Prcb); /* threads may have become ready before we could run them */
  for (;;) {
    Prcb->IdleHalt = TRUE;
    KiIdleHalt();
    Prcb->IdleHalt = FALSE;
  }
}

VOID KiInitializeThread(PETHREAD Thread, PEPROCESS Process, PVOID StackTop, PVOID StartRoutine, PVOID StartContext)
{
  PKTHREAD Tcb = &Thread->Tcb;
  Tcb->Header.Type = ThreadObject;
  Tcb->Header.Size = sizeof(KTHREAD) / sizeof(ULONG);
  InitializeListHead(&Tcb->Header.WaitListHead);
  Tcb->State = Initialized;
  Tcb->Priority = 8;
  Tcb->Affinity = ~0ull;
  Tcb->QuantumLeft = QUANTUM_TICKS;
  Tcb->Process = &Process->Pcb;
  Tcb->ApcState.Process = &Process->Pcb;
  InitializeListHead(&Tcb->ApcState.ApcListHead[0]);
  InitializeListHead(&Tcb->ApcState.ApcListHead[1]);
  Tcb->StackBase = StackTop;
  Tcb->StackLimit = (PUCHAR)StackTop - KERNEL_STACK_PAGES * PAGE_SIZE;
  Tcb->StateSaveArea = (PXMM_SAVE_AREA32)((PUCHAR)StackTop - sizeof(XMM_SAVE_AREA32));
  Tcb->StateSaveArea->ControlWord = 0x27F;
  Tcb->StateSaveArea->MxCsr = 0x1F80;
  Tcb->InitialStack = Tcb->StateSaveArea;
  Thread->StartAddress = StartRoutine;
  Thread->StartContext = StartContext;
  /* As if KiSwapContext had been called from KiThreadStartup, whose own caller is 0. */
  PULONG64 Top = (PULONG64)Tcb->InitialStack - 5; /* 8 below a multiple of 16, as at every function's entry */
  Top[0] = 0;
  PKSWITCH_FRAME Frame = (PKSWITCH_FRAME)((PUCHAR)Top - sizeof(KSWITCH_FRAME));
  RtlZeroMemory(Frame, sizeof(*Frame));
  Frame->Return = (ULONG64)KiThreadStartup;
  Tcb->KernelStack = Frame;
}

VOID KeAttachProcess(PKPROCESS Process)
{
  BOOLEAN Enabled = KiLockDispatcher();
  KeGetCurrentThread()->ApcState.Process = Process;
  KiWriteCr3(Process->DirectoryTableBase);
  KiUnlockDispatcher(Enabled);
}

VOID KeDetachProcess(VOID) { KeAttachProcess(KeGetCurrentThread()->Process); }
