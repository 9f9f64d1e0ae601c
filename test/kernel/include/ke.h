/*
 * ke.h: what the parts of ntoskrnl.exe promise each other. The first half is the seam between the kernel core and
 * the KD stub (ntoskrnl/kd); the second half is the core's own.
 */
#ifndef VMK_KE_H
#define VMK_KE_H

#include "nt.h"
#include "intrin.h"

/* ---- The KD seam: the core provides ------------------------------------------------------------------------- */

/* Flags of MmDbgCopyMemory. */
#define MMDBG_COPY_WRITE 0x01u      /* Buffer -> Address; else Address -> Buffer */
#define MMDBG_COPY_PHYSICAL 0x02u   /* Address is physical */
#define MMDBG_COPY_UNSAFE 0x04u     /* NT: the debugger holds the machine; accepted, not needed here */
#define MMDBG_COPY_CACHED 0x08u     /* physical: memory type asked for; the window is what it is */
#define MMDBG_COPY_UNCACHED 0x10u
#define MMDBG_COPY_WRITE_COMBINED 0x20u
#define MMDBG_COPY_MAX_SIZE 8u

/*
 * Copies Size bytes (1, 2, 4 or 8; not across a page) between Buffer and Address, in the current address space, and
 * never faults: it walks the page tables first. A write to a read-only page is done through the physical window.
 * STATUS_SUCCESS or STATUS_UNSUCCESSFUL.
 */
NTSTATUS NTAPI MmDbgCopyMemory(ULONG64 Address, PVOID Buffer, ULONG Size, ULONG Flags);
BOOLEAN NTAPI MmIsAddressValid(PVOID Address);
/* The physical address behind a virtual one in the current DTB; FALSE if not present. PageBits may be null: it
   receives the PTE (or large PDE/PDPTE) that ended the walk. */
BOOLEAN MmDbgTranslate(ULONG64 Address, PULONG64 Physical, PULONG64 Entry);

/* Walking KD from one processor to another. */
typedef enum _KCONTINUE_STATUS {
  ContinueError = 0,
  ContinueSuccess,
  ContinueProcessorReselected,
  ContinueNextProcessor
} KCONTINUE_STATUS;

/*
 * Freezes every other processor by NMI. Each saves its registers with KiSaveProcessorState into
 * Prcb->ProcessorState and waits. Returns whether interrupts were enabled; they are off on return.
 * Processors that enter at the same time wait in here until they are thawed and then have their turn.
 */
BOOLEAN KeFreezeExecution(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
/* Thaws them. Each processor reloads its registers (debug registers too) from its Prcb->ProcessorState first. */
VOID KeThawExecution(BOOLEAN Enable);
/*
 * Called by KD on the active processor to make another one active: that one's KdReportProcessorChange() runs on it.
 * Returns ContinueProcessorReselected when the debugger has come back to this processor (report it again),
 * ContinueSuccess when another processor was told to continue the machine (leave the debugger),
 * ContinueNextProcessor on a processor that is not the freeze owner (return that value from
 * KdReportProcessorChange), ContinueError if there is no such frozen processor.
 */
KCONTINUE_STATUS KeSwitchFrozenProcessor(ULONG ProcessorIndex);

VOID KiSaveProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
VOID KiRestoreProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
/* Save also clears Dr7 so that the debugger's own accesses hit nothing; restore loads all of it back. */
VOID KiSaveProcessorControlState(PKPROCESSOR_STATE State);
VOID KiRestoreProcessorControlState(PKPROCESSOR_STATE State);

VOID KeContextFromKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PCONTEXT Context);
VOID KeContextToKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PCONTEXT Context,
                        ULONG ContextFlags, KPROCESSOR_MODE PreviousMode);

/* Warm reset of the machine; does not return. */
VOID DECLSPEC_NORETURN HalReturnToFirmware(ULONG Action);
#define HalRebootRoutine 3

/*
 * Exceptions. For STATUS_BREAKPOINT, ContextRecord->Rip and ExceptionAddress are the address of the int3, both for
 * a plain int3 (ExceptionInformation[0] == BREAKPOINT_BREAK) and for a debug service (`int 2Dh; int3`, then
 * [0] == BREAKPOINT_PRINT..., [1] == first argument (rcx), [2] == second (rdx), [3], [4] == r8, r9). KdTrap adds 1
 * to Rip for a service that it has done; its answer (prompt) goes to ContextRecord->Rax.
 *
 *   service    rcx                      rdx                          r8     r9
 *   PRINT      text                     bytes of text (low word)     id     level
 *   PROMPT     text                     bytes of text                answer buffer, its size in bytes
 *   LOAD       PSTRING path (ANSI)      PKD_SYMBOLS_INFO
 *   UNLOAD     PSTRING path or null     PKD_SYMBOLS_INFO
 *   COMMAND    PSTRING name             PSTRING command
 */
VOID KiDispatchException(PEXCEPTION_RECORD ExceptionRecord, PKEXCEPTION_FRAME ExceptionFrame,
                         PKTRAP_FRAME TrapFrame, KPROCESSOR_MODE PreviousMode, BOOLEAN FirstChance);

