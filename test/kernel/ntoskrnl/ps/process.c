/*
 * process.c: processes and threads as objects: creation, identifiers, lists, ends.
 */
#include "ki.h"

LIST_ENTRY PsActiveProcessHead = {&PsActiveProcessHead, &PsActiveProcessHead};
PEPROCESS PsInitialSystemProcess, PsIdleProcess;
static LIST_ENTRY PspReaperListHead = {&PspReaperListHead, &PspReaperListHead};
static KEVENT PspReaperEvent;
static volatile LONG NextId = 0x4; /* client ids are multiples of 4; 4 is the System process */

static HANDLE NewClientId(VOID) { return (HANDLE)(ULONG_PTR)(ULONG)(__sync_fetch_and_add(&NextId, 4)); }

static VOID SystemTime(PLARGE_INTEGER Time)
{
  Time->QuadPart =
      (LONG64)((ULONG64)(ULONG)SharedUserData->SystemTime.High1Time << 32 | SharedUserData->SystemTime.LowPart);
}

PEPROCESS PspAllocateProcess(PCSTR Name, ULONG64 DirectoryTableBase, HANDLE Id)
{
  PEPROCESS Process = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(EPROCESS), 'corP');
  if (!Process) return NULL;
  RtlZeroMemory(Process, sizeof(*Process));
  Process->Pcb.Header.Type = ProcessObject;
  Process->Pcb.Header.Size = sizeof(KPROCESS) / sizeof(ULONG);
  InitializeListHead(&Process->Pcb.Header.WaitListHead);
  InitializeListHead(&Process->Pcb.ProfileListHead);
  InitializeListHead(&Process->Pcb.ThreadListHead);
  InitializeListHead(&Process->ThreadListHead);
  InitializeListHead(&Process->ActiveProcessLinks);
  Process->Pcb.DirectoryTableBase = DirectoryTableBase;
  Process->Pcb.BasePriority = 8;
  Process->Pcb.Affinity = ~0ull;
  Process->UniqueProcessId = Id ? Id : NewClientId();
  Process->ExitStatus = STATUS_PENDING;
  SystemTime(&Process->CreateTime);
  for (ULONG I = 0; I < sizeof(Process->ImageFileName) - 1 && Name[I]; I++) Process->ImageFileName[I] = (UCHAR)Name[I];
  return Process;
}

VOID PspInsertProcess(PEPROCESS Process)
{
  BOOLEAN Enabled = KiLockDispatcher();
  InsertTailList(&PsActiveProcessHead, &Process->ActiveProcessLinks);
  KiUnlockDispatcher(Enabled);
}

VOID PsInitializeSystem(VOID)
{
  KeInitializeEvent(&PspReaperEvent, SynchronizationEvent, FALSE);
  ULONG64 Cr3 = KeLoaderBlock->Cr3;
  PsIdleProcess = PspAllocateProcess("Idle", Cr3, NULL);
  PsInitialSystemProcess = PspAllocateProcess("System", Cr3, NULL);
  if (!PsIdleProcess || !PsInitialSystemProcess) KeBugCheckEx(PHASE0_INITIALIZATION_FAILED, 5, 0, 0, 0);
  PsIdleProcess->UniqueProcessId = 0;
  PsInitialSystemProcess->UniqueProcessId = (HANDLE)4;
  PspInsertProcess(PsInitialSystemProcess);
}

static VOID InsertThread(PETHREAD Thread, PEPROCESS Process, PCSTR Name)
{
  Thread->Cid.UniqueProcess = Process->UniqueProcessId;
  Thread->Cid.UniqueThread = NewClientId();
  Thread->ExitStatus = STATUS_PENDING;
  Thread->ReferenceCount = 1;
  SystemTime(&Thread->CreateTime);
  for (ULONG I = 0; Name && I < sizeof(Thread->ThreadName) - 1 && Name[I]; I++) Thread->ThreadName[I] = Name[I];
  BOOLEAN Enabled = KiLockDispatcher();
  InsertTailList(&Process->ThreadListHead, &Thread->ThreadListEntry);
  InsertTailList(&Process->Pcb.ThreadListHead, &Thread->Tcb.ThreadListEntry);
  Process->ActiveThreads++;
  KiUnlockDispatcher(Enabled);
}

