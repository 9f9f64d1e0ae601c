/*
 * trouble.c: console commands that make things happen: drivers come and go, exceptions, breaks, prints, bugchecks.
 */
#include "commands.h"
#include "io.h"
#include "vmkdemo.h"

PDEVICE_OBJECT IopFindDevice(PUNICODE_STRING Name);
NTSTATUS IopDeviceControl(PDEVICE_OBJECT Device, ULONG Code, PVOID Buffer, ULONG InputLength, ULONG OutputLength,
                          PULONG_PTR Information);

#define COMMAND(name) static BOOLEAN name(PCSTR Arguments, PCHAR Answer, ULONG Size)

static PCSTR OrDefault(PCSTR Arguments, PCSTR Default) { return *Arguments ? Arguments : Default; }

COMMAND(Load)
{
  return ConsoleStatus(IopLoadDriver(OrDefault(Arguments, "vmkondem.sys")), Answer, Size, "loaded");
}

COMMAND(Unload)
{
  return ConsoleStatus(IopUnloadDriver(OrDefault(Arguments, "vmkondem.sys")), Answer, Size, "unloaded");
}

COMMAND(Print)
{
  ULONG64 Count = ConsoleNumber(&Arguments, 1);
  while (*Arguments == ' ') Arguments++;
  for (ULONG64 I = 0; I < Count; I++)
    DbgPrint("demo print %lu of %lu%s%s\n", (ULONG)I + 1, (ULONG)Count, *Arguments ? ": " : "", Arguments);
  RtlPrint(Answer, Size, "%llu printed", Count);
  return TRUE;
}

COMMAND(Prompt)
{
  CHAR Response[128];
  ULONG Length = DbgPrompt(OrDefault(Arguments, "answer? "), Response, sizeof(Response) - 1);
  Response[min(Length, sizeof(Response) - 1)] = 0;
  RtlPrint(Answer, Size, "%s", Response);
  return TRUE;
}

COMMAND(Break)
{
  UNREFERENCED_PARAMETER(Arguments);
  DbgBreakPoint();
  RtlPrint(Answer, Size, "continued");
  return TRUE;
}

/* Its own function, so that a stack shows it, and so that the __try of Crash guards a call. */
static DECLSPEC_NOINLINE VOID WriteTo(ULONG64 Address)
{
  *(volatile ULONG *)Address = 0xDEAD;
  KeCompilerBarrier();
}

COMMAND(Crash)
{
  if (RtlEqualAnsi(Arguments, "handled")) {
    NTSTATUS Code = STATUS_SUCCESS;
    __try {
      WriteTo(0x10);
    } __except (Code = (NTSTATUS)__exception_code(), 1) {
      RtlPrint(Answer, Size, "handled %08lx", (ULONG)Code);
    }
    return Code == STATUS_ACCESS_VIOLATION;
  }
  WriteTo(RtlEqualAnsi(Arguments, "system") ? 0xFFFFF00000000010 : 0x10);
  RtlPrint(Answer, Size, "survived");
  return TRUE;
}

COMMAND(Undefined)
{
  UNREFERENCED_PARAMETER(Arguments);
  __asm__ volatile("ud2");
  RtlPrint(Answer, Size, "survived");
  return TRUE;
}

COMMAND(Protection)
{
  UNREFERENCED_PARAMETER(Arguments);
  __asm__ volatile("movq (%0), %%rax" ::"r"(0x8000000000000000ull) : "rax", "memory"); /* not canonical: #GP */
  RtlPrint(Answer, Size, "survived");
  return TRUE;
}

static DECLSPEC_NOINLINE ULONG Descend(ULONG Depth)
{
  volatile UCHAR Room[1024];
  Room[0] = (UCHAR)Depth;
  return Depth ? Descend(Depth - 1) + Room[0] : 0;
}

