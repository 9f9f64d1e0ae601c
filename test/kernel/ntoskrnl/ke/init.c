/*
 * init.c: from the loader's jump to the idle loop of every processor.
 *
 * Order on the boot processor: KPCR, descriptor tables, memory, console, time, module list, the KD stub, interrupt
 * controllers, then the first threads; Phase1Initialization (a system thread) does what may wait.
 */
#include "ki.h"

KPCR KiInitialPCR = {.Self = NULL};
PKPRCB KiProcessorBlock[MAXIMUM_PROCESSORS];
volatile ULONG KeNumberProcessors = 1;
PLOADER_PARAMETER_BLOCK KeLoaderBlock;
ULONG NtBuildNumber = 0xF0000000u | NT_BUILD_NUMBER;
CHAR NtBuildLab[] = "19041.1.amd64fre.vmkd_demo.261123-0000";
PVOID PsNtosImageBase;
static PVOID FirstStack;

extern VOID KiDivideErrorFault(VOID), KiDebugTrapOrFault(VOID), KiNmiInterrupt(VOID), KiBreakpointTrap(VOID),
    KiOverflowTrap(VOID), KiBoundFault(VOID), KiInvalidOpcodeFault(VOID), KiNpxNotAvailableFault(VOID),
    KiDoubleFaultAbort(VOID), KiNpxSegmentOverrunAbort(VOID), KiInvalidTssFault(VOID), KiSegmentNotPresentFault(VOID),
    KiStackFault(VOID), KiGeneralProtectionFault(VOID), KiPageFault(VOID), KiFloatingErrorFault(VOID),
    KiAlignmentFault(VOID), KiMcheckAbort(VOID), KiXmmException(VOID), KiDebugServiceTrap(VOID), KiDpcInterrupt(VOID),
    HalpConsoleInterrupt(VOID), HalpTimerClockInterrupt(VOID), KiIpiInterrupt(VOID), KiUnexpectedInterrupt(VOID),
    HalpSpuriousInterrupt(VOID);

VOID ExInitializePool(VOID);
VOID MmInitializeDebugPte(VOID);

#define IST_DOUBLE_FAULT 1
#define IST_MACHINE_CHECK 2
#define IST_NMI 3

static const struct {
  UCHAR Vector, Dpl, Ist;
  VOID (*Handler)(VOID);
} KiInterruptInitTable[] = {
    {0x00, 0, 0, KiDivideErrorFault},
    {0x01, 0, 0, KiDebugTrapOrFault},
    {0x02, 0, IST_NMI, KiNmiInterrupt},
    {0x03, 3, 0, KiBreakpointTrap},
    {0x04, 3, 0, KiOverflowTrap},
    {0x05, 0, 0, KiBoundFault},
    {0x06, 0, 0, KiInvalidOpcodeFault},
    {0x07, 0, 0, KiNpxNotAvailableFault},
    {0x08, 0, IST_DOUBLE_FAULT, KiDoubleFaultAbort},
    {0x09, 0, 0, KiNpxSegmentOverrunAbort},
    {0x0A, 0, 0, KiInvalidTssFault},
    {0x0B, 0, 0, KiSegmentNotPresentFault},
    {0x0C, 0, 0, KiStackFault},
    {0x0D, 0, 0, KiGeneralProtectionFault},
    {0x0E, 0, 0, KiPageFault},
    {0x10, 0, 0, KiFloatingErrorFault},
    {0x11, 0, 0, KiAlignmentFault},
    {0x12, 0, IST_MACHINE_CHECK, KiMcheckAbort},
    {0x13, 0, 0, KiXmmException},
    {0x2D, 3, 0, KiDebugServiceTrap},
    {DISPATCH_VECTOR, 0, 0, KiDpcInterrupt},
    {CONSOLE_VECTOR, 0, 0, HalpConsoleInterrupt},
    {CLOCK_VECTOR, 0, 0, HalpTimerClockInterrupt},
    {SPURIOUS_VECTOR, 0, 0, HalpSpuriousInterrupt},
    {IPI_VECTOR, 0, 0, KiIpiInterrupt},
};

/* The tables of one processor; the first one's are static, as nothing can be allocated yet. */
typedef struct DECLSPEC_ALIGN(4096) _KI_PROCESSOR_TABLES {
  KIDTENTRY64 Idt[256];
  KGDTENTRY64 Gdt[12];
  DECLSPEC_ALIGN(16) KTSS64 Tss;
  DECLSPEC_ALIGN(16) UCHAR IstStacks[3][0x6000]; /* the debugger runs on the NMI's while its processor is looked at */
} KI_PROCESSOR_TABLES, *PKI_PROCESSOR_TABLES;
static KI_PROCESSOR_TABLES BootTables;