/* The thread that a processor is when it is nothing else; it is never in a ready queue. */
PETHREAD PspCreateIdleThread(PKPRCB Prcb, PVOID StackTop)
{
  PETHREAD Thread = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(ETHREAD), 'erhT');
  if (!Thread) KeBugCheckEx(PHASE0_INITIALIZATION_FAILED, 6, 0, 0, 0);
  RtlZeroMemory(Thread, sizeof(*Thread));
  KiInitializeThread(Thread, PsIdleProcess, StackTop, NULL, NULL);
  Thread->Tcb.Priority = 0;
  Thread->Tcb.State = Running;
  Thread->Tcb.Running = TRUE;
  Thread->Tcb.Affinity = 1ull << Prcb->Number;
  Thread->Tcb.NextProcessor = Prcb->Number;
  Prcb->IdleThread = Prcb->CurrentThread = &Thread->Tcb;
  Prcb->IdleProcess = &PsIdleProcess->Pcb;
  Prcb->RspBase = (ULONG64)Thread->Tcb.InitialStack;
  Prcb->ProcessorState.ContextFrame.ContextFlags = CONTEXT_ALL;
  InsertThread(Thread, PsIdleProcess, "Idle");
  return Thread;
}

NTSTATUS PspCreateThread(PEPROCESS Process, KSTART_ROUTINE *Routine, PVOID Context, PCSTR Name, KAFFINITY Affinity,
                         PETHREAD *Result)
{
  PETHREAD Thread = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(ETHREAD), 'erhT');
  PVOID Stack = Thread ? MmCreateKernelStack() : NULL;
  if (!Stack) {
    if (Thread) ExFreePoolWithTag(Thread, 'erhT');
    return STATUS_INSUFFICIENT_RESOURCES;
  }
  RtlZeroMemory(Thread, sizeof(*Thread));
  KiInitializeThread(Thread, Process, Stack, Routine, Context);
  Thread->Tcb.Affinity = Affinity;
  InsertThread(Thread, Process, Name);
  if (Result) {
    Thread->ReferenceCount++;
    *Result = Thread;
  }
  BOOLEAN Enabled = KiLockDispatcher();
  KiReadyThread(&Thread->Tcb, 0);
  KiUnlockDispatcher(Enabled);
  return STATUS_SUCCESS;
}

VOID ObDereferenceObject(PVOID Object) /* threads are the only counted objects */
{
  PETHREAD Thread = Object;
  if (InterlockedDecrement(&Thread->ReferenceCount) == 0) ExFreePoolWithTag(Thread, 'erhT');
}

/* Ends the current thread, and its process with the last one. The stack goes when nobody stands on it: the reaper. */
VOID PspExitThread(NTSTATUS Status)
{
  PETHREAD Thread = (PETHREAD)KeGetCurrentThread();
  PEPROCESS Process = CONTAINING_RECORD(Thread->Tcb.Process, EPROCESS, Pcb);
  KiLockDispatcher();
  Thread->ExitStatus = Status;
  SystemTime(&Thread->ExitTime);
  RemoveEntryList(&Thread->ThreadListEntry);
  RemoveEntryList(&Thread->Tcb.ThreadListEntry);
  if (--Process->ActiveThreads == 0) {
    Process->ExitStatus = Status;
    SystemTime(&Process->ExitTime);
    RemoveEntryList(&Process->ActiveProcessLinks);
    InitializeListHead(&Process->ActiveProcessLinks);
    KiSignalObject(&Process->Pcb.Header);
  }
  Thread->Tcb.State = Terminated;
  KiSignalObject(&Thread->Tcb.Header);
  InsertTailList(&PspReaperListHead, &Thread->Tcb.WaitListEntry);
  KiSignalObject(&PspReaperEvent.Header);
  KiSwapThread();
  __builtin_unreachable();
}

/* The address space of a process without threads; the object stays, as on NT while somebody refers to it. */
static VOID ReleaseProcess(PEPROCESS Process)
{
  ULONG64 Cr3 = Process->Pcb.DirectoryTableBase;
  if (Process->ActiveThreads || Cr3 == PsInitialSystemProcess->Pcb.DirectoryTableBase) return;
  Process->Pcb.DirectoryTableBase = PsInitialSystemProcess->Pcb.DirectoryTableBase;
  Process->Peb = NULL;
  MmDeleteProcessAddressSpace(Cr3);
}