extern UCHAR RtlpBreakWithStatusInstruction[]; /* the int3 inside DbgBreakPointWithStatus */
extern LOADER_PARAMETER_BLOCK *KeLoaderBlock;

/* ---- The KD seam: ntoskrnl/kd provides ---------------------------------------------------------------------- */

BOOLEAN KdInitSystem(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock);
BOOLEAN KdTrap(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PEXCEPTION_RECORD ExceptionRecord,
               PCONTEXT ContextRecord, KPROCESSOR_MODE PreviousMode, BOOLEAN SecondChance);
BOOLEAN KdIsThisAKdTrap(PEXCEPTION_RECORD ExceptionRecord, PCONTEXT ContextRecord, KPROCESSOR_MODE PreviousMode);
BOOLEAN KdPollBreakIn(VOID);
VOID KdCheckForDebugBreak(VOID); /* clock tick, processor 0 */
KCONTINUE_STATUS KdReportProcessorChange(VOID);
VOID KdSetOwedBreakpoints(VOID); /* after a page became present; any IRQL, interrupts may be on */
NTSTATUS KdpPullDriver(PUNICODE_STRING Name, PVOID Buffer, ULONG BufferSize, PULONG Length);
/* The machine is about to reset: tells the debugger that the target is gone. */
VOID KdShutdownNotice(VOID);

extern BOOLEAN KdDebuggerEnabled, KdDebuggerNotPresent, KdPitchDebugger;

/* ---- Processors --------------------------------------------------------------------------------------------- */

extern PKPRCB KiProcessorBlock[MAXIMUM_PROCESSORS];
extern volatile ULONG KeNumberProcessors;
extern volatile KSYSTEM_TIME KeTickCount;
extern ULONG KeMaximumIncrement;
extern ULONG64 KiBugCheckData[5];
extern ULONG NtBuildNumber;
extern CHAR NtBuildLab[];

KIRQL NTAPI KeGetCurrentIrql(VOID);
KIRQL NTAPI KfRaiseIrql(KIRQL NewIrql);
VOID NTAPI KeLowerIrql(KIRQL NewIrql);
KIRQL NTAPI KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock);
VOID NTAPI KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql);
VOID KiAcquireSpinLock(PKSPIN_LOCK SpinLock); /* no IRQL change: the caller has interrupts off or is above DPC */
VOID KiReleaseSpinLock(PKSPIN_LOCK SpinLock);
BOOLEAN KeDisableInterrupts(VOID);

VOID DECLSPEC_NORETURN NTAPI KeBugCheck(ULONG BugCheckCode);
VOID DECLSPEC_NORETURN NTAPI KeBugCheckEx(ULONG Code, ULONG_PTR P1, ULONG_PTR P2, ULONG_PTR P3, ULONG_PTR P4);
VOID NTAPI KeStallExecutionProcessor(ULONG Microseconds);
LARGE_INTEGER NTAPI KeQueryPerformanceCounter(PLARGE_INTEGER Frequency);

/* ---- Processes, modules ------------------------------------------------------------------------------------- */

extern LIST_ENTRY PsLoadedModuleList;
extern LIST_ENTRY PsActiveProcessHead;
extern PEPROCESS PsInitialSystemProcess, PsIdleProcess;
extern PVOID PsNtosImageBase;

/* ---- Memory ------------------------------------------------------------------------------------------------- */

extern ULONG64 MmSystemRangeStart, MmUserProbeAddress, MmHighestUserAddress;
extern ULONG64 MmPteBase, MmPhysicalWindow, MmPhysicalWindowSize;
extern ULONG64 MmHighestPhysicalPage, MmLowestPhysicalPage, MmNumberOfPhysicalPages;
/* The memory that the kernel has, in runs of pages: crash dumps and debuggers read it. */
typedef struct _PHYSICAL_MEMORY_RUN {
  ULONG64 BasePage;
  ULONG64 PageCount;
} PHYSICAL_MEMORY_RUN;
typedef struct _PHYSICAL_MEMORY_DESCRIPTOR {
  ULONG NumberOfRuns;
  ULONG64 NumberOfPages;
  PHYSICAL_MEMORY_RUN Run[LOADER_MAX_MEMORY_RANGES];
} PHYSICAL_MEMORY_DESCRIPTOR, *PPHYSICAL_MEMORY_DESCRIPTOR;
extern PPHYSICAL_MEMORY_DESCRIPTOR MmPhysicalMemoryBlock;

/* ---- Debug output ------------------------------------------------------------------------------------------- */

ULONG DbgPrint(PCSTR Format, ...) __attribute__((format(printf, 1, 2)));
ULONG DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...) __attribute__((format(printf, 3, 4)));
ULONG NTAPI DbgPrompt(PCSTR Prompt, PCHAR Response, ULONG Length);
VOID NTAPI DbgBreakPoint(VOID);
VOID NTAPI DbgBreakPointWithStatus(ULONG Status);
NTSTATUS NTAPI DbgLoadImageSymbols(PSTRING Name, PVOID Base, ULONG_PTR ProcessId);
VOID NTAPI DbgUnLoadImageSymbols(PSTRING Name, PVOID Base, ULONG_PTR ProcessId);

#endif
