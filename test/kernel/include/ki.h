/*
 * ki.h: kernel-private parts of ke/, hal/, ps/, ldr/, io/: what ke.h does not need to show to the KD stub.
 */
#ifndef VMK_KI_H
#define VMK_KI_H

#include "ke.h"
#include "mm.h"

/* ---- Vectors: the high nibble is the IRQL that masks them --------------------------------------------------- */
#define DISPATCH_VECTOR 0x2F
#define CONSOLE_VECTOR 0x81
#define CLOCK_VECTOR 0xD1
#define SPURIOUS_VECTOR 0xDF
#define IPI_VECTOR 0xE1

/* ---- hal ---------------------------------------------------------------------------------------------------- */
VOID HalpInitializeTime(VOID); /* TSC rate, wall clock; needs nothing */
VOID HalpReadAcpi(VOID);
VOID KeQuerySystemTime(PLARGE_INTEGER CurrentTime);
extern ULONG HalpProcessorCount;
extern ULONG HalpApicIds[MAXIMUM_PROCESSORS];
extern ULONG64 HalpTscFrequency;
extern ULONG64 HalpBootSystemTime; /* 100 ns since 1601, at tick 0 */
VOID HalpInitializeLocalApic(BOOLEAN BootProcessor);
VOID HalpStartClock(VOID);
VOID HalpEndOfInterrupt(VOID);
ULONG HalpApicId(VOID);
VOID HalpSendIpi(ULONG ApicId, ULONG Command);
#define APIC_FIXED 0x4000u
#define APIC_NMI 0x4400u
#define APIC_INIT 0xC500u
#define APIC_INIT_DEASSERT 0x8500u
#define APIC_STARTUP 0x4600u
VOID HalpInitializeConsole(VOID);
VOID HalpConsoleInterruptService(VOID);
VOID HalpEnableConsoleInterrupt(VOID);
VOID HalpConsoleWrite(PCSTR Text, SIZE_T Length);
BOOLEAN HalpConsoleRead(PCHAR Character);
extern KEVENT HalpConsoleEvent;

/* ---- ke ----------------------------------------------------------------------------------------------------- */
extern KSPIN_LOCK KiDispatcherLock;
extern PKPRCB volatile KiBugCheckOwner; /* null until the machine goes down */
extern KPCR KiInitialPCR;
extern volatile ULONG64 KiCr3ForStart;
VOID KiInitializeProcessor(PKPCR Pcr, ULONG Number, PVOID Tables);
VOID KeStartAllProcessors(VOID);
VOID KiIdleLoop(VOID);
VOID KiDispatchInterrupt(VOID);
VOID KiClockInterrupt(PKTRAP_FRAME TrapFrame);
VOID KiIpiService(VOID);
/* In an NMI: waits out a freeze; FALSE when the NMI is none of the debugger's. */
BOOLEAN KiFreezeInterrupt(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
VOID KiRequestDispatchInterrupt(PKPRCB Prcb);
VOID KiReadyThread(PKTHREAD Thread, KPRIORITY Increment);
VOID KiSwapThread(VOID);
VOID KiUnwaitThread(PKTHREAD Thread, LONG_PTR WaitStatus);
VOID KiSignalObject(PDISPATCHER_HEADER Header); /* lock held */
BOOLEAN KiLockDispatcher(VOID);
VOID KiUnlockDispatcher(BOOLEAN Enabled);
VOID KiExpireTimers(VOID);
VOID KiRetireDpcList(PKPRCB Prcb);
VOID KiInitializeThread(PETHREAD Thread, PEPROCESS Process, PVOID StackTop, PVOID StartRoutine, PVOID StartContext);
VOID KiSetTime(VOID);

VOID RtlInitUnicodeString(PUNICODE_STRING Destination, PCWSTR Source);
VOID RtlInitAnsiString(PSTRING Destination, PCSTR Source);
BOOLEAN RtlEqualUnicodeString(PUNICODE_STRING A, PUNICODE_STRING B, BOOLEAN IgnoreCase);

VOID KeInitializeEvent(PKEVENT Event, EVENT_TYPE Type, BOOLEAN State);
LONG KeSetEvent(PKEVENT Event, KPRIORITY Increment, BOOLEAN Wait);
NTSTATUS KeWaitForSingleObject(PVOID Object, ULONG WaitReason, KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
                               PLARGE_INTEGER Timeout);
NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable, PLARGE_INTEGER Interval);
VOID KeInitializeDpc(PKDPC Dpc, KDEFERRED_ROUTINE *Routine, PVOID Context);
BOOLEAN KeInsertQueueDpc(PKDPC Dpc, PVOID Argument1, PVOID Argument2);
VOID KeAttachProcess(PKPROCESS Process);
VOID KeDetachProcess(VOID);

