/*
 * module.c: PsLoadedModuleList, and drivers coming and going.
 *
 * A driver's pages are its own: mapped page by page with the protection of their sections. PAGE* sections start out
 * of the address space (transition) and come in with the first touch, so that a debugger meets pages that are not
 * there yet.
 */
#include "ki.h"
#include "pe.h"

LIST_ENTRY PsLoadedModuleList = {&PsLoadedModuleList, &PsLoadedModuleList};
static KSPIN_LOCK ModuleListLock;

BOOLEAN LdrpLockModules(VOID)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  KiAcquireSpinLock(&ModuleListLock);
  return Enabled;
}

VOID LdrpUnlockModules(BOOLEAN Enabled)
{
  KiReleaseSpinLock(&ModuleListLock);
  if (Enabled) KiEnableInterrupts();
}

static PE_VIEW ViewOf(PKLDR_DATA_TABLE_ENTRY Entry)
{
  return (PE_VIEW){Entry->DllBase, Entry->SizeOfImage, (ULONG64)Entry->DllBase};
}

/* The entry and its path in one pool block; BaseDllName is the path's tail. */
static PKLDR_DATA_TABLE_ENTRY AllocateEntry(PUNICODE_STRING FullName, ULONG BaseNameBytes)
{
  PKLDR_DATA_TABLE_ENTRY Entry =
      ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*Entry) + FullName->Length + sizeof(WCHAR), 'dLmM');
  if (!Entry) return NULL;
  RtlZeroMemory(Entry, sizeof(*Entry) + FullName->Length + sizeof(WCHAR));
  PWSTR Name = (PWSTR)(Entry + 1);
  RtlCopyMemory(Name, FullName->Buffer, FullName->Length);
  Entry->FullDllName = (UNICODE_STRING){FullName->Length, (USHORT)(FullName->Length + 2), Name};
  Entry->BaseDllName = (UNICODE_STRING){(USHORT)BaseNameBytes, (USHORT)(BaseNameBytes + 2),
                                        Name + (FullName->Length - BaseNameBytes) / 2};
  return Entry;
}

static VOID InsertEntry(PKLDR_DATA_TABLE_ENTRY Entry)
{
  BOOLEAN Enabled = LdrpLockModules();
  InsertTailList(&PsLoadedModuleList, &Entry->InLoadOrderLinks);
  LdrpUnlockModules(Enabled);
}

VOID LdrpInitializeModuleList(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  PLIST_ENTRY Head = &LoaderBlock->LoadOrderListHead;
  for (PLIST_ENTRY Link = Head->Flink; Link != Head; Link = Link->Flink) {
    PKLDR_DATA_TABLE_ENTRY From = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    PKLDR_DATA_TABLE_ENTRY Entry = AllocateEntry(&From->FullDllName, From->BaseDllName.Length);
    if (!Entry) KeBugCheckEx(PHASE0_INITIALIZATION_FAILED, 7, 0, 0, 0);
    UNICODE_STRING Full = Entry->FullDllName, Base = Entry->BaseDllName;
    *Entry = *From;
    Entry->FullDllName = Full;
    Entry->BaseDllName = Base;
    InsertEntry(Entry);
  }
}

PLOADER_IMAGE LdrpFindLoaderFile(PCSTR Name)
{
  for (ULONG I = 0; I < KeLoaderBlock->ImageCount; I++)
    if (RtlEqualAnsi(KeLoaderBlock->Images[I].Name, Name)) return &KeLoaderBlock->Images[I];
  return NULL;
}

static BOOLEAN NameIs(PUNICODE_STRING String, PCSTR Name)
{
  ULONG I = 0;
  for (; I < String->Length / 2u && Name[I]; I++) {
    WCHAR A = String->Buffer[I], B = (UCHAR)Name[I];
    if (A >= 'A' && A <= 'Z') A += 32;
    if (B >= 'A' && B <= 'Z') B += 32;
    if (A != B) return FALSE;
  }
  return I == String->Length / 2u && !Name[I];
}

