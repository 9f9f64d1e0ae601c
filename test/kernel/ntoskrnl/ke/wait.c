/*
 * wait.c: events, waits, delays and deferred procedure calls.
 */
#include "ki.h"

static LIST_ENTRY TimerList = {&TimerList, &TimerList};

VOID KeInitializeEvent(PKEVENT Event, EVENT_TYPE Type, BOOLEAN State)
{
  Event->Header = (DISPATCHER_HEADER){.Type = (UCHAR)Type, .Size = sizeof(KEVENT) / 4, .SignalState = State};
  InitializeListHead(&Event->Header.WaitListHead);
}

/* Lock held. The thread leaves whatever it waits in, and is ready. */
VOID KiUnwaitThread(PKTHREAD Thread, LONG_PTR WaitStatus)
{
  if (Thread->WaitObject) RemoveEntryList(&Thread->WaitListEntry);
  if (Thread->DueTime) RemoveEntryList(&Thread->TimerListEntry);
  Thread->WaitObject = NULL;
  Thread->DueTime = 0;
  Thread->WaitStatus = WaitStatus;
  KiReadyThread(Thread, 0);
}

static BOOLEAN TakeSignal(PDISPATCHER_HEADER Header)
{
  if (Header->SignalState <= 0) return FALSE;
  if (Header->Type == EventSynchronizationObject) Header->SignalState = 0;
  return TRUE;
}

/* Lock held. Wakes waiters while the object is signalled. */
static VOID WakeWaiters(PDISPATCHER_HEADER Header)
{
  while (!IsListEmpty(&Header->WaitListHead) && TakeSignal(Header))
    KiUnwaitThread(CONTAINING_RECORD(Header->WaitListHead.Flink, KTHREAD, WaitListEntry), STATUS_WAIT_0);
}

/* For objects that are signalled for good, and for events. */
VOID KiSignalObject(PDISPATCHER_HEADER Header)
{
  Header->SignalState = 1;
  WakeWaiters(Header);
}

LONG KeSetEvent(PKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
  UNREFERENCED_PARAMETER(Increment);
  UNREFERENCED_PARAMETER(Wait);
  BOOLEAN Enabled = KiLockDispatcher();
  LONG Old = Event->Header.SignalState;
  KiSignalObject(&Event->Header);
  KiUnlockDispatcher(Enabled);
  return Old;
}

LONG KeResetEvent(PKEVENT Event)
{
  BOOLEAN Enabled = KiLockDispatcher();
  LONG Old = Event->Header.SignalState;
  Event->Header.SignalState = 0;
  KiUnlockDispatcher(Enabled);
  return Old;
}

VOID KeClearEvent(PKEVENT Event) { KeResetEvent(Event); }
LONG KeReadStateEvent(PKEVENT Event) { return Event->Header.SignalState; }

static ULONG64 Ticks(VOID) { return (ULONG64)KeTickCount.High1Time << 32 | KeTickCount.LowPart; }

/* Timeout: null = for ever; negative = 100 ns from now; positive = system time; zero = do not wait. */
static ULONG64 DueTick(PLARGE_INTEGER Timeout)
{
  LONG64 Due = Timeout->QuadPart;
  if (Due >= 0) {
    LONG64 Now = (LONG64)(HalpBootSystemTime + Ticks() * KeMaximumIncrement);
    Due = Due > Now ? Now - Due : -1;
  }
  return Ticks() + ((ULONG64)-Due + KeMaximumIncrement - 1) / KeMaximumIncrement + 1;
}

static NTSTATUS WaitLocked(PDISPATCHER_HEADER Header, UCHAR Reason, KPROCESSOR_MODE Mode, PLARGE_INTEGER Timeout,
                           BOOLEAN Enabled)
{
  PKTHREAD Thread = KeGetCurrentThread();
  Thread->State = Waiting;
  Thread->WaitReason = Reason;
  Thread->WaitMode = Mode;
  Thread->WaitIrql = KeGetCurrentIrql();
  Thread->WaitObject = Header;
  Thread->DueTime = 0;
  if (Header) InsertTailList(&Header->WaitListHead, &Thread->WaitListEntry);
  if (Timeout) {
    Thread->DueTime = DueTick(Timeout);
    InsertTailList(&TimerList, &Thread->TimerListEntry);
  }
  KiSwapThread();
  NTSTATUS Status = (NTSTATUS)Thread->WaitStatus;
  KiUnlockDispatcher(Enabled);
  return Status;
}

