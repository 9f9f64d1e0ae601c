/*
 * kddata.h - KDDEBUGGER_DATA64, the map of a kernel that every debugger reads after GetVersion.
 *
 * Source of truth: wdbgexts.h (names and order); the size is that of Windows 10 builds from 17763 on.
 * A field that a kernel does not have stays 0; debuggers take 0 as "not there".
 */
#ifndef _KDDATA_H_
#define _KDDATA_H_

#include "nt.h"

#define KDBG_TAG 0x4742444B /* "KDBG" */

typedef struct _DBGKD_DEBUG_DATA_HEADER64 {
  LIST_ENTRY List;
  ULONG OwnerTag;
  ULONG Size;
} DBGKD_DEBUG_DATA_HEADER64;

typedef struct _KDDEBUGGER_DATA64 {
  DBGKD_DEBUG_DATA_HEADER64 Header;
  ULONG64 KernBase;
  ULONG64 BreakpointWithStatus;
  ULONG64 SavedContext;
  USHORT ThCallbackStack;
  USHORT NextCallback;
  USHORT FramePointer;
  USHORT PaeEnabled : 1;
  ULONG64 KiCallUserMode;
  ULONG64 KeUserCallbackDispatcher;
  ULONG64 PsLoadedModuleList;
  ULONG64 PsActiveProcessHead;
  ULONG64 PspCidTable;
  ULONG64 ExpSystemResourcesList;
  ULONG64 ExpPagedPoolDescriptor;
  ULONG64 ExpNumberOfPagedPools;
  ULONG64 KeTimeIncrement;
  ULONG64 KeBugCheckCallbackListHead;
  ULONG64 KiBugcheckData;
  ULONG64 IopErrorLogListHead;
  ULONG64 ObpRootDirectoryObject;
  ULONG64 ObpTypeObjectType;
  ULONG64 MmSystemCacheStart;
  ULONG64 MmSystemCacheEnd;
  ULONG64 MmSystemCacheWs;
  ULONG64 MmPfnDatabase;
  ULONG64 MmSystemPtesStart;
  ULONG64 MmSystemPtesEnd;
  ULONG64 MmSubsectionBase;
  ULONG64 MmNumberOfPagingFiles;
  ULONG64 MmLowestPhysicalPage;
  ULONG64 MmHighestPhysicalPage;
  ULONG64 MmNumberOfPhysicalPages;
  ULONG64 MmMaximumNonPagedPoolInBytes;
  ULONG64 MmNonPagedSystemStart;
  ULONG64 MmNonPagedPoolStart;
  ULONG64 MmNonPagedPoolEnd;
  ULONG64 MmPagedPoolStart;
  ULONG64 MmPagedPoolEnd;
  ULONG64 MmPagedPoolInformation;
  ULONG64 MmPageSize;
  ULONG64 MmSizeOfPagedPoolInBytes;
  ULONG64 MmTotalCommitLimit;
  ULONG64 MmTotalCommittedPages;
  ULONG64 MmSharedCommit;
  ULONG64 MmDriverCommit;
  ULONG64 MmProcessCommit;
  ULONG64 MmPagedPoolCommit;
  ULONG64 MmExtendedCommit;
  ULONG64 MmZeroedPageListHead;
  ULONG64 MmFreePageListHead;
  ULONG64 MmStandbyPageListHead;
  ULONG64 MmModifiedPageListHead;
  ULONG64 MmModifiedNoWritePageListHead;
  ULONG64 MmAvailablePages;
  ULONG64 MmResidentAvailablePages;
  ULONG64 PoolTrackTable;
  ULONG64 NonPagedPoolDescriptor;
  ULONG64 MmHighestUserAddress;
  ULONG64 MmSystemRangeStart;
  ULONG64 MmUserProbeAddress;
  ULONG64 KdPrintCircularBuffer;
  ULONG64 KdPrintCircularBufferEnd;
  ULONG64 KdPrintWritePointer;
  ULONG64 KdPrintRolloverCount;
  ULONG64 MmLoadedUserImageList;
  ULONG64 NtBuildLab;
  ULONG64 KiNormalSystemCall;
  ULONG64 KiProcessorBlock;
  ULONG64 MmUnloadedDrivers;
  ULONG64 MmLastUnloadedDriver;
  ULONG64 MmTriageActionTaken;
  ULONG64 MmSpecialPoolTag;
  ULONG64 KernelVerifier;
  ULONG64 MmVerifierData;
  ULONG64 MmAllocatedNonPagedPool;
  ULONG64 MmPeakCommitment;
  ULONG64 MmTotalCommitLimitMaximum;
  ULONG64 CmNtCSDVersion;
  ULONG64 MmPhysicalMemoryBlock;
  ULONG64 MmSessionBase;
  ULONG64 MmSessionSize;
  ULONG64 MmSystemParentTablePage;
  ULONG64 MmVirtualTranslationBase;
  USHORT OffsetKThreadNextProcessor;
  USHORT OffsetKThreadTeb;
  USHORT OffsetKThreadKernelStack;
  USHORT OffsetKThreadInitialStack;
  USHORT OffsetKThreadApcProcess;
  USHORT OffsetKThreadState;
  USHORT OffsetKThreadBStore;
  USHORT OffsetKThreadBStoreLimit;
  USHORT SizeEProcess;
  USHORT OffsetEprocessPeb;
  USHORT OffsetEprocessParentCID;
  USHORT OffsetEprocessDirectoryTableBase;
  USHORT SizePrcb;
  USHORT OffsetPrcbDpcRoutine;
  USHORT OffsetPrcbCurrentThread;
  USHORT OffsetPrcbMhz;
  USHORT OffsetPrcbCpuType;
  USHORT OffsetPrcbVendorString;
  USHORT OffsetPrcbProcStateContext;
  USHORT OffsetPrcbNumber;
  USHORT SizeEThread;
  UCHAR L1tfHighPhysicalBitIndex;
  UCHAR L1tfSwizzleBitIndex;
  ULONG Padding0;
  ULONG64 KdPrintCircularBufferPtr;
  ULONG64 KdPrintBufferSize;
  ULONG64 KeLoaderBlock;
  USHORT SizePcr;
  USHORT OffsetPcrSelfPcr;
  USHORT OffsetPcrCurrentPrcb;
  USHORT OffsetPcrContainedPrcb;
  USHORT OffsetPcrInitialBStore;
  USHORT OffsetPcrBStoreLimit;
  USHORT OffsetPcrInitialStack;
  USHORT OffsetPcrStackLimit;
  USHORT OffsetPrcbPcrPage;
  USHORT OffsetPrcbProcStateSpecialReg;
  USHORT GdtR0Code;
  USHORT GdtR0Data;
  USHORT GdtR0Pcr;
  USHORT GdtR3Code;
  USHORT GdtR3Data;
  USHORT GdtR3Teb;
  USHORT GdtLdt;
  USHORT GdtTss;
  USHORT Gdt64R3CmCode;
  USHORT Gdt64R3CmTeb;
  ULONG64 IopNumTriageDumpDataBlocks;
  ULONG64 IopTriageDumpDataBlocks;
  ULONG64 VfCrashDataBlock;
  ULONG64 MmBadPagesDetected;
  ULONG64 MmZeroedPageSingleBitErrorsDetected;
  ULONG64 EtwpDebuggerData;
  USHORT OffsetPrcbContext;
  USHORT OffsetPrcbMaxBreakpoints;
  USHORT OffsetPrcbMaxWatchpoints;
  ULONG OffsetKThreadStackLimit;
  ULONG OffsetKThreadStackBase;
  ULONG OffsetKThreadQueueListEntry;
  ULONG OffsetEThreadIrpList;
  USHORT OffsetPrcbIdleThread;
  USHORT OffsetPrcbNormalDpcState;
  USHORT OffsetPrcbDpcStack;
  USHORT OffsetPrcbIsrStack;
  USHORT SizeKDPC_STACK_FRAME;
  USHORT OffsetKPriQueueThreadListHead;
  USHORT OffsetKThreadWaitReason;
  USHORT Padding1;
  ULONG64 PteBase;
  ULONG64 RetpolineStubFunctionTable;
  ULONG RetpolineStubFunctionTableSize;
  ULONG RetpolineStubOffset;
  ULONG RetpolineStubSize;
  USHORT OffsetEProcessMmHotPatchContext;
} KDDEBUGGER_DATA64, *PKDDEBUGGER_DATA64;

