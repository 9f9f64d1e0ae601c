/*
 * query.c: ZwQuerySystemInformation, of which drivers of this kernel get the list of modules (class 11) and nothing else.
 */
#include "ki.h"

#define SystemModuleInformation 11

typedef struct _RTL_PROCESS_MODULE_INFORMATION {
  HANDLE Section;
  PVOID MappedBase, ImageBase;
  ULONG ImageSize, Flags;
  USHORT LoadOrderIndex, InitOrderIndex, LoadCount, OffsetToFileName;
  CHAR FullPathName[256];
} RTL_PROCESS_MODULE_INFORMATION;
C_ASSERT(sizeof(RTL_PROCESS_MODULE_INFORMATION) == 296);

typedef struct _RTL_PROCESS_MODULES {
  ULONG NumberOfModules;
  RTL_PROCESS_MODULE_INFORMATION Modules[1];
} RTL_PROCESS_MODULES;

static VOID Describe(PKLDR_DATA_TABLE_ENTRY Entry, ULONG Index, RTL_PROCESS_MODULE_INFORMATION *Module)
{
  ULONG Length = min(Entry->FullDllName.Length / 2u, (ULONG)sizeof(Module->FullPathName) - 1);
  RtlZeroMemory(Module, sizeof(*Module));
  Module->ImageBase = Entry->DllBase;
  Module->ImageSize = Entry->SizeOfImage;
  Module->Flags = Entry->Flags;
  Module->LoadOrderIndex = (USHORT)Index;
  Module->LoadCount = Entry->LoadCount;
  for (ULONG I = 0; I < Length; I++) {
    WCHAR C = Entry->FullDllName.Buffer[I];
    Module->FullPathName[I] = C < 0x80 ? (CHAR)C : '?';
    if (C == '\\') Module->OffsetToFileName = (USHORT)(I + 1);
  }
}

NTSTATUS ZwQuerySystemInformation(ULONG Class, PVOID Buffer, ULONG Length, PULONG ReturnLength)
{
  RTL_PROCESS_MODULES *List = Buffer;
  ULONG Needed = FIELD_OFFSET(RTL_PROCESS_MODULES, Modules), Count = 0;
  if (Class != SystemModuleInformation) return STATUS_NOT_IMPLEMENTED;
  BOOLEAN Enabled = LdrpLockModules();
  for (PLIST_ENTRY Link = PsLoadedModuleList.Flink; Link != &PsLoadedModuleList; Link = Link->Flink) {
    Needed += sizeof(RTL_PROCESS_MODULE_INFORMATION);
    if (Needed <= Length) Describe(CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks), Count, &List->Modules[Count]);
    Count++;
  }
  LdrpUnlockModules(Enabled);
  if (ReturnLength) *ReturnLength = Needed;
  if (Needed > Length) return STATUS_INFO_LENGTH_MISMATCH;
  List->NumberOfModules = Count;
  return STATUS_SUCCESS;
}
