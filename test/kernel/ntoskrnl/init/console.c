/*
 * console.c: commands over COM2, one line in, one line out:
 *
 *   = text    the answer
 *   ! text    the command failed
 *
 * Any other line is the kernel's log. Commands are served by a system thread, so they need no debugger; while one has
 * the machine stopped they wait.
 */
#include "commands.h"
#include "kd.h"

ULONG64 ConsoleNumber(PCSTR *Text, ULONG64 Default)
{
  PCSTR At = *Text;
  while (*At == ' ') At++;
  if (*At < '0' || *At > '9') return Default;
  ULONG64 Value = 0, Base = 10;
  if (At[0] == '0' && (At[1] | 32) == 'x') {
    Base = 16;
    At += 2;
  }
  for (;; At++) {
    ULONG64 Digit = *At >= '0' && *At <= '9' ? (ULONG64)(*At - '0')
                    : (*At | 32) >= 'a' && (*At | 32) <= 'f' ? (ULONG64)((*At | 32) - 'a' + 10)
                                                             : 99;
    if (Digit >= Base) break;
    Value = Value * Base + Digit;
  }
  *Text = At;
  return Value;
}

BOOLEAN ConsoleStatus(NTSTATUS Status, PCHAR Answer, ULONG Size, PCSTR Done)
{
  if (NT_SUCCESS(Status))
    RtlPrint(Answer, Size, "%s", Done);
  else
    RtlPrint(Answer, Size, "status %08lx", (ULONG)Status);
  return NT_SUCCESS(Status);
}

#define COMMAND(name) static BOOLEAN name(PCSTR Arguments, PCHAR Answer, ULONG Size)

COMMAND(Ticks)
{
  UNREFERENCED_PARAMETER(Arguments);
  RtlPrint(Answer, Size, "%llu", SharedUserData->TickCountQuad);
  return TRUE;
}

COMMAND(Version)
{
  UNREFERENCED_PARAMETER(Arguments);
  RtlPrint(Answer, Size, "%s base %p", NtBuildLab, PsNtosImageBase);
  return TRUE;
}

COMMAND(Processors)
{
  ULONG At = 0;
  UNREFERENCED_PARAMETER(Arguments);
  for (ULONG I = 0; I < KeNumberProcessors; I++) {
    PKPRCB Prcb = KiProcessorBlock[I];
    At += (ULONG)RtlPrint(Answer + At, Size - At, "%scpu%lu ticks %lu interrupts %lu switches %lu dpcs %lu", I ? "; " : "", I,
                          Prcb->ClockTicks, Prcb->InterruptCount, Prcb->KeContextSwitches, Prcb->DpcCount);
  }
  return TRUE;
}

COMMAND(Modules)
{
  ULONG At = 0;
  UNREFERENCED_PARAMETER(Arguments);
  for (PLIST_ENTRY Link = PsLoadedModuleList.Flink; Link != &PsLoadedModuleList; Link = Link->Flink) {
    PKLDR_DATA_TABLE_ENTRY Entry = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    At += (ULONG)RtlPrint(Answer + At, Size - At, "%s%ls %p %lx", At ? "; " : "", Entry->BaseDllName.Buffer,
                          Entry->DllBase, Entry->SizeOfImage);
  }
  return TRUE;
}

COMMAND(Processes)
{
  ULONG At = 0;
  UNREFERENCED_PARAMETER(Arguments);
  for (PLIST_ENTRY Link = PsActiveProcessHead.Flink; Link != &PsActiveProcessHead; Link = Link->Flink) {
    PEPROCESS Process = CONTAINING_RECORD(Link, EPROCESS, ActiveProcessLinks);
    At += (ULONG)RtlPrint(Answer + At, Size - At, "%s%s pid %lu dtb %llx eprocess %p threads %lu", At ? "; " : "",
                          (PCSTR)Process->ImageFileName, (ULONG)(ULONG_PTR)Process->UniqueProcessId,
                          Process->Pcb.DirectoryTableBase, Process, Process->ActiveThreads);
  }
  return TRUE;
}

