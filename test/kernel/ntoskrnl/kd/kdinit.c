/*
 * kdinit.c - start-up of the stub.
 *
 * Phase 0 runs on the boot processor as soon as the IDT stands: it opens the transport, describes the
 * kernel in KdVersionBlock and KdDebuggerDataBlock, and reports the images that the loader has mapped.
 * Phase 1 has nothing left to open; /break stops there, when all processors run.
 *
 * Options: NODEBUG switches the stub off, BREAK makes phase 1 stop; the default is DEBUG.
 */
#include "kdp.h"


BOOLEAN KdDebuggerEnabled;
BOOLEAN KdDebuggerNotPresent = TRUE;
BOOLEAN KdPitchDebugger = TRUE;
BOOLEAN KdBreakAfterSymbolLoad;
DBGKD_GET_VERSION64 KdVersionBlock;

#define KDP_FIRST_RETRIES 5
#define KDP_LOAD_LIMIT 64

/* Whether the boot options hold the word Name (in capitals), alone between spaces, slashes or the ends. */
static BOOLEAN KdpHasOption(PLOADER_PARAMETER_BLOCK LoaderBlock, const CHAR *Name)
{
  const CHAR *Options = LoaderBlock->LoadOptions;
  ULONG At = 0, Size = sizeof(LoaderBlock->LoadOptions);

  while (At < Size && Options[At]) {
    ULONG Start, Index;

    while (At < Size && (Options[At] == ' ' || Options[At] == '/')) {
      At++;
    }
    Start = At;
    while (At < Size && Options[At] && Options[At] != ' ' && Options[At] != '/') {
      At++;
    }
    for (Index = 0; Name[Index] && Start + Index < At && (Options[Start + Index] & ~0x20) == Name[Index];
         Index++) {
    }
    if (Start < At && !Name[Index] && Start + Index == At) {
      return TRUE;
    }
  }
  return FALSE;
}

static VOID KdpFillVersion(VOID)
{
  KdVersionBlock.MajorVersion = (USHORT)(DBGKD_MAJOR_NT << 8 | (NtBuildNumber >> 28 & 0xF));
  KdVersionBlock.MinorVersion = (USHORT)NtBuildNumber;
  KdVersionBlock.ProtocolVersion = DBGKD_64BIT_PROTOCOL_VERSION2;
  KdVersionBlock.KdSecondaryVersion = CURRENT_KD_SECONDARY_VERSION;
  KdVersionBlock.Flags = DBGKD_VERS_FLAG_MP | DBGKD_VERS_FLAG_DATA | DBGKD_VERS_FLAG_PTR64;
  KdVersionBlock.MachineType = IMAGE_FILE_MACHINE_AMD64;
  KdVersionBlock.MaxPacketType = PACKET_TYPE_MAX;
  KdVersionBlock.MaxStateChange = DbgKdMaximumStateChange - DbgKdMinimumStateChange;
  KdVersionBlock.MaxManipulate = DbgKdMaximumManipulate - DbgKdMinimumManipulate;
  KdVersionBlock.Simulation = DBGKD_SIMULATION_NONE;
  KdVersionBlock.KernBase = (ULONG64)PsNtosImageBase;
  KdVersionBlock.PsLoadedModuleList = (ULONG64)&PsLoadedModuleList;
  KdVersionBlock.DebuggerDataList = (ULONG64)&KdpDebuggerDataListHead;
  KeGetPcr()->KdVersionBlock = &KdVersionBlock;
}

VOID KdpShareDebuggerState(VOID)
{
  SharedUserData->KdDebuggerEnabled = (BOOLEAN)((KdDebuggerEnabled ? 1 : 0) | (KdDebuggerNotPresent ? 0 : 2));
}

/* The images of the loader, in its order: the kernel first. */
static VOID KdpReportBootImages(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  PLIST_ENTRY Head = &LoaderBlock->LoadOrderListHead, Link;
  ULONG Count = 0;

  for (Link = Head->Flink; Link != Head && Count < KDP_LOAD_LIMIT; Link = Link->Flink, Count++) {
    PKLDR_DATA_TABLE_ENTRY Entry = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    CHAR Buffer[128];
    STRING Name;
    ULONG Index, Characters = Entry->FullDllName.Length / sizeof(WCHAR);

    Characters = min(Characters, (ULONG)sizeof(Buffer));
    for (Index = 0; Index < Characters; Index++) {
      WCHAR Character = Entry->FullDllName.Buffer[Index];

      Buffer[Index] = Character < 0x80 ? (CHAR)Character : '?';
    }
    Name.Buffer = Buffer;
    Name.Length = Name.MaximumLength = (USHORT)Characters;
    DbgLoadImageSymbols(&Name, Entry->DllBase, (ULONG_PTR)-1);
  }
}

BOOLEAN KdInitSystem(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  if (Phase != 0) {
    if (KdDebuggerEnabled) {
      KdDebuggerInitialize1(LoaderBlock);
      if (KdBreakAfterSymbolLoad) {
        DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C);
      }
    }
    return TRUE;
  }
  if (KdDebuggerEnabled) {
    return TRUE;
  }
  KdpFillVersion();
  KdpFillDebuggerData(LoaderBlock);
  if (KdpHasOption(LoaderBlock, "NODEBUG")) {
    KdpShareDebuggerState();
    return TRUE;
  }
  KdpContext.KdpDefaultRetries = KDP_FIRST_RETRIES;
  if (!NT_SUCCESS(KdDebuggerInitialize0(LoaderBlock))) {
    KdpShareDebuggerState();
    return TRUE; /* no port: the machine runs without a debugger, as NT does */
  }
  KdPitchDebugger = FALSE;
  KdDebuggerEnabled = TRUE;
  KdDebuggerNotPresent = FALSE;
  KdBreakAfterSymbolLoad = KdpHasOption(LoaderBlock, "BREAK");
  KdpShareDebuggerState();
  KdpReportBootImages(LoaderBlock);
  return TRUE;
}

NTSTATUS KdDisableDebugger(VOID)
{
  BOOLEAN Enable;

  if (!KdDebuggerEnabled) {
    return STATUS_DEBUGGER_INACTIVE;
  }
  Enable = KdEnterDebugger(NULL, NULL);
  KdpSuspendAllBreakpoints();
  KdDebuggerEnabled = FALSE;
  KdExitDebugger(Enable);
  return STATUS_SUCCESS;
}

NTSTATUS KdEnableDebugger(VOID)
{
  BOOLEAN Enable;

  if (KdDebuggerEnabled || KdPitchDebugger) {
    return KdDebuggerEnabled ? STATUS_SUCCESS : STATUS_DEBUGGER_INACTIVE;
  }
  Enable = KdEnterDebugger(NULL, NULL);
  KdDebuggerEnabled = TRUE;
  KdpRestoreAllBreakpoints();
  KdExitDebugger(Enable);
  return STATUS_SUCCESS;
}