PKLDR_DATA_TABLE_ENTRY LdrpFindModule(PCSTR BaseName)
{
  for (PLIST_ENTRY Link = PsLoadedModuleList.Flink; Link != &PsLoadedModuleList; Link = Link->Flink) {
    PKLDR_DATA_TABLE_ENTRY Entry = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    if (NameIs(&Entry->BaseDllName, BaseName)) return Entry;
  }
  return NULL;
}

PKLDR_DATA_TABLE_ENTRY LdrpModuleOfAddress(ULONG64 Address)
{
  for (PLIST_ENTRY Link = PsLoadedModuleList.Flink; Link != &PsLoadedModuleList; Link = Link->Flink) {
    PKLDR_DATA_TABLE_ENTRY Entry = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    if (Address - (ULONG64)Entry->DllBase < Entry->SizeOfImage) return Entry;
  }
  return NULL;
}

ULONG64 LdrpExportOf(PKLDR_DATA_TABLE_ENTRY Entry, PCSTR Name)
{
  PE_VIEW View = ViewOf(Entry);
  return PeFindExport(&View, Name);
}

/* A name in an import table: a module's file name, or the name in its export directory (kernels get renamed). */
static BOOLEAN FindImport(PVOID Context, PCSTR DllName, PPE_VIEW View)
{
  UNREFERENCED_PARAMETER(Context);
  for (PLIST_ENTRY Link = PsLoadedModuleList.Flink; Link != &PsLoadedModuleList; Link = Link->Flink) {
    PKLDR_DATA_TABLE_ENTRY Entry = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    *View = ViewOf(Entry);
    PCSTR Exported = PeExportName(View);
    if (NameIs(&Entry->BaseDllName, DllName) || (Exported && RtlEqualAnsi(Exported, DllName))) return TRUE;
  }
  return FALSE;
}

static VOID ReportMissing(PVOID Context, PCSTR DllName, PCSTR Symbol)
{
  ConsolePrint("ldr: %s needs %s!%s, which is not there\n", (PCSTR)Context, DllName, Symbol);
}

static BOOLEAN IsPageable(PIMAGE_SECTION_HEADER Section)
{
  return Section->Name[0] == 'P' && Section->Name[1] == 'A' && Section->Name[2] == 'G' && Section->Name[3] == 'E';
}

VOID MiTrimImage(ULONG64 Base, ULONG Size, PULONG PagesTrimmed)
{
  PIMAGE_NT_HEADERS Nt = PeHeadersOfImage((PUCHAR)Base, Size);
  *PagesTrimmed = 0;
  if (!Nt) return;
  PIMAGE_SECTION_HEADER Section = PeSections(Nt);
  for (ULONG I = 0; I < Nt->FileHeader.NumberOfSections; I++, Section++) {
    if (!IsPageable(Section)) continue;
    for (ULONG Rva = 0; Rva < Section->VirtualSize; Rva += PAGE_SIZE) {
      ULONG64 Address = Base + Section->VirtualAddress + Rva, Pte = MiReadPte(Address);
      if (!(Pte & PTE_PRESENT)) continue;
      MiWritePte(Address, (Pte & ~PTE_PRESENT) | PTE_TRANSITION);
      (*PagesTrimmed)++;
    }
  }
  KeFlushEntireTb();
}

static VOID FreeImagePages(ULONG64 Base, ULONG64 Pages)
{
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Pte = MiReadPte(Base + (I << PAGE_SHIFT));
    if (Pte & PTE_PRESENT) MiWritePte(Base + (I << PAGE_SHIFT), (Pte & ~PTE_PRESENT) | PTE_TRANSITION);
  }
  KeFlushEntireTb();
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Pte = MiReadPte(Base + (I << PAGE_SHIFT));
    MiWritePte(Base + (I << PAGE_SHIFT), 0);
    if (Pte & PTE_PFN_MASK) MiFreePages((Pte & PTE_PFN_MASK) >> PAGE_SHIFT, 1);
  }
}