VOID PspReaper(PVOID Context)
{
  UNREFERENCED_PARAMETER(Context);
  for (;;) {
    KeWaitForSingleObject(&PspReaperEvent, Executive, KernelMode, FALSE, NULL);
    for (;;) {
      PETHREAD Thread = NULL;
      BOOLEAN Enabled = KiLockDispatcher();
      if (!IsListEmpty(&PspReaperListHead))
        Thread = (PETHREAD)CONTAINING_RECORD(RemoveHeadList(&PspReaperListHead), KTHREAD, WaitListEntry);
      KiUnlockDispatcher(Enabled);
      if (!Thread) break;
      ReleaseProcess(CONTAINING_RECORD(Thread->Tcb.Process, EPROCESS, Pcb));
      MmDeleteKernelStack(Thread->Tcb.StackBase);
      ObDereferenceObject(Thread);
    }
  }
}

/* ---- For drivers -------------------------------------------------------------------------------------------- */

PEPROCESS PsGetCurrentProcess(VOID)
{
  return CONTAINING_RECORD(KeGetCurrentThread()->ApcState.Process, EPROCESS, Pcb);
}
PEPROCESS IoGetCurrentProcess(VOID) { return PsGetCurrentProcess(); }
HANDLE PsGetCurrentThreadId(VOID) { return ((PETHREAD)KeGetCurrentThread())->Cid.UniqueThread; }
HANDLE PsGetCurrentProcessId(VOID) { return ((PETHREAD)KeGetCurrentThread())->Cid.UniqueProcess; }
HANDLE PsGetProcessId(PEPROCESS Process) { return Process->UniqueProcessId; }

/* Handles of this kernel are the objects themselves; only system threads get any. */
NTSTATUS PsCreateSystemThread(PHANDLE ThreadHandle, ULONG DesiredAccess, PVOID ObjectAttributes, HANDLE ProcessHandle,
                              CLIENT_ID *ClientId, KSTART_ROUTINE *StartRoutine, PVOID StartContext)
{
  PETHREAD Thread;
  UNREFERENCED_PARAMETER(DesiredAccess);
  UNREFERENCED_PARAMETER(ObjectAttributes);
  if (ProcessHandle) return STATUS_INVALID_PARAMETER;
  NTSTATUS Status = PspCreateThread(PsInitialSystemProcess, StartRoutine, StartContext, NULL, ~0ull, &Thread);
  if (!NT_SUCCESS(Status)) return Status;
  if (ClientId) *ClientId = Thread->Cid;
  *ThreadHandle = Thread;
  return STATUS_SUCCESS;
}

NTSTATUS PsTerminateSystemThread(NTSTATUS ExitStatus) { PspExitThread(ExitStatus); }

NTSTATUS ObReferenceObjectByHandle(HANDLE Handle, ULONG DesiredAccess, PVOID ObjectType, KPROCESSOR_MODE AccessMode,
                                   PVOID *Object, PVOID HandleInformation)
{
  UNREFERENCED_PARAMETER(DesiredAccess);
  UNREFERENCED_PARAMETER(ObjectType);
  UNREFERENCED_PARAMETER(AccessMode);
  UNREFERENCED_PARAMETER(HandleInformation);
  if (!Handle) return STATUS_INVALID_HANDLE;
  InterlockedIncrement(&((PETHREAD)Handle)->ReferenceCount);
  *Object = Handle;
  return STATUS_SUCCESS;
}

NTSTATUS ZwClose(HANDLE Handle)
{
  if (!Handle) return STATUS_INVALID_HANDLE;
  ObDereferenceObject(Handle);
  return STATUS_SUCCESS;
}

KAFFINITY KeSetSystemAffinityThreadEx(KAFFINITY Affinity)
{
  PKTHREAD Thread = KeGetCurrentThread();
  BOOLEAN Enabled = KiLockDispatcher();
  KAFFINITY Old = Thread->Affinity;
  Thread->Affinity = Affinity;
  if (!(Affinity & (1ull << KeGetCurrentPrcb()->Number))) { /* move now */
    KiReadyThread(Thread, 0);
    KiSwapThread();
  }
  KiUnlockDispatcher(Enabled);
  return Old;
}

VOID KeRevertToUserAffinityThreadEx(KAFFINITY Affinity) { KeSetSystemAffinityThreadEx(Affinity); }
ULONG KeGetCurrentProcessorNumber(VOID) { return KeGetCurrentPrcb()->Number; }
ULONG KeQueryActiveProcessorCount(KAFFINITY *ActiveProcessors)
{
  if (ActiveProcessors) *ActiveProcessors = (1ull << KeNumberProcessors) - 1;
  return KeNumberProcessors;
}
