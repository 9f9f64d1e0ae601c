/*
 * user.c: a process with a user-mode part: its address space, image, PEB, TEB and stack, and its first thread.
 *
 *   image            where the dice say (or its preferred base with kaslr=off), pages protected by section
 *   UserArea         +0        64 reserved stack pages, demand-zero; the top two present, a guard page below them
 *                    +0x100000 PEB page (PEB, PEB_LDR_DATA, one LDR_DATA_TABLE_ENTRY, names), TEB page
 *   0x7FFE0000       KUSER_SHARED_DATA, read-only
 */
#include "ki.h"
#include "pe.h"

#define STACK_PAGES 64u
#define USER_DATA (PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE)

PEPROCESS PspUserProcess;

typedef struct _USER_START {
  ULONG64 Entry, StackTop, Peb, Teb;
} USER_START;

typedef struct _PEB_PAGE {
  PEB Peb;
  PEB_LDR_DATA Ldr;
  LDR_DATA_TABLE_ENTRY Module;
  WCHAR FullName[64];
} PEB_PAGE;

static BOOLEAN NoImports(PVOID Context, PCSTR DllName, PPE_VIEW View)
{
  UNREFERENCED_PARAMETER(Context);
  UNREFERENCED_PARAMETER(DllName);
  UNREFERENCED_PARAMETER(View);
  return FALSE; /* the program brings its own system-call stubs */
}

static VOID NoReport(PVOID Context, PCSTR DllName, PCSTR Symbol)
{
  UNREFERENCED_PARAMETER(Context);
  UNREFERENCED_PARAMETER(DllName);
  UNREFERENCED_PARAMETER(Symbol);
}

/* Attached to the new process. */
static BOOLEAN MapUserImage(PLOADER_IMAGE Image, PULONG64 Base, PULONG Size, PULONG64 Entry)
{
  PUCHAR File = MiPhysicalWindow(Image->FilePhysical);
  PIMAGE_NT_HEADERS Nt = PeHeadersOfFile(File, Image->FileSize);
  if (!Nt) return FALSE;
  *Size = (ULONG)ROUND_UP((ULONG64)Nt->OptionalHeader.SizeOfImage, PAGE_SIZE);
  *Base = KeLoaderBlock->KaslrSeed ? 0x7FF600000000ull + (MiRandom(0xFFFF) << 16) : Nt->OptionalHeader.ImageBase;
  if (!MiCommitUser(*Base, *Size >> PAGE_SHIFT, USER_DATA)) return FALSE;
  PE_VIEW View = {(PUCHAR)*Base, *Size, *Base};
  if (!PePlaceImage(File, Image->FileSize, &View)) return FALSE;
  if (!PeResolveImports(&View, NoImports, NoReport, NULL)) return FALSE;
  *Entry = *Base + Nt->OptionalHeader.AddressOfEntryPoint;
  for (ULONG Rva = 0; Rva < *Size; Rva += PAGE_SIZE) {
    ULONG Traits = PePageCharacteristics(&View, Rva);
    MiChangeProtection(*Base + Rva, 0, (Traits & IMAGE_SCN_MEM_EXECUTE ? PTE_NO_EXECUTE : 0) |
                                           (Traits & IMAGE_SCN_MEM_WRITE ? 0 : PTE_WRITE));
  }
  return TRUE;
}

static VOID FillPeb(PEB_PAGE *Page, PLOADER_IMAGE Image, ULONG64 Base, ULONG Size, ULONG64 Entry)
{
  ULONG Prefix = 3, Length = 0;
  RtlCopyMemory(Page->FullName, L"C:\\", 6);
  while (Image->Name[Length] && Prefix + Length < RTL_NUMBER_OF(Page->FullName) - 1) {
    Page->FullName[Prefix + Length] = (UCHAR)Image->Name[Length];
    Length++;
  }
  Page->Peb.ImageBaseAddress = (PVOID)Base;
  Page->Peb.Ldr = &Page->Ldr;
  Page->Peb.NumberOfProcessors = KeNumberProcessors;
  Page->Peb.OSMajorVersion = NT_MAJOR_VERSION;
  Page->Peb.OSBuildNumber = NT_BUILD_NUMBER;
  Page->Ldr.Length = sizeof(PEB_LDR_DATA);
  Page->Ldr.Initialized = TRUE;
  InitializeListHead(&Page->Ldr.InLoadOrderModuleList);
  InitializeListHead(&Page->Ldr.InMemoryOrderModuleList);
  InitializeListHead(&Page->Ldr.InInitializationOrderModuleList);
  InsertTailList(&Page->Ldr.InLoadOrderModuleList, &Page->Module.InLoadOrderLinks);
  InsertTailList(&Page->Ldr.InMemoryOrderModuleList, &Page->Module.InMemoryOrderLinks);
  Page->Module.DllBase = (PVOID)Base;
  Page->Module.EntryPoint = (PVOID)Entry;
  Page->Module.SizeOfImage = Size;
  Page->Module.LoadCount = 1;
  Page->Module.FullDllName = (UNICODE_STRING){(USHORT)((Prefix + Length) * 2), sizeof(Page->FullName), Page->FullName};
  Page->Module.BaseDllName = (UNICODE_STRING){(USHORT)(Length * 2), (USHORT)(Length * 2 + 2), Page->FullName + Prefix};
}