/* Places, links and protects; 0 if the file is not a sound image or memory is short. */
static NTSTATUS MapImage(PUCHAR File, ULONG64 FileSize, PCSTR Name, PULONG64 Base)
{
  PIMAGE_NT_HEADERS Nt = PeHeadersOfFile(File, FileSize);
  if (!Nt) return STATUS_INVALID_IMAGE_FORMAT;
  ULONG64 Size = ROUND_UP((ULONG64)Nt->OptionalHeader.SizeOfImage, PAGE_SIZE), Pages = Size >> PAGE_SHIFT;
  *Base = MiReserveImageVa(Pages);
  if (!*Base) return STATUS_NO_MEMORY;
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Page = MiAllocatePage();
    if (Page && MiWritePte(*Base + (I << PAGE_SHIFT), Page << PAGE_SHIFT | PTE_KERNEL_DATA)) continue;
    FreeImagePages(*Base, I);
    return STATUS_NO_MEMORY;
  }
  PE_VIEW View = {(PUCHAR)*Base, (ULONG)Size, *Base};
  NTSTATUS Status = PePlaceImage(File, FileSize, &View) ? STATUS_SUCCESS : STATUS_INVALID_IMAGE_FORMAT;
  if (NT_SUCCESS(Status) && !PeResolveImports(&View, FindImport, ReportMissing, (PVOID)Name))
    Status = STATUS_ENTRYPOINT_NOT_FOUND;
  if (!NT_SUCCESS(Status)) {
    FreeImagePages(*Base, Pages);
    return Status;
  }
  for (ULONG Rva = 0; Rva < Size; Rva += PAGE_SIZE) {
    ULONG Traits = PePageCharacteristics(&View, Rva);
    ULONG64 Clear = Traits & IMAGE_SCN_MEM_EXECUTE ? PTE_NO_EXECUTE : 0;
    if (!(Traits & IMAGE_SCN_MEM_WRITE)) Clear |= PTE_WRITE;
    MiChangeProtection(*Base + Rva, 0, Clear);
  }
  KeFlushEntireTb();
  return STATUS_SUCCESS;
}

static VOID Narrow(PUNICODE_STRING String, PCHAR Buffer, ULONG Size)
{
  ULONG I = 0;
  for (; I < String->Length / 2u && I < Size - 1; I++) Buffer[I] = String->Buffer[I] < 0x80 ? (CHAR)String->Buffer[I] : '?';
  Buffer[I] = 0;
}

#define PULL_BUFFER_SIZE 0x100000u

/* The file's bytes: from the debugger if it offers them (kdfiles), else what the loader brought. */
static NTSTATUS FindFile(PUNICODE_STRING FullName, PCSTR BaseName, PUCHAR *File, PULONG64 Size, PVOID *ToFree)
{
  ULONG Length = 0;
  PVOID Buffer = ExAllocatePoolWithTag(NonPagedPoolNx, PULL_BUFFER_SIZE, 'fdkM');
  *ToFree = NULL;
  if (Buffer && NT_SUCCESS(KdpPullDriver(FullName, Buffer, PULL_BUFFER_SIZE, &Length)) && Length) {
    *File = Buffer;
    *Size = min(Length, PULL_BUFFER_SIZE);
    *ToFree = Buffer;
    ConsolePrint("ldr: %s pulled from the debugger, %lu bytes\n", BaseName, Length);
    return STATUS_SUCCESS;
  }
  if (Buffer) ExFreePoolWithTag(Buffer, 'fdkM');
  PLOADER_IMAGE Image = LdrpFindLoaderFile(BaseName);
  if (!Image) return STATUS_NO_SUCH_FILE;
  *File = MiPhysicalWindow(Image->FilePhysical);
  *Size = Image->FileSize;
  return STATUS_SUCCESS;
}