COMMAND(User)
{
  UNREFERENCED_PARAMETER(Arguments);
  if (!PspUserProcess || IsListEmpty(&PspUserProcess->ThreadListHead)) {
    RtlPrint(Answer, Size, "no user process");
    return FALSE;
  }
  PETHREAD Thread = CONTAINING_RECORD(PspUserProcess->ThreadListHead.Flink, ETHREAD, ThreadListEntry);
  RtlPrint(Answer, Size, "%s pid %lu dtb %llx base %p peb %p teb %p syscalls %lu ticks %lu", (PCSTR)PspUserProcess->ImageFileName,
           (ULONG)(ULONG_PTR)PspUserProcess->UniqueProcessId, PspUserProcess->Pcb.DirectoryTableBase,
           PspUserProcess->SectionBaseAddress, PspUserProcess->Peb, Thread->Tcb.Teb, PspUserSystemCalls,
           Thread->Tcb.UserTime);
  return TRUE;
}

COMMAND(Memory)
{
  UNREFERENCED_PARAMETER(Arguments);
  RtlPrint(Answer, Size, "pages %llu available %llu window %llx ptes %llx", MmNumberOfPhysicalPages, MmAvailablePages,
           MmPhysicalWindow, MmPteBase);
  return TRUE;
}

COMMAND(Peek)
{
  ULONG64 Address = ConsoleNumber(&Arguments, 0), Value = 0;
  if (!NT_SUCCESS(MmDbgCopyMemory(Address, &Value, 8, 0))) {
    RtlPrint(Answer, Size, "%p is not readable", (PVOID)Address);
    return FALSE;
  }
  RtlPrint(Answer, Size, "%016llx", Value);
  return TRUE;
}

COMMAND(Physical)
{
  ULONG64 Address = ConsoleNumber(&Arguments, 0), Result;
  if (!MmDbgTranslate(Address, &Result, NULL)) {
    RtlPrint(Answer, Size, "%p is not present", (PVOID)Address);
    return FALSE;
  }
  RtlPrint(Answer, Size, "%llx", Result);
  return TRUE;
}

/* The return addresses from an interrupted spot up to the thread's start, by unwind data alone. */
COMMAND(Stack)
{
  CONTEXT Context;
  PVOID Frames[32];
  ULONG At = 0;
  UNREFERENCED_PARAMETER(Arguments);
  RtlCaptureContext(&Context);
  ULONG Count = RtlWalkFrameChain(Frames, RTL_NUMBER_OF(Frames), &Context);
  for (ULONG I = 0; I < Count; I++) At += (ULONG)RtlPrint(Answer + At, Size - At, "%s%p", I ? " " : "", Frames[I]);
  return TRUE;
}

COMMAND(Symbol)
{
  CHAR Module[48];
  ULONG I = 0;
  while (Arguments[I] && Arguments[I] != '!' && I < sizeof(Module) - 1) {
    Module[I] = Arguments[I];
    I++;
  }
  Module[I] = 0;
  PKLDR_DATA_TABLE_ENTRY Entry = LdrpFindModule(Module);
  ULONG64 Address = Entry && Arguments[I] ? LdrpExportOf(Entry, Arguments + I + 1) : 0;
  RtlPrint(Answer, Size, Address ? "%llx" : "no such export: say module.sys!Name", Address);
  return Address != 0;
}

COMMAND(Help);