static BOOLEAN BuildUserSpace(PEPROCESS Process, PLOADER_IMAGE Image, USER_START *Start)
{
  ULONG64 Base, Entry, Area = 0xA000000000ull + (MiRandom(0x10000) << 24);
  ULONG Size;
  if (!MapUserImage(Image, &Base, &Size, &Entry)) return FALSE;
  if (!MiReserveUser(Area, STACK_PAGES, PTE_DEMAND_ZERO)) return FALSE;
  Start->StackTop = Area + STACK_PAGES * PAGE_SIZE;
  if (!MiCommitUser(Start->StackTop - 2 * PAGE_SIZE, 2, USER_DATA)) return FALSE;
  if (!MiReserveUser(Start->StackTop - 3 * PAGE_SIZE, 1, PTE_DEMAND_ZERO | PTE_GUARD)) return FALSE;
  Start->Peb = Area + 0x100000;
  Start->Teb = Start->Peb + PAGE_SIZE;
  if (!MiCommitUser(Start->Peb, 2, USER_DATA)) return FALSE;
  PHYSICAL_ADDRESS Shared = MmGetPhysicalAddress(SharedUserData);
  if (!MiWritePte(MM_SHARED_USER_DATA_VA, (ULONG64)Shared.QuadPart | PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NO_EXECUTE))
    return FALSE;
  FillPeb((PEB_PAGE *)Start->Peb, Image, Base, Size, Entry);
  PTEB Teb = (PTEB)Start->Teb;
  Teb->NtTib.Self = &Teb->NtTib;
  Teb->NtTib.StackBase = (PVOID)Start->StackTop;
  Teb->NtTib.StackLimit = (PVOID)(Start->StackTop - 2 * PAGE_SIZE);
  Teb->ProcessEnvironmentBlock = (PPEB)Start->Peb;
  Teb->ClientId.UniqueProcess = Process->UniqueProcessId;
  Start->Entry = Entry;
  Process->SectionBaseAddress = (PVOID)Base;
  Process->Peb = (PPEB)Start->Peb;
  Process->VirtualSize = Size + (STACK_PAGES + 3) * PAGE_SIZE;
  return TRUE;
}

/* The first thread, in kernel mode: on to ring 3. */
static VOID UserThreadStartup(PVOID Context)
{
  USER_START Start = *(USER_START *)Context;
  PETHREAD Thread = (PETHREAD)KeGetCurrentThread();
  ExFreePoolWithTag(Context, 'rtsU');
  ((PTEB)Start.Teb)->ClientId = Thread->Cid;
  BOOLEAN Enabled = KiLockDispatcher();
  Thread->Win32StartAddress = (PVOID)Start.Entry;
  Thread->Tcb.Teb = (PVOID)Start.Teb;
  KiWriteMsr(MSR_GS_SWAP, Start.Teb);
  KiUnlockDispatcher(Enabled);
  /* As if called: RSP is 8 below a multiple of 16, and the return address is 0. */
  KiEnterUserMode((PVOID)Start.Entry, (PVOID)(Start.StackTop - 0x28), (PVOID)Start.Peb, (PVOID)(ULONG_PTR)KeNumberProcessors);
}

NTSTATUS PspCreateUserProcess(PCSTR ImageName, PEPROCESS *Result)
{
  PLOADER_IMAGE Image = LdrpFindLoaderFile(ImageName);
  if (!Image) return STATUS_NO_SUCH_FILE;
  ULONG64 Cr3 = MmCreateProcessAddressSpace();
  USER_START *Start = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Start), 'rtsU');
  PEPROCESS Process = Cr3 && Start ? PspAllocateProcess(ImageName, Cr3, NULL) : NULL;
  if (!Process) return STATUS_NO_MEMORY;
  Process->InheritedFromUniqueProcessId = PsInitialSystemProcess->UniqueProcessId;
  KeAttachProcess(&Process->Pcb);
  BOOLEAN Built = BuildUserSpace(Process, Image, Start);
  KeDetachProcess();
  if (!Built) return STATUS_INVALID_IMAGE_FORMAT;
  PspInsertProcess(Process);
  *Result = Process;
  return PspCreateThread(Process, UserThreadStartup, Start, ImageName, ~0ull, NULL);
}

/* Has the program do something wrong in ring 3: it looks at this variable of its own in every round. */
NTSTATUS PspProvokeUserFault(ULONG Kind)
{
  if (!PspUserProcess || !PspUserProcess->ActiveThreads) return STATUS_OBJECT_NAME_NOT_FOUND;
  KeAttachProcess(&PspUserProcess->Pcb);
  PE_VIEW View = {PspUserProcess->SectionBaseAddress, MAXULONG, (ULONG64)PspUserProcess->SectionBaseAddress};
  PIMAGE_NT_HEADERS Nt = PeHeadersOfImage(View.Memory, View.Size);
  View.Size = Nt ? Nt->OptionalHeader.SizeOfImage : 0;
  volatile ULONG *Fault = Nt ? (volatile ULONG *)PeFindExport(&View, "UserFault") : NULL;
  if (Fault) *Fault = Kind;
  KeDetachProcess();
  return Fault ? STATUS_SUCCESS : STATUS_ENTRYPOINT_NOT_FOUND;
}