NTSTATUS MmLoadSystemImage(PUNICODE_STRING ImageFileName, PKLDR_DATA_TABLE_ENTRY *Result)
{
  CHAR Full[160], *BaseName = Full;
  Narrow(ImageFileName, Full, sizeof(Full));
  for (PCHAR C = Full; *C; C++)
    if (*C == '\\') BaseName = C + 1;
  if (LdrpFindModule(BaseName)) return STATUS_IMAGE_ALREADY_LOADED;
  PUCHAR File;
  PVOID ToFree;
  ULONG64 FileSize, Base;
  NTSTATUS Status = FindFile(ImageFileName, BaseName, &File, &FileSize, &ToFree);
  if (!NT_SUCCESS(Status)) return Status;
  Status = MapImage(File, FileSize, BaseName, &Base);
  if (ToFree) ExFreePoolWithTag(ToFree, 'fdkM');
  if (!NT_SUCCESS(Status)) return Status;

  PIMAGE_NT_HEADERS Nt = PeHeadersOfImage((PUCHAR)Base, MAXULONG);
  IMAGE_DATA_DIRECTORY Exceptions = Nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXCEPTION];
  PKLDR_DATA_TABLE_ENTRY Entry = AllocateEntry(ImageFileName, (ULONG)strlen(BaseName) * sizeof(WCHAR));
  if (!Entry) {
    FreeImagePages(Base, ROUND_UP(Nt->OptionalHeader.SizeOfImage, (ULONG)PAGE_SIZE) >> PAGE_SHIFT);
    return STATUS_NO_MEMORY;
  }
  Entry->DllBase = (PVOID)Base;
  Entry->EntryPoint = (PVOID)(Base + Nt->OptionalHeader.AddressOfEntryPoint);
  Entry->SizeOfImage = ROUND_UP(Nt->OptionalHeader.SizeOfImage, (ULONG)PAGE_SIZE);
  Entry->SizeOfImageNotRounded = Nt->OptionalHeader.SizeOfImage;
  Entry->ExceptionTable = Exceptions.Size ? (PVOID)(Base + Exceptions.VirtualAddress) : NULL;
  Entry->ExceptionTableSize = Exceptions.Size;
  Entry->CheckSum = Nt->OptionalHeader.CheckSum;
  Entry->TimeDateStamp = Nt->FileHeader.TimeDateStamp;
  Entry->Flags = LDRP_SYSTEM_MAPPED | LDRP_ENTRY_PROCESSED;
  Entry->LoadCount = 1;
  InsertEntry(Entry);
  STRING Name;
  RtlInitAnsiString(&Name, Full);
  DbgLoadImageSymbols(&Name, Entry->DllBase, (ULONG_PTR)-1);
  KdSetOwedBreakpoints();
  *Result = Entry;
  return STATUS_SUCCESS;
}

NTSTATUS MmUnloadSystemImage(PKLDR_DATA_TABLE_ENTRY Entry)
{
  CHAR Full[160];
  STRING Name;
  Narrow(&Entry->FullDllName, Full, sizeof(Full));
  RtlInitAnsiString(&Name, Full);
  DbgUnLoadImageSymbols(&Name, Entry->DllBase, (ULONG_PTR)-1);
  BOOLEAN Enabled = LdrpLockModules();
  RemoveEntryList(&Entry->InLoadOrderLinks);
  LdrpUnlockModules(Enabled);
  FreeImagePages((ULONG64)Entry->DllBase, Entry->SizeOfImage >> PAGE_SHIFT);
  ExFreePoolWithTag(Entry, 'dLmM');
  return STATUS_SUCCESS;
}

/* For drivers: the address of an exported routine of the kernel. */
PVOID MmGetSystemRoutineAddress(PUNICODE_STRING SystemRoutineName)
{
  CHAR Name[128];
  Narrow(SystemRoutineName, Name, sizeof(Name));
  PKLDR_DATA_TABLE_ENTRY Kernel = CONTAINING_RECORD(PsLoadedModuleList.Flink, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
  return (PVOID)LdrpExportOf(Kernel, Name);
}