NTSTATUS KeWaitForSingleObject(PVOID Object, ULONG WaitReason, KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
                               PLARGE_INTEGER Timeout)
{
  PDISPATCHER_HEADER Header = Object;
  UNREFERENCED_PARAMETER(Alertable);
  BOOLEAN Enabled = KiLockDispatcher();
  BOOLEAN Signalled = TakeSignal(Header);
  if (Signalled || (Timeout && Timeout->QuadPart == 0)) {
    KiUnlockDispatcher(Enabled);
    return Signalled ? STATUS_WAIT_0 : STATUS_TIMEOUT;
  }
  return WaitLocked(Header, (UCHAR)WaitReason, WaitMode, Timeout, Enabled);
}

NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable, PLARGE_INTEGER Interval)
{
  UNREFERENCED_PARAMETER(Alertable);
  NTSTATUS Status = WaitLocked(NULL, DelayExecution, WaitMode, Interval, KiLockDispatcher());
  return Status == STATUS_TIMEOUT ? STATUS_SUCCESS : Status;
}

/* Deferred call of the clock, processor 0. */
VOID KiExpireTimers(VOID)
{
  BOOLEAN Enabled = KiLockDispatcher();
  ULONG64 Now = Ticks();
  for (PLIST_ENTRY Link = TimerList.Flink, Next; Link != &TimerList; Link = Next) {
    PKTHREAD Thread = CONTAINING_RECORD(Link, KTHREAD, TimerListEntry);
    Next = Link->Flink;
    if (Thread->DueTime <= Now) KiUnwaitThread(Thread, STATUS_TIMEOUT);
  }
  KiUnlockDispatcher(Enabled);
}

VOID KeInitializeDpc(PKDPC Dpc, KDEFERRED_ROUTINE *Routine, PVOID Context)
{
  *Dpc = (KDPC){.Type = 19, .DeferredRoutine = Routine, .DeferredContext = Context};
}

BOOLEAN KeInsertQueueDpc(PKDPC Dpc, PVOID Argument1, PVOID Argument2)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  PKPRCB Prcb = KeGetCurrentPrcb();
  KiAcquireSpinLock(&Prcb->DpcLock);
  BOOLEAN Inserted = Dpc->DpcData == NULL;
  if (Inserted) {
    Dpc->DpcData = Prcb;
    Dpc->Number = (USHORT)Prcb->Number;
    Dpc->SystemArgument1 = Argument1;
    Dpc->SystemArgument2 = Argument2;
    InsertTailList(&Prcb->DpcListHead, &Dpc->DpcListEntry);
  }
  KiReleaseSpinLock(&Prcb->DpcLock);
  if (Inserted) HalpSendIpi(Prcb->InitialApicId, APIC_FIXED | DISPATCH_VECTOR);
  if (Enabled) KiEnableInterrupts();
  return Inserted;
}

VOID KiRetireDpcList(PKPRCB Prcb)
{
  for (;;) {
    KiDisableInterrupts();
    KiAcquireSpinLock(&Prcb->DpcLock);
    if (IsListEmpty(&Prcb->DpcListHead)) break;
    PKDPC Dpc = CONTAINING_RECORD(RemoveHeadList(&Prcb->DpcListHead), KDPC, DpcListEntry);
    KDPC Copy = *Dpc;
    Dpc->DpcData = NULL;
    Prcb->DpcRoutineActive = TRUE;
    Prcb->DpcCount++;
    KiReleaseSpinLock(&Prcb->DpcLock);
    KiEnableInterrupts();
    Copy.DeferredRoutine(Dpc, Copy.DeferredContext, Copy.SystemArgument1, Copy.SystemArgument2);
  }
  Prcb->DpcRoutineActive = FALSE;
  KiReleaseSpinLock(&Prcb->DpcLock);
  KiEnableInterrupts();
}

/* Timers for drivers are not offered; they use threads with KeDelayExecutionThread. */