/* Assembly. */
VOID KiSwapContext(PKTHREAD Old, PKTHREAD New);
VOID KiThreadStartup(VOID);
VOID DECLSPEC_NORETURN KiSwitchStack(PVOID StackTop, VOID (*Function)(VOID));
VOID DECLSPEC_NORETURN KiEnterUserMode(PVOID Rip, PVOID Rsp, PVOID Argument1, PVOID Argument2);
VOID KiLoadGdt(PVOID Gdtr, USHORT Tr);
VOID KiLoadIdt(PVOID Idtr);
VOID KiStoreGdt(PVOID Gdtr);
VOID KiStoreIdt(PVOID Idtr);
VOID KiIdleHalt(VOID);
VOID KiSystemCall64(VOID);
VOID KiSystemCall32(VOID);
VOID RtlCaptureContext(PCONTEXT Context);
VOID DECLSPEC_NORETURN RtlpRestoreContext(PCONTEXT Context);
extern UCHAR KiApTrampoline[], KiApTrampolineEnd[];

/* ---- ps ----------------------------------------------------------------------------------------------------- */
typedef VOID KSTART_ROUTINE(PVOID StartContext);
VOID PsInitializeSystem(VOID);
VOID PspReaper(PVOID Context);
PEPROCESS PspAllocateProcess(PCSTR Name, ULONG64 DirectoryTableBase, HANDLE Id);
VOID PspInsertProcess(PEPROCESS Process);
VOID ObDereferenceObject(PVOID Object);
PETHREAD PspCreateIdleThread(PKPRCB Prcb, PVOID StackTop);
NTSTATUS PspCreateThread(PEPROCESS Process, KSTART_ROUTINE *Routine, PVOID Context, PCSTR Name, KAFFINITY Affinity,
                         PETHREAD *Thread);
NTSTATUS PspCreateUserProcess(PCSTR ImageName, PEPROCESS *Process);
VOID DECLSPEC_NORETURN PspExitThread(NTSTATUS Status);
PEPROCESS PsGetCurrentProcess(VOID);
NTSTATUS PspProvokeUserFault(ULONG Kind);
extern ULONG PspUserSystemCalls;
extern PEPROCESS PspUserProcess;

/* ---- ldr ---------------------------------------------------------------------------------------------------- */
VOID LdrpInitializeModuleList(PLOADER_PARAMETER_BLOCK LoaderBlock);
BOOLEAN LdrpLockModules(VOID); /* PsLoadedModuleList; returns whether interrupts were on */
VOID LdrpUnlockModules(BOOLEAN Enabled);
PLOADER_IMAGE LdrpFindLoaderFile(PCSTR Name);
PKLDR_DATA_TABLE_ENTRY LdrpFindModule(PCSTR BaseName);
PKLDR_DATA_TABLE_ENTRY LdrpModuleOfAddress(ULONG64 Address);
NTSTATUS MmLoadSystemImage(PUNICODE_STRING ImageFileName, PKLDR_DATA_TABLE_ENTRY *Entry);
NTSTATUS MmUnloadSystemImage(PKLDR_DATA_TABLE_ENTRY Entry);
ULONG64 LdrpExportOf(PKLDR_DATA_TABLE_ENTRY Entry, PCSTR Name);

/* ---- io ----------------------------------------------------------------------------------------------------- */
NTSTATUS IopLoadDriver(PCSTR BaseName);
NTSTATUS IopUnloadDriver(PCSTR BaseName);
VOID IopInitializeBootDrivers(VOID);

/* ---- rtl ---------------------------------------------------------------------------------------------------- */
int RtlFormat(PCHAR Buffer, SIZE_T Size, PCSTR Format, __builtin_va_list Arguments);
int RtlPrint(PCHAR Buffer, SIZE_T Size, PCSTR Format, ...) __attribute__((format(printf, 3, 4)));
BOOLEAN RtlEqualAnsi(PCSTR A, PCSTR B); /* ignoring case */
BOOLEAN RtlDispatchException(PEXCEPTION_RECORD ExceptionRecord, PCONTEXT ContextRecord);
ULONG RtlWalkFrameChain(PVOID *Callers, ULONG Count, PCONTEXT From);

/* ---- init --------------------------------------------------------------------------------------------------- */
VOID Phase1Initialization(PVOID Context);
VOID ConsoleThread(PVOID Context);
VOID ConsolePrint(PCSTR Format, ...) __attribute__((format(printf, 1, 2)));

#endif