typedef struct __attribute__((packed)) _TABLE_REGISTER {
  USHORT Limit;
  PVOID Base;
} TABLE_REGISTER;

static VOID SetGate(PKIDTENTRY64 Entry, VOID (*Handler)(VOID), UCHAR Dpl, UCHAR Ist)
{
  ULONG64 Offset = (ULONG64)Handler;
  *Entry = (KIDTENTRY64){.OffsetLow = (USHORT)Offset,
                         .Selector = KGDT64_R0_CODE,
                         .IstIndex = Ist,
                         .Type = 0xE,
                         .Dpl = Dpl,
                         .Present = 1,
                         .OffsetMiddle = (USHORT)(Offset >> 16),
                         .OffsetHigh = (ULONG)(Offset >> 32)};
}

static VOID LoadTables(PKPCR Pcr, PKI_PROCESSOR_TABLES Tables)
{
  ULONG64 Tss = (ULONG64)&Tables->Tss;
  Tables->Gdt[KGDT64_R0_CODE / 8].Alignment = 0x00209B0000000000;
  Tables->Gdt[KGDT64_R0_DATA / 8].Alignment = 0x00CF93000000FFFF;
  Tables->Gdt[KGDT64_R3_CMCODE / 8].Alignment = 0x00CFFB000000FFFF;
  Tables->Gdt[KGDT64_R3_DATA / 8].Alignment = 0x00CFF3000000FFFF;
  Tables->Gdt[KGDT64_R3_CODE / 8].Alignment = 0x0020FB0000000000;
  Tables->Gdt[KGDT64_R3_CMTEB / 8].Alignment = 0x0040F30000003C00;
  Tables->Gdt[KGDT64_SYS_TSS / 8].Alignment = 0x0000890000000067 | (Tss & 0xFFFFFF) << 16 | (Tss >> 24 & 0xFF) << 56;
  Tables->Gdt[KGDT64_SYS_TSS / 8 + 1].Alignment = Tss >> 32;
  for (ULONG I = 0; I < 256; I++) SetGate(&Tables->Idt[I], KiUnexpectedInterrupt, 0, 0);
  for (ULONG I = 0; I < RTL_NUMBER_OF(KiInterruptInitTable); I++)
    SetGate(&Tables->Idt[KiInterruptInitTable[I].Vector], KiInterruptInitTable[I].Handler,
            KiInterruptInitTable[I].Dpl, KiInterruptInitTable[I].Ist);
  for (ULONG I = 0; I < 3; I++) Tables->Tss.Ist[I + 1] = (ULONG64)(Tables->IstStacks[I] + sizeof(Tables->IstStacks[I]));
  Tables->Tss.IoMapBase = sizeof(KTSS64);
  Pcr->GdtBase = Tables->Gdt;
  Pcr->TssBase = &Tables->Tss;
  Pcr->IdtBase = Tables->Idt;
  Pcr->Prcb.NmiStack = (PVOID)Tables->Tss.Ist[IST_NMI];
  TABLE_REGISTER Gdtr = {sizeof(Tables->Gdt) - 1, Tables->Gdt}, Idtr = {sizeof(Tables->Idt) - 1, Tables->Idt};
  KiLoadGdt(&Gdtr, KGDT64_SYS_TSS);
  KiLoadIdt(&Idtr);
}

static VOID ReadFeatures(PKPRCB Prcb)
{
  ULONG R[4];
  KiCpuid(0, 0, R);
  *(PULONG)Prcb->VendorString = R[1];
  *(PULONG)(Prcb->VendorString + 4) = R[3];
  *(PULONG)(Prcb->VendorString + 8) = R[2];
  KiCpuid(1, 0, R);
  ULONG Family = R[0] >> 8 & 15, Model = R[0] >> 4 & 15;
  if (Family == 15) Family += R[0] >> 20 & 0xFF;
  if (Family == 6 || Family >= 15) Model |= R[0] >> 12 & 0xF0;
  Prcb->CpuType = (CCHAR)Family;
  Prcb->CpuID = 1;
  Prcb->CpuModel = (UCHAR)Model;
  Prcb->CpuStepping = R[0] & 15;
  Prcb->InitialApicId = R[1] >> 24;
  Prcb->CFlushSize = (R[1] >> 8 & 0xFF) * 8;
  Prcb->FeatureBits = (ULONG64)R[2] << 32 | R[3];
}