/* Deeper than the stack, into its guard page: a double fault, on a stack of its own. */
COMMAND(Overflow)
{
  ULONG Depth = (ULONG)ConsoleNumber(&Arguments, 1000);
  RtlPrint(Answer, Size, "survived %lu", Descend(Depth));
  return TRUE;
}

COMMAND(BugCheck)
{
  UNREFERENCED_PARAMETER(Answer);
  UNREFERENCED_PARAMETER(Size);
  ULONG64 Data[5] = {MANUALLY_INITIATED_CRASH, 1, 2, 3, 4};
  for (ULONG I = 0; I < RTL_NUMBER_OF(Data); I++) Data[I] = ConsoleNumber(&Arguments, Data[I]); /* in this order */
  KeBugCheckEx((ULONG)Data[0], Data[1], Data[2], Data[3], Data[4]);
}

COMMAND(Reboot)
{
  UNREFERENCED_PARAMETER(Arguments);
  UNREFERENCED_PARAMETER(Answer);
  UNREFERENCED_PARAMETER(Size);
  HalpConsoleWrite("= rebooting\n", 12);
  HalReturnToFirmware(HalRebootRoutine);
}

/* Interrupts off, for N ms: a processor that only an NMI can stop. */
COMMAND(Spin)
{
  ULONG Milliseconds = (ULONG)ConsoleNumber(&Arguments, 1000);
  BOOLEAN Enabled = KeDisableInterrupts();
  KeStallExecutionProcessor(min(Milliseconds, 60000) * 1000);
  if (Enabled) KiEnableInterrupts();
  RtlPrint(Answer, Size, "spun %lu ms on cpu%lu", Milliseconds, KeGetCurrentPrcb()->Number);
  return TRUE;
}

static PVOID DemoExport(PCSTR Name)
{
  PKLDR_DATA_TABLE_ENTRY Entry = LdrpFindModule("vmkdemo.sys");
  return Entry ? (PVOID)LdrpExportOf(Entry, Name) : NULL;
}

COMMAND(Call)
{
  ULONG (*Work)(ULONG) = (ULONG(*)(ULONG))DemoExport("VmkDemoWork");
  ULONG64 Count = ConsoleNumber(&Arguments, 1);
  ULONG Result = 0;
  if (!Work) {
    RtlPrint(Answer, Size, "vmkdemo.sys is not loaded");
    return FALSE;
  }
  for (ULONG64 I = 0; I < Count; I++) Result = Work((ULONG)I);
  RtlPrint(Answer, Size, "%lu", Result);
  return TRUE;
}

COMMAND(Touch)
{
  volatile ULONG64 *Watched = DemoExport("VmkDemoWatched");
  UNREFERENCED_PARAMETER(Arguments);
  if (!Watched) {
    RtlPrint(Answer, Size, "vmkdemo.sys is not loaded");
    return FALSE;
  }
  *Watched = *Watched + 1;
  RtlPrint(Answer, Size, "%llu at %p", *Watched, (PVOID)Watched);
  return TRUE;
}

COMMAND(Demo)
{
  VMKDEMO_COUNTERS Counters;
  UNICODE_STRING Name;
  ULONG_PTR Length = 0;
  UNREFERENCED_PARAMETER(Arguments);
  RtlInitUnicodeString(&Name, L"\\Device\\VmkDemo");
  PDEVICE_OBJECT Device = IopFindDevice(&Name);
  NTSTATUS Status = !Device ? STATUS_OBJECT_NAME_NOT_FOUND
                            : IopDeviceControl(Device, IOCTL_VMKDEMO_COUNTERS, &Counters, 0, sizeof(Counters), &Length);
  if (!NT_SUCCESS(Status) || Length != sizeof(Counters)) return ConsoleStatus(Status, Answer, Size, "short answer"), FALSE;
  RtlPrint(Answer, Size, "counter %llu work %llu shared %lu perCpu %lu %lu %lu %lu paged %lu", Counters.Counter, Counters.WorkCalls,
           Counters.SharedCounter, Counters.PerProcessor[0], Counters.PerProcessor[1], Counters.PerProcessor[2],
           Counters.PerProcessor[3], Counters.PagedCalls);
  return TRUE;
}