static const CONSOLE_COMMAND Commands[] = {
    {"help", "help [COMMAND]: the commands", Help},
    {"ticks", "ticks: KeTickCount, 64 a second", Ticks},
    {"version", "version: NtBuildLab and the kernel's base", Version},
    {"cpus", "cpus: clock ticks, interrupts, context switches, DPCs of each processor", Processors},
    {"modules", "modules: name, base, size of PsLoadedModuleList", Modules},
    {"processes", "processes: name, pid, DTB, EPROCESS, threads of PsActiveProcessHead", Processes},
    {"user", "user: the user-mode process", User},
    {"memory", "memory: physical pages, the physical window, the page tables", Memory},
    {"peek", "peek ADDRESS: 8 bytes of kernel memory", Peek},
    {"physical", "physical ADDRESS: where a virtual address lies", Physical},
    {"stack", "stack: the console thread's own return addresses", Stack},
    {"export", "export MODULE!NAME: the address of an export", Symbol},
    {NULL, NULL, NULL},
};

static const CONSOLE_COMMAND *const Tables[] = {Commands, TroubleCommands};

static BOOLEAN Help(PCSTR Arguments, PCHAR Answer, ULONG Size)
{
  ULONG At = 0;
  for (ULONG T = 0; T < RTL_NUMBER_OF(Tables); T++)
    for (const CONSOLE_COMMAND *C = Tables[T]; C->Name; C++) {
      if (*Arguments && RtlEqualAnsi(Arguments, C->Name)) {
        RtlPrint(Answer, Size, "%s", C->Help);
        return TRUE;
      }
      At += (ULONG)RtlPrint(Answer + At, Size - At, "%s%s", At ? " " : "", C->Name);
    }
  for (const KD_CONSOLE_COMMAND *C = KdConsoleCommands; C->Name; C++) {
    if (*Arguments && RtlEqualAnsi(Arguments, C->Name)) {
      RtlPrint(Answer, Size, "%s", C->Help);
      return TRUE;
    }
    At += (ULONG)RtlPrint(Answer + At, Size - At, " %s", C->Name);
  }
  if (*Arguments) RtlPrint(Answer, Size, "no such command: %s", Arguments);
  return !*Arguments;
}

static BOOLEAN Execute(PCHAR Line, PCHAR Answer, ULONG Size)
{
  PCHAR Arguments = Line;
  while (*Arguments && *Arguments != ' ') Arguments++;
  if (*Arguments) *Arguments++ = 0;
  while (*Arguments == ' ') Arguments++;
  for (ULONG T = 0; T < RTL_NUMBER_OF(Tables); T++)
    for (const CONSOLE_COMMAND *C = Tables[T]; C->Name; C++)
      if (RtlEqualAnsi(Line, C->Name)) return C->Routine(Arguments, Answer, Size);
  for (const KD_CONSOLE_COMMAND *C = KdConsoleCommands; C->Name; C++)
    if (RtlEqualAnsi(Line, C->Name)) {
      C->Routine(Arguments, Answer, Size);
      return TRUE;
    }
  RtlPrint(Answer, Size, "no such command: %s (try help)", Line);
  return FALSE;
}

VOID ConsoleThread(PVOID Context)
{
  static CHAR Line[512], Answer[1024];
  ULONG Length = 0;
  CHAR C;
  UNREFERENCED_PARAMETER(Context);
  KeGetCurrentThread()->Priority = 12; /* answers also while others spin */
  HalpConsoleRead(&C);                 /* turns the receiver on */
  ConsolePrint("console ready\n");
  for (;;) {
    KeWaitForSingleObject(&HalpConsoleEvent, Executive, KernelMode, FALSE, NULL);
    while (HalpConsoleRead(&C)) {
      if (C != '\n' && C != '\r') {
        if (Length < sizeof(Line) - 1) Line[Length++] = C;
        continue;
      }
      Line[Length] = 0;
      if (Length) {
        Answer[0] = 0;
        BOOLEAN Ok = Execute(Line, Answer, sizeof(Answer));
        CHAR Mark[3] = {Ok ? '=' : '!', ' ', 0};
        HalpConsoleWrite(Mark, 2);
        HalpConsoleWrite(Answer, strlen(Answer));
        HalpConsoleWrite("\n", 1);
      }
      Length = 0;
    }
  }
}
