/*
 * interrupt.c: hardware interrupts: clock, inter-processor, console, dispatch. Interrupts stay off in all of them but
 * the dispatch interrupt, which runs at DISPATCH_LEVEL with the others let in.
 */
#include "ki.h"

volatile KSYSTEM_TIME KeTickCount;
ULONG KeMaximumIncrement = 156250; /* 100 ns per tick: 64 ticks a second */
static KDPC TimerDpc;
static ULONG UnexpectedInterrupts;

typedef struct _IPI_CALL {
  KIPI_BROADCAST_WORKER *Worker;
  ULONG_PTR Context;
  volatile LONG Arriving, Running; /* processors that have not come yet; that are not done yet */
} IPI_CALL;
static IPI_CALL *volatile CurrentCall;
static KSPIN_LOCK IpiLock;

static VOID WriteTime(volatile KSYSTEM_TIME *Time, ULONG64 Value)
{
  Time->High2Time = (LONG)(Value >> 32);
  KeCompilerBarrier();
  Time->LowPart = (ULONG)Value;
  KeCompilerBarrier();
  Time->High1Time = (LONG)(Value >> 32);
}

VOID KiSetTime(VOID)
{
  ULONG64 Ticks = ((ULONG64)KeTickCount.High1Time << 32 | KeTickCount.LowPart) + 1;
  WriteTime(&KeTickCount, Ticks);
  WriteTime(&SharedUserData->TickCount, Ticks);
  SharedUserData->TickCountLowDeprecated = (ULONG)Ticks;
  WriteTime(&SharedUserData->InterruptTime, Ticks * KeMaximumIncrement);
  WriteTime(&SharedUserData->SystemTime, HalpBootSystemTime + Ticks * KeMaximumIncrement);
}

static VOID TimerExpiration(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
  UNREFERENCED_PARAMETER(Dpc);
  UNREFERENCED_PARAMETER(Context);
  UNREFERENCED_PARAMETER(Argument1);
  UNREFERENCED_PARAMETER(Argument2);
  KiExpireTimers();
}

VOID KiClockInterrupt(PKTRAP_FRAME TrapFrame)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  PKTHREAD Thread = Prcb->CurrentThread;
  Prcb->ClockTicks++;
  if (TrapFrame->SegCs & RPL_MASK) {
    Prcb->UserTime++;
    Thread->UserTime++;
  } else if (Thread == Prcb->IdleThread) {
    Prcb->IdleTime++;
  } else {
    Prcb->KernelTime++;
    Thread->KernelTime++;
  }
  if (Prcb->ClockOwner) {
    KiSetTime();
    if (!TimerDpc.DeferredRoutine) KeInitializeDpc(&TimerDpc, TimerExpiration, NULL);
    KeInsertQueueDpc(&TimerDpc, NULL, NULL);
  }
  if (Thread->QuantumLeft > 0) Thread->QuantumLeft--;
  if (Thread->QuantumLeft == 0 && Thread != Prcb->IdleThread) {
    Prcb->QuantumEnd = TRUE;
    KiRequestDispatchInterrupt(Prcb);
  }
}

VOID KiIpiService(VOID)
{
  IPI_CALL *Call = CurrentCall;
  if (!Call) return;
  InterlockedDecrement(&Call->Arriving);
  while (Call->Arriving > 0) YieldProcessor();
  Call->Worker(Call->Context);
  InterlockedDecrement(&Call->Running);
}

/*
 * Runs Worker on every processor at IPI_LEVEL, on none before all have come, and returns when all have. The caller holds
 * no lock that is taken with interrupts off; a processor that waits here for its turn keeps answering others, as its
 * interrupts are on.
 */
ULONG_PTR KeIpiGenericCall(KIPI_BROADCAST_WORKER *Worker, ULONG_PTR Context)
{
  KIRQL Irql = KfRaiseIrql(max(KeGetCurrentIrql(), DISPATCH_LEVEL));
  KiAcquireSpinLock(&IpiLock);
  PKPRCB Self = KeGetCurrentPrcb();
  LONG Count = (LONG)KeNumberProcessors;
  IPI_CALL Call = {Worker, Context, Count, Count};
  CurrentCall = &Call;
  KeMemoryBarrier();
  for (LONG I = 0; I < Count; I++)
    if (KiProcessorBlock[I] != Self) HalpSendIpi(KiProcessorBlock[I]->InitialApicId, APIC_FIXED | IPI_VECTOR);
  while (Call.Arriving > 1) YieldProcessor();
  KIRQL Before = KfRaiseIrql(IPI_LEVEL);
  InterlockedDecrement(&Call.Arriving);
  ULONG_PTR Result = Worker(Context);
  InterlockedDecrement(&Call.Running);
  while (Call.Running > 0) YieldProcessor();
  CurrentCall = NULL;
  KeLowerIrql(Before);
  KiReleaseSpinLock(&IpiLock);
  KeLowerIrql(Irql);
  return Result;
}

static ULONG_PTR FlushWorker(ULONG_PTR Context)
{
  KiWriteCr3(KiReadCr3());
  return Context;
}

VOID KeFlushEntireTb(VOID)
{
  if (KeNumberProcessors > 1)
    KeIpiGenericCall(FlushWorker, 0);
  else
    FlushWorker(0);
}

VOID KiHandleInterrupt(PKTRAP_FRAME TrapFrame, ULONG Vector)
{
  KIRQL Irql = KeGetCurrentIrql();
  TrapFrame->PreviousIrql = Irql;
  KeGetCurrentPrcb()->InterruptCount++;
  if (Vector == DISPATCH_VECTOR) {
    KiWriteCr8(DISPATCH_LEVEL);
    HalpEndOfInterrupt();
    KiDispatchInterrupt();
    KiWriteCr8(Irql);
    return;
  }
  if (Vector == SPURIOUS_VECTOR) return; /* takes no end-of-interrupt */
  KiWriteCr8(Vector >> 4);
  KeGetCurrentPrcb()->NestingLevel++;
  switch (Vector) {
  case CLOCK_VECTOR: {
    KiClockInterrupt(TrapFrame);
    HalpEndOfInterrupt();
    if (KeGetCurrentPrcb()->ClockOwner) KdCheckForDebugBreak();
    break;
  }
  case IPI_VECTOR:
    KiIpiService();
    HalpEndOfInterrupt();
    break;
  case CONSOLE_VECTOR:
    HalpConsoleInterruptService();
    HalpEndOfInterrupt();
    break;
  default:
    UnexpectedInterrupts++;
    HalpEndOfInterrupt();
    break;
  }
  KeGetCurrentPrcb()->NestingLevel--;
  KiWriteCr8(Irql);
}
