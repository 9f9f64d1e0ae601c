/*
 * syscall.c: system services. User pointers are probed and touched only through ProbeAndWrite.
 */
#include "ki.h"
#include "usersvc.h"

ULONG PspUserSystemCalls;

typedef NTSTATUS SERVICE(ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4);

/* The whole range is user memory and present (after touching it in); another thread cannot unmap it: none can. */
static NTSTATUS ProbeAndWrite(ULONG_PTR To, ULONG64 Value)
{
  if (To >= MM_USER_PROBE_ADDRESS - 8 || (To & 7)) return STATUS_ACCESS_VIOLATION;
  ULONG64 Pte = MiReadPte(To), Want = PTE_PRESENT | PTE_USER | PTE_WRITE;
  if ((Pte & Want) != Want) return STATUS_ACCESS_VIOLATION;
  *(volatile ULONG64 *)To = Value;
  return STATUS_SUCCESS;
}

static NTSTATUS ProbeAndRead(ULONG_PTR From, PULONG64 Value)
{
  if (From >= MM_USER_PROBE_ADDRESS - 8 || (From & 7)) return STATUS_ACCESS_VIOLATION;
  ULONG64 Pte = MiReadPte(From), Want = PTE_PRESENT | PTE_USER;
  if ((Pte & Want) != Want) return STATUS_ACCESS_VIOLATION;
  *Value = *(volatile ULONG64 *)From;
  return STATUS_SUCCESS;
}

static NTSTATUS NtTerminateProcess(ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4)
{
  UNREFERENCED_PARAMETER(P1);
  UNREFERENCED_PARAMETER(P3);
  UNREFERENCED_PARAMETER(P4);
  PspExitThread((NTSTATUS)P2); /* processes here have one thread */
}

static NTSTATUS NtQueryPerformanceCounter(ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4)
{
  UNREFERENCED_PARAMETER(P3);
  UNREFERENCED_PARAMETER(P4);
  LARGE_INTEGER Frequency;
  LARGE_INTEGER Counter = KeQueryPerformanceCounter(&Frequency);
  NTSTATUS Status = ProbeAndWrite(P1, (ULONG64)Counter.QuadPart);
  return NT_SUCCESS(Status) && P2 ? ProbeAndWrite(P2, (ULONG64)Frequency.QuadPart) : Status;
}

static NTSTATUS NtDelayExecution(ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4)
{
  UNREFERENCED_PARAMETER(P3);
  UNREFERENCED_PARAMETER(P4);
  LARGE_INTEGER Interval;
  ULONG64 Value;
  NTSTATUS Status = ProbeAndRead(P2, &Value);
  if (!NT_SUCCESS(Status)) return Status;
  Interval.QuadPart = (LONG64)Value;
  return KeDelayExecutionThread(UserMode, P1 != 0, &Interval);
}

static NTSTATUS NtYieldExecution(ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4)
{
  UNREFERENCED_PARAMETER(P1);
  UNREFERENCED_PARAMETER(P2);
  UNREFERENCED_PARAMETER(P3);
  UNREFERENCED_PARAMETER(P4);
  KeGetCurrentPrcb()->QuantumEnd = TRUE;
  KiRequestDispatchInterrupt(KeGetCurrentPrcb());
  return STATUS_SUCCESS;
}

static NTSTATUS NtQuerySystemTime(ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4)
{
  UNREFERENCED_PARAMETER(P2);
  UNREFERENCED_PARAMETER(P3);
  UNREFERENCED_PARAMETER(P4);
  LARGE_INTEGER Time;
  KeQuerySystemTime(&Time);
  return ProbeAndWrite(P1, (ULONG64)Time.QuadPart);
}

static SERVICE *const KiServiceTable[SERVICE_LIMIT] = {
    [SERVICE_NtTerminateProcess] = NtTerminateProcess,
    [SERVICE_NtQueryPerformanceCounter] = NtQueryPerformanceCounter,
    [SERVICE_NtDelayExecution] = NtDelayExecution,
    [SERVICE_NtYieldExecution] = NtYieldExecution,
    [SERVICE_NtQuerySystemTime] = NtQuerySystemTime,
};

VOID KiSystemService(PKTRAP_FRAME TrapFrame)
{
  PKTHREAD Thread = KeGetCurrentThread();
  ULONG Number = (ULONG)TrapFrame->Rax;
  TrapFrame->TrapFrame = (ULONG64)Thread->TrapFrame;
  Thread->TrapFrame = TrapFrame;
  Thread->SystemCallNumber = Number;
  Thread->FirstArgument = (PVOID)TrapFrame->R10;
  Thread->PreviousMode = UserMode;
  KeGetCurrentPrcb()->KeSystemCalls++;
  __sync_fetch_and_add(&PspUserSystemCalls, 1);
  SERVICE *Service = Number < SERVICE_LIMIT ? KiServiceTable[Number] : NULL;
  TrapFrame->Rax = (ULONG64)(LONG64)(Service ? Service(TrapFrame->R10, TrapFrame->Rdx, TrapFrame->R8, TrapFrame->R9)
                                             : STATUS_INVALID_SYSTEM_SERVICE);
  Thread->TrapFrame = (PKTRAP_FRAME)TrapFrame->TrapFrame;
}