/* So many calls on each processor, then none: VmkDemoHammer[CPU] is -1 when they are done. 0: as at first. */
COMMAND(Hammer)
{
  volatile LONG *Left = DemoExport("VmkDemoHammer");
  LONG Count = (LONG)ConsoleNumber(&Arguments, 100);
  if (!Left) {
    RtlPrint(Answer, Size, "vmkdemo.sys is not loaded");
    return FALSE;
  }
  for (ULONG I = 0; I < min(KeNumberProcessors, 4u); I++) Left[I] = Count;
  RtlPrint(Answer, Size, "%ld calls on each processor", Count);
  return TRUE;
}

COMMAND(UserFault)
{
  return ConsoleStatus(PspProvokeUserFault((ULONG)ConsoleNumber(&Arguments, 1)), Answer, Size, "asked for");
}

COMMAND(Paged)
{
  ULONG (*Function)(ULONG) = (ULONG(*)(ULONG))DemoExport("VmkDemoPaged");
  ULONG64 Physical;
  if (!Function) {
    RtlPrint(Answer, Size, "vmkdemo.sys is not loaded");
    return FALSE;
  }
  BOOLEAN Present = MmDbgTranslate((ULONG64)Function, &Physical, NULL);
  ULONG Result = Function((ULONG)ConsoleNumber(&Arguments, 1));
  RtlPrint(Answer, Size, "%lu, was %s", Result, Present ? "present" : "paged out");
  return TRUE;
}

COMMAND(Trim)
{
  PKLDR_DATA_TABLE_ENTRY Entry = LdrpFindModule(OrDefault(Arguments, "vmkdemo.sys"));
  ULONG Trimmed;
  if (!Entry) return ConsoleStatus(STATUS_OBJECT_NAME_NOT_FOUND, Answer, Size, "");
  MiTrimImage((ULONG64)Entry->DllBase, Entry->SizeOfImage, &Trimmed);
  RtlPrint(Answer, Size, "%lu pages", Trimmed);
  return TRUE;
}

const CONSOLE_COMMAND TroubleCommands[] = {
    {"load", "load [DRIVER]: loads a driver (vmkondem.sys)", Load},
    {"unload", "unload [DRIVER]: unloads it", Unload},
    {"print", "print [N [TEXT]]: N lines through DbgPrint", Print},
    {"prompt", "prompt [TEXT]: DbgPrompt; the answer", Prompt},
    {"break", "break: DbgBreakPoint", Break},
    {"crash", "crash [handled|system]: access violation; caught by __except; or at a system address (bugcheck 50)", Crash},
    {"undefined", "undefined: an undefined instruction", Undefined},
    {"protection", "protection: a general-protection fault", Protection},
    {"overflow", "overflow [DEPTH]: kernel stack overflow, a double fault", Overflow},
    {"bugcheck", "bugcheck [CODE [P1 P2 P3 P4]]: KeBugCheckEx", BugCheck},
    {"reboot", "reboot: resets the machine", Reboot},
    {"spin", "spin [MS]: spins with interrupts off", Spin},
    {"call", "call [N]: calls vmkdemo!VmkDemoWork N times", Call},
    {"touch", "touch: writes vmkdemo!VmkDemoWatched once", Touch},
    {"demo", "demo: vmkdemo's counters, asked by device control", Demo},
    {"hammer", "hammer [N]: vmkdemo calls VmkDemoShared N times on each processor at once, then rests; 0: goes on as at first", Hammer},
    {"paged", "paged [N]: calls vmkdemo!VmkDemoPaged, in a pageable section", Paged},
    {"userfault", "userfault [1|2|3]: ring 3 writes to address 10, executes hlt, breaks", UserFault},
    {"trim", "trim [DRIVER]: pages a driver's PAGE sections out", Trim},
    {NULL, NULL, NULL},
};