/* Makes this processor a processor of the kernel: control registers, MSRs, tables, GS. */
VOID KiInitializeProcessor(PKPCR Pcr, ULONG Number, PVOID Tables)
{
  PKPRCB Prcb = &Pcr->Prcb;
  LoadTables(Pcr, Tables);
  Pcr->Self = Pcr;
  Pcr->CurrentPrcb = Prcb;
  Pcr->MajorVersion = 1;
  Pcr->MinorVersion = 1;
  Prcb->MajorVersion = 1;
  Prcb->MinorVersion = 1;
  Prcb->Number = Number;
  Prcb->LegacyNumber = (UCHAR)Number;
  Prcb->MxCsr = 0x1F80;
  InitializeListHead(&Prcb->DpcListHead);
  KiWriteMsr(MSR_GS_BASE, (ULONG64)Pcr);
  KiWriteMsr(MSR_GS_SWAP, 0);
  KiWriteMsr(MSR_STAR, (ULONG64)(KGDT64_R3_CMCODE | RPL_MASK) << 48 | (ULONG64)KGDT64_R0_CODE << 32);
  KiWriteMsr(MSR_LSTAR, (ULONG64)KiSystemCall64);
  KiWriteMsr(MSR_CSTAR, (ULONG64)KiSystemCall32);
  KiWriteMsr(MSR_SYSCALL_MASK, 0x4700); /* TF, IF, DF, NT */
  KiWriteCr0(0x80050033);               /* PG, AM, WP, NE, ET, MP, PE */
  KiWriteDr7(0);
  KiWriteDr6(0xFFFF0FF0);
  ReadFeatures(Prcb);
  ULONG Registers[4];
  KiCpuid(7, 0, Registers);
  if (Registers[1] & (1u << 7)) KiWriteCr4(KiReadCr4() | (1ull << 20)); /* SMEP */
  KiProcessorBlock[Number] = Prcb;
}

static VOID InitializeSharedData(VOID)
{
  ULONG64 Page = MiAllocatePage();
  MiWritePte(KI_USER_SHARED_DATA, Page << PAGE_SHIFT | PTE_KERNEL_DATA);
  PKUSER_SHARED_DATA Data = SharedUserData;
  RtlCopyMemory(Data->NtSystemRoot, L"C:\\Windows", sizeof(L"C:\\Windows"));
  Data->TickCountMultiplier = 0x0FA00000; /* 15.625 ms */
  Data->ImageNumberLow = Data->ImageNumberHigh = IMAGE_FILE_MACHINE_AMD64;
  Data->LargePageMinimum = (ULONG)LARGE_PAGE_SIZE;
  Data->NtBuildNumber = NT_BUILD_NUMBER;
  Data->NtProductType = 1;
  Data->ProductTypeIsValid = TRUE;
  Data->NativeProcessorArchitecture = 9;
  Data->NtMajorVersion = NT_MAJOR_VERSION;
  Data->NtMinorVersion = NT_MINOR_VERSION;
  Data->NumberOfPhysicalPages = (ULONG)MmNumberOfPhysicalPages;
  Data->QpcFrequency = 10000000;
  Data->ActiveGroupCount = 1;
  Data->ActiveProcessorCount = 1;
  Data->ProcessorFeatures[10] = TRUE; /* SSE2 */
  Data->ProcessorFeatures[12] = TRUE; /* NX */
}

/* On the idle thread's stack, interrupts still off. */
static VOID StartSystem(VOID)
{
  PETHREAD Thread;
  HalpInitializeLocalApic(TRUE);
  HalpEnableConsoleInterrupt();
  KeGetCurrentPrcb()->ClockOwner = 1;
  PspCreateThread(PsInitialSystemProcess, Phase1Initialization, NULL, "Phase1Initialization", ~0ull, &Thread);
  HalpStartClock();
  KiIdleLoop();
}

VOID KiSystemStartup(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  KeLoaderBlock = LoaderBlock;
  PsNtosImageBase = (PVOID)LoaderBlock->Images[0].ImageBase;
  MmPhysicalWindow = LoaderBlock->PhysicalWindow;
  KiInitializeProcessor(&KiInitialPCR, 0, &BootTables);
  HalpInitializeConsole();
  HalpInitializeTime();
  KiInitialPCR.StallScaleFactor = (ULONG)(HalpTscFrequency / 1000000);
  KiInitialPCR.Prcb.MHz = KiInitialPCR.StallScaleFactor;
  MmInitializeMemory(LoaderBlock);
  *MiGetPxeAddress(0) = 0; /* the loader's identity mapping goes */
  KiWriteCr3(LoaderBlock->Cr3);
  InitializeSharedData();
  KiSetTime();
  MmInitializeDebugPte();
  ExInitializePool();
  FirstStack = MmCreateKernelStack();
  PsInitializeSystem();
  PspCreateIdleThread(&KiInitialPCR.Prcb, FirstStack);
  LdrpInitializeModuleList(LoaderBlock);
  ConsolePrint("vmkd demo kernel, build %u, %lu MiB, kernel at %p\n", NT_BUILD_NUMBER,
               (ULONG)(MmNumberOfPhysicalPages >> 8), PsNtosImageBase);
  HalpReadAcpi();
  KdInitSystem(0, LoaderBlock);
  KiSwitchStack(KiInitialPCR.Prcb.IdleThread->InitialStack, StartSystem);
}

