/*
 * main.c: vmkuser.exe: a program in ring 3. It computes, asks the kernel for the time, lets its stack grow over the
 * guard page, and sleeps; twenty rounds a second, for ever.
 */
#include "nt.h"

NTSTATUS NtTerminateProcess(HANDLE Process, NTSTATUS Status);
NTSTATUS NtQueryPerformanceCounter(PLARGE_INTEGER Counter, PLARGE_INTEGER Frequency);
NTSTATUS NtDelayExecution(BOOLEAN Alertable, PLARGE_INTEGER Interval);
NTSTATUS NtYieldExecution(VOID);
NTSTATUS NtQuerySystemTime(PLARGE_INTEGER Time);

typedef struct _USER_ROUND {
  ULONG64 Number;
  LARGE_INTEGER Time;
  LARGE_INTEGER Counter;
  ULONG Collatz;
  double Average;
} USER_ROUND;

int _fltused;
USER_ROUND UserRounds[8];
volatile ULONG64 UserCounter;
__declspec(dllexport) volatile ULONG UserFault; /* set by the kernel's console */

static DECLSPEC_NOINLINE ULONG Collatz(ULONG64 N)
{
  ULONG Steps = 0;
  for (; N > 1; Steps++) N = N & 1 ? 3 * N + 1 : N / 2;
  return Steps;
}

static DECLSPEC_NOINLINE ULONG GrowStack(ULONG Depth)
{
  volatile UCHAR Room[1024];
  Room[0] = (UCHAR)Depth;
  return Depth ? GrowStack(Depth - 1) + Room[0] : 0;
}

static DECLSPEC_NOINLINE VOID MakeFault(VOID)
{
  ULONG Kind = UserFault;
  UserFault = 0;
  if (Kind == 1) *(volatile ULONG *)0x10 = 0xDEAD;
  if (Kind == 2) __asm__ volatile("hlt");
  if (Kind == 3) __asm__ volatile("int3");
}

static DECLSPEC_NOINLINE VOID UserRound(ULONG64 Number)
{
  USER_ROUND *Round = &UserRounds[Number % RTL_NUMBER_OF(UserRounds)];
  LARGE_INTEGER Frequency;
  Round->Number = Number;
  NtQuerySystemTime(&Round->Time);
  NtQueryPerformanceCounter(&Round->Counter, &Frequency);
  Round->Collatz = Collatz(Number + 27);
  Round->Average = Number ? (UserRounds[(Number - 1) % RTL_NUMBER_OF(UserRounds)].Average * 7.0 + Round->Collatz) / 8.0
                          : (double)Round->Collatz;
  UserCounter = Number;
}

VOID UserStart(PPEB Peb, ULONG Processors)
{
  LARGE_INTEGER Interval = {.QuadPart = -500000}; /* 50 ms */
  UNREFERENCED_PARAMETER(Peb);
  UNREFERENCED_PARAMETER(Processors);
  GrowStack(20);
  for (ULONG64 Number = 0;; Number++) {
    UserRound(Number);
    MakeFault();
    NtYieldExecution();
    NtDelayExecution(FALSE, &Interval);
  }
}