#define KDBG_AT(field, offset)                                                                               \
  _Static_assert(__builtin_offsetof(KDDEBUGGER_DATA64, field) == (offset),                                   \
                 "KDBG " #field " is not at " #offset)
KDBG_AT(Header.OwnerTag, 0x10);
KDBG_AT(Header.Size, 0x14);
KDBG_AT(KernBase, 0x18);
KDBG_AT(BreakpointWithStatus, 0x20);
KDBG_AT(KiCallUserMode, 0x38);
KDBG_AT(PsLoadedModuleList, 0x48);
KDBG_AT(PsActiveProcessHead, 0x50);
KDBG_AT(PspCidTable, 0x58);
KDBG_AT(KiBugcheckData, 0x88);
KDBG_AT(MmPfnDatabase, 0xC0);
KDBG_AT(MmSystemRangeStart, 0x1D0);
KDBG_AT(MmUserProbeAddress, 0x1D8);
KDBG_AT(KdPrintCircularBuffer, 0x1E0);
KDBG_AT(MmLoadedUserImageList, 0x200);
KDBG_AT(NtBuildLab, 0x208);
KDBG_AT(KiProcessorBlock, 0x218);
KDBG_AT(MmUnloadedDrivers, 0x220);
KDBG_AT(CmNtCSDVersion, 0x268);
KDBG_AT(MmHighestPhysicalPage, 0xF0);
KDBG_AT(MmPhysicalMemoryBlock, 0x270);
KDBG_AT(OffsetKThreadTeb, 0x29A);
KDBG_AT(OffsetKThreadApcProcess, 0x2A0);
KDBG_AT(OffsetEprocessPeb, 0x2AA);
KDBG_AT(OffsetEprocessDirectoryTableBase, 0x2AE);
KDBG_AT(SizePrcb, 0x2B0);
KDBG_AT(OffsetPrcbCurrentThread, 0x2B4);
KDBG_AT(OffsetPrcbProcStateContext, 0x2BC);
KDBG_AT(OffsetPrcbNumber, 0x2BE);
KDBG_AT(L1tfHighPhysicalBitIndex, 0x2C2);
KDBG_AT(L1tfSwizzleBitIndex, 0x2C3);
KDBG_AT(KeLoaderBlock, 0x2D8);
KDBG_AT(OffsetPcrSelfPcr, 0x2E2);
KDBG_AT(OffsetPcrContainedPrcb, 0x2E6);
KDBG_AT(OffsetPrcbProcStateSpecialReg, 0x2F2);
KDBG_AT(GdtR0Code, 0x2F4);
KDBG_AT(Gdt64R3CmTeb, 0x306);
KDBG_AT(VfCrashDataBlock, 0x318);
KDBG_AT(OffsetPrcbContext, 0x338);
KDBG_AT(OffsetKThreadStackLimit, 0x340);
KDBG_AT(OffsetPrcbIdleThread, 0x350);
KDBG_AT(PteBase, 0x360);
_Static_assert(sizeof(KDDEBUGGER_DATA64) == 0x380, "KDDEBUGGER_DATA64 is not 0x380 bytes");

#endif
