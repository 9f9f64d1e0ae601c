/*
 * phase1.c: the first system thread: the other processors, drivers, the user process, the console.
 */
#include "ki.h"

static VOID StartThread(KSTART_ROUTINE *Routine, PCSTR Name)
{
  NTSTATUS Status = PspCreateThread(PsInitialSystemProcess, Routine, NULL, Name, ~0ull, NULL);
  if (!NT_SUCCESS(Status)) KeBugCheckEx(PHASE1_INITIALIZATION_FAILED, 2, (ULONG_PTR)(LONG64)Status, 0, 0);
}

VOID Phase1Initialization(PVOID Context)
{
  UNREFERENCED_PARAMETER(Context);
  KeStartAllProcessors();
  StartThread(PspReaper, "PspReaper");
  KdInitSystem(1, KeLoaderBlock);
  ConsolePrint("%lu processor%s, TSC %lu MHz\n", KeNumberProcessors, KeNumberProcessors == 1 ? "" : "s",
               (ULONG)(HalpTscFrequency / 1000000));
  IopInitializeBootDrivers();
  NTSTATUS Status = PspCreateUserProcess("vmkuser.exe", &PspUserProcess);
  if (NT_SUCCESS(Status))
    ConsolePrint("process %s: pid %lu, DTB %llx\n", (PCSTR)PspUserProcess->ImageFileName,
                 (ULONG)(ULONG_PTR)PspUserProcess->UniqueProcessId, PspUserProcess->Pcb.DirectoryTableBase);
  else
    ConsolePrint("no user process: %08lx\n", (ULONG)Status);
  StartThread(ConsoleThread, "ConsoleThread");
}