/* Another processor, from the trampoline: still on the trampoline's tables. */
VOID KiStartProcessor(PKPCR Pcr)
{
  ULONG64 Cr3 = PsInitialSystemProcess->Pcb.DirectoryTableBase;
  KiWriteCr3(Cr3);
  KiInitializeProcessor(Pcr, Pcr->Prcb.Number, Pcr->Prcb.DpcStack);
  HalpInitializeLocalApic(FALSE);
  Pcr->Prcb.InitialApicId = HalpApicId();
  KeMemoryBarrier();
  KeNumberProcessors = Pcr->Prcb.Number + 1; /* KeStartAllProcessors waits for this */
  SharedUserData->ActiveProcessorCount = KeNumberProcessors;
  HalpStartClock();
  KiIdleLoop();
}

#define START_LIMIT_MS 1000

VOID KeStartAllProcessors(VOID)
{
  ULONG64 Trampoline = KeLoaderBlock->TrampolinePage;
  PUCHAR Code = MiPhysicalWindow(Trampoline);
  /* A page table of its own, with the trampoline at its physical address, below 4 GiB for the 32-bit load of CR3. */
  ULONG64 Cr3 = MmCreateProcessAddressSpace();
  if (!Cr3) return;
  KPROCESS Starting = {.DirectoryTableBase = Cr3};
  KeAttachProcess(&Starting);
  MiWritePte(Trampoline, Trampoline | PTE_PRESENT | PTE_WRITE);
  KeDetachProcess();
  for (ULONG I = 0; I < HalpProcessorCount && KeNumberProcessors < MAXIMUM_PROCESSORS; I++) {
    if (HalpApicIds[I] == KiInitialPCR.Prcb.InitialApicId) continue;
    ULONG Number = KeNumberProcessors;
    PKPCR Pcr = MiAllocateSystemPages(ROUND_UP(sizeof(KPCR), PAGE_SIZE) >> PAGE_SHIFT, PTE_KERNEL_DATA);
    PVOID Tables = MiAllocateSystemPages(ROUND_UP(sizeof(KI_PROCESSOR_TABLES), PAGE_SIZE) >> PAGE_SHIFT, PTE_KERNEL_DATA);
    PVOID Stack = MmCreateKernelStack();
    if (!Pcr || !Tables || !Stack) KeBugCheckEx(PHASE1_INITIALIZATION_FAILED, 1, I, 0, 0);
    Pcr->Prcb.Number = Number;
    Pcr->Prcb.DpcStack = Tables;
    Pcr->StallScaleFactor = KiInitialPCR.StallScaleFactor;
    Pcr->Prcb.MHz = KiInitialPCR.Prcb.MHz;
    PspCreateIdleThread(&Pcr->Prcb, Stack);
    RtlCopyMemory(Code, KiApTrampoline, (SIZE_T)(KiApTrampolineEnd - KiApTrampoline));
    *(PULONG64)(Code + 0x10) = Cr3;
    *(PULONG64)(Code + 0x18) = (ULONG64)Pcr->Prcb.IdleThread->InitialStack;
    *(PULONG64)(Code + 0x20) = (ULONG64)KiStartProcessor;
    *(PULONG64)(Code + 0x28) = (ULONG64)Pcr;
    HalpSendIpi(HalpApicIds[I], APIC_INIT);
    KeStallExecutionProcessor(1000);
    HalpSendIpi(HalpApicIds[I], APIC_STARTUP | (ULONG)(Trampoline >> PAGE_SHIFT));
    for (ULONG Waited = 0; KeNumberProcessors == Number && Waited < START_LIMIT_MS * 10; Waited++) {
      KeStallExecutionProcessor(100);
      if (Waited == 100) HalpSendIpi(HalpApicIds[I], APIC_STARTUP | (ULONG)(Trampoline >> PAGE_SHIFT));
    }
    if (KeNumberProcessors == Number) ConsolePrint("processor with APIC id %lu did not start\n", HalpApicIds[I]);
  }
}
