/*
 * kddata.c - filling KDDEBUGGER_DATA64 from the kernel's own symbols and types.
 *
 * DebuggerDataList (GetVersion) points at a list head; its Flink is the block.  What this kernel has no
 * counterpart for stays 0.
 */
#include "kdp.h"

LIST_ENTRY KdpDebuggerDataListHead;
KDDEBUGGER_DATA64 KdDebuggerDataBlock;

extern PCHAR KdPrintCircularBuffer, KdPrintWritePointer;
extern ULONG KdPrintBufferSize, KdPrintRolloverCount;

#define FIELD16(type, field) ((USHORT)FIELD_OFFSET(type, field))
#define POINTER(symbol) ((ULONG64) & (symbol))

static VOID KdpFillPointers(PKDDEBUGGER_DATA64 Data)
{
  static ULONG MmPageSizeValue = (ULONG)PAGE_SIZE;

  Data->KernBase = (ULONG64)PsNtosImageBase;
  Data->BreakpointWithStatus = (ULONG64)RtlpBreakWithStatusInstruction;
  Data->PsLoadedModuleList = POINTER(PsLoadedModuleList);
  Data->PsActiveProcessHead = POINTER(PsActiveProcessHead);
  Data->KeTimeIncrement = POINTER(KeMaximumIncrement);
  Data->KiBugcheckData = POINTER(KiBugCheckData);
  Data->MmLowestPhysicalPage = POINTER(MmLowestPhysicalPage);
  Data->MmHighestPhysicalPage = POINTER(MmHighestPhysicalPage);
  Data->MmNumberOfPhysicalPages = POINTER(MmNumberOfPhysicalPages);
  Data->MmPhysicalMemoryBlock = POINTER(MmPhysicalMemoryBlock);
  Data->MmPageSize = POINTER(MmPageSizeValue);
  Data->MmHighestUserAddress = POINTER(MmHighestUserAddress);
  Data->MmSystemRangeStart = POINTER(MmSystemRangeStart);
  Data->MmUserProbeAddress = POINTER(MmUserProbeAddress);
  Data->KdPrintCircularBuffer = (ULONG64)KdPrintCircularBuffer;
  Data->KdPrintCircularBufferEnd = (ULONG64)(KdPrintCircularBuffer + KdPrintBufferSize);
  Data->KdPrintWritePointer = POINTER(KdPrintWritePointer);
  Data->KdPrintRolloverCount = POINTER(KdPrintRolloverCount);
  Data->KdPrintCircularBufferPtr = POINTER(KdPrintCircularBuffer);
  Data->KdPrintBufferSize = POINTER(KdPrintBufferSize);
  Data->NtBuildLab = (ULONG64)NtBuildLab;
  Data->KiProcessorBlock = (ULONG64)KiProcessorBlock;
  Data->KeLoaderBlock = POINTER(KeLoaderBlock);
  Data->PteBase = MmPteBase;
}

static VOID KdpFillOffsets(PKDDEBUGGER_DATA64 Data)
{
  Data->OffsetKThreadNextProcessor = FIELD16(KTHREAD, NextProcessor);
  Data->OffsetKThreadTeb = FIELD16(KTHREAD, Teb);
  Data->OffsetKThreadKernelStack = FIELD16(KTHREAD, KernelStack);
  Data->OffsetKThreadInitialStack = FIELD16(KTHREAD, InitialStack);
  Data->OffsetKThreadApcProcess = FIELD16(KTHREAD, ApcState.Process);
  Data->OffsetKThreadState = FIELD16(KTHREAD, State);
  Data->OffsetKThreadStackLimit = (ULONG)FIELD_OFFSET(KTHREAD, StackLimit);
  Data->OffsetKThreadStackBase = (ULONG)FIELD_OFFSET(KTHREAD, StackBase);
  Data->OffsetKThreadWaitReason = FIELD16(KTHREAD, WaitReason);
  Data->SizeEThread = sizeof(ETHREAD);
  Data->SizeEProcess = sizeof(EPROCESS);
  Data->OffsetEprocessPeb = FIELD16(EPROCESS, Peb);
  Data->OffsetEprocessParentCID = FIELD16(EPROCESS, InheritedFromUniqueProcessId);
  Data->OffsetEprocessDirectoryTableBase = FIELD16(EPROCESS, Pcb.DirectoryTableBase);

  Data->SizePrcb = sizeof(KPRCB);
  Data->OffsetPrcbDpcRoutine = FIELD16(KPRCB, DpcRoutineActive);
  Data->OffsetPrcbCurrentThread = FIELD16(KPRCB, CurrentThread);
  Data->OffsetPrcbMhz = FIELD16(KPRCB, MHz);
  Data->OffsetPrcbCpuType = FIELD16(KPRCB, CpuType);
  Data->OffsetPrcbVendorString = FIELD16(KPRCB, VendorString);
  Data->OffsetPrcbProcStateContext = FIELD16(KPRCB, ProcessorState.ContextFrame);
  Data->OffsetPrcbProcStateSpecialReg = FIELD16(KPRCB, ProcessorState.SpecialRegisters);
  Data->OffsetPrcbNumber = FIELD16(KPRCB, Number);
  Data->OffsetPrcbContext = FIELD16(KPRCB, Context);
  Data->OffsetPrcbIdleThread = FIELD16(KPRCB, IdleThread);
  Data->OffsetPrcbDpcStack = FIELD16(KPRCB, DpcStack);

  Data->SizePcr = sizeof(KPCR);
  Data->OffsetPcrSelfPcr = FIELD16(KPCR, Self);
  Data->OffsetPcrCurrentPrcb = FIELD16(KPCR, CurrentPrcb);
  Data->OffsetPcrContainedPrcb = FIELD16(KPCR, Prcb);

  Data->GdtR0Code = KGDT64_R0_CODE;
  Data->GdtR0Data = KGDT64_R0_DATA;
  Data->GdtR3Code = KGDT64_R3_CODE;
  Data->GdtR3Data = KGDT64_R3_DATA;
  Data->GdtTss = KGDT64_SYS_TSS;
  Data->Gdt64R3CmCode = KGDT64_R3_CMCODE;
  Data->Gdt64R3CmTeb = KGDT64_R3_CMTEB;
}

VOID KdpFillDebuggerData(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  PKDDEBUGGER_DATA64 Data = &KdDebuggerDataBlock;

  UNREFERENCED_PARAMETER(LoaderBlock);
  InitializeListHead(&KdpDebuggerDataListHead);
  InsertTailList(&KdpDebuggerDataListHead, &Data->Header.List);
  Data->Header.OwnerTag = KDBG_TAG;
  Data->Header.Size = sizeof(*Data);
  KdpFillPointers(Data);
  KdpFillOffsets(Data);
}
