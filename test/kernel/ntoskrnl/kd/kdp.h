/*
 * kdp.h - what the files of the KD stub know of each other.
 *
 *   kdinit.c   start-up, KdVersionBlock       kdtrap.c   exceptions and debug services come in here
 *   kdlock.c   freeze and thaw, breakin       kdstate.c  state changes and the request loop
 *   kdapi*.c   one family of requests each    kdx64.c    MSRs, ports, PCI, control space
 *   kdbreak.c  the 32 breakpoints             kdprint.c  prints and prompts
 *   kdsym.c    load, unload, command string   kdfile.c   kdfiles
 *   kdtrace.c  trace and control requests     kddata.c   KDDEBUGGER_DATA64
 *
 * Invariants: between KdEnterDebugger and KdExitDebugger interrupts are off, every other processor is
 * frozen and its registers lie in KiProcessorBlock[n]->ProcessorState; the active processor's lie there
 * too.  Nothing in this folder touches memory of the target but through MmDbgCopyMemory, so no address
 * that a debugger sends can fault.  Every count of a request is bounded before it is used.
 */
#ifndef _KDP_H_
#define _KDP_H_

#include "ke.h"
#include "kd.h"

#define KD_BREAKPOINT_MAX 32
#define KD_BREAKPOINT_VALUE 0xCC
#define KDP_MESSAGE_BUFFER_SIZE 4096
/* The most data that fits behind a manipulate header. */
#define KDP_MAX_DATA (PACKET_MAX_SIZE - sizeof(DBGKD_MANIPULATE_STATE64))
/* How often a wait for an answer that may never come is repeated (about a quarter of a second each). */
#define KDP_ANSWER_TRIES 40

#define FLG_STOP_ON_EXCEPTION 0x00000001

#define STATUS_IO_TIMEOUT ((NTSTATUS)0xC00000B5)
#define STATUS_DEVICE_NOT_CONNECTED ((NTSTATUS)0xC000009D)
#define STATUS_DEBUGGER_INACTIVE ((NTSTATUS)0xC0000354)
#define STATUS_PORT_DISCONNECTED ((NTSTATUS)0xC0000037)

extern KD_CONTEXT KdpContext;
extern BOOLEAN KdpContextSent;
extern BOOLEAN KdEnteredDebugger;
extern BOOLEAN KdBreakAfterSymbolLoad;
extern BOOLEAN KdpOweBreakpoint;
extern BOOLEAN KdpAppendTraceData;
extern ULONG NtGlobalFlag;
extern CHAR KdpMessageBuffer[KDP_MESSAGE_BUFFER_SIZE];
extern DBGKD_GET_VERSION64 KdVersionBlock;
extern KDDEBUGGER_DATA64 KdDebuggerDataBlock;
extern LIST_ENTRY KdpDebuggerDataListHead;

/* What a request handler gets; it edits State in place, which makes replies echo what it leaves alone. */
typedef struct _KDP_REQUEST {
  DBGKD_MANIPULATE_STATE64 State;
  STRING Data;      /* what came behind the header, and what the reply will carry there */
  PCONTEXT Context; /* of the active processor */
} KDP_REQUEST, *PKDP_REQUEST;

typedef enum _KDP_OUTCOME {
  KdpReply,        /* send State and Data back */
  KdpNoReply,      /* the acknowledgement was the answer */
  KdpLeave,        /* continue the machine; Handled says how */
  KdpLeaveFailed,  /* continue, and pass the exception to the machine */
  KdpReportAgain,  /* send the state change once more */
  KdpOtherHasLeft, /* another processor is active now; return to its freeze loop */
} KDP_OUTCOME;

typedef KDP_OUTCOME KDP_HANDLER(PKDP_REQUEST Request);

/* kdlock.c */
BOOLEAN KdEnterDebugger(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
VOID KdExitDebugger(BOOLEAN Enable);
/* Whether this processor is the one that runs the debugger; it moves with SwitchProcessor. */
BOOLEAN KdpOwnsMachine(VOID);
VOID KdpTakeOwnership(VOID);
BOOLEAN KdpPollBreakInWithPortLock(VOID);

/* kdstate.c */
VOID KdpSetCommonState(ULONG NewState, PCONTEXT Context, PDBGKD_ANY_WAIT_STATE_CHANGE Change);
VOID KdpSetContextState(PDBGKD_ANY_WAIT_STATE_CHANGE Change, PCONTEXT Context);
KCONTINUE_STATUS KdpSendWaitContinue(ULONG PacketType, PSTRING SendHeader, PSTRING SendData,
                                     PCONTEXT Context);
KCONTINUE_STATUS KdpReportExceptionStateChange(PEXCEPTION_RECORD ExceptionRecord, PCONTEXT Context,
                                               BOOLEAN SecondChance);
/* Set by a handler, acted upon by KdExitDebugger, when the machine runs again. */
extern ULONG KdpBugCheckRequested;
extern BOOLEAN KdpBugCheckPending;

/* kdapimem.c */
NTSTATUS KdpCopyMemoryChunks(ULONG64 Address, PVOID Buffer, ULONG TotalSize, ULONG ChunkSize, ULONG Flags,
                             PULONG ActualSize);
KDP_HANDLER KdpReadVirtualMemory, KdpWriteVirtualMemory, KdpReadPhysicalMemory, KdpWritePhysicalMemory;

/* kdapisrch.c */
KDP_HANDLER KdpSearchMemory, KdpFillMemory, KdpQueryMemory, KdpCheckLowMemory;

/* kdapictx.c */
KDP_HANDLER KdpGetContext, KdpSetContext, KdpGetContextEx, KdpSetContextEx;
VOID KdpResetContextStage(VOID);

/* kdapirun.c */
KDP_HANDLER KdpContinue, KdpContinue2, KdpSwitchProcessor, KdpReboot, KdpCauseBugCheck;

/* kdapimisc.c */
KDP_HANDLER KdpGetVersion, KdpNotSupported, KdpAcceptSilently;

/* kdapicpu.c */
KDP_HANDLER KdpReadControlSpace, KdpWriteControlSpace, KdpReadMsr, KdpWriteMsr;
KDP_HANDLER KdpReadIoSpace, KdpWriteIoSpace, KdpReadIoSpaceExtended, KdpWriteIoSpaceExtended;
KDP_HANDLER KdpGetBusData, KdpSetBusData;

/* kdx64.c */
NTSTATUS KdpSysReadControlSpace(ULONG Processor, ULONG64 Base, PVOID Buffer, ULONG Length, PULONG Actual);
NTSTATUS KdpSysWriteControlSpace(ULONG Processor, ULONG64 Base, PVOID Buffer, ULONG Length, PULONG Actual);
NTSTATUS KdpSysReadMsr(ULONG Msr, PULONG64 Value);
NTSTATUS KdpSysWriteMsr(ULONG Msr, ULONG64 Value);
NTSTATUS KdpSysReadIoSpace(ULONG64 Port, ULONG Size, PULONG Value);
NTSTATUS KdpSysWriteIoSpace(ULONG64 Port, ULONG Size, ULONG Value);
ULONG KdpSysBusData(ULONG Bus, ULONG Slot, PVOID Buffer, ULONG Offset, ULONG Length, BOOLEAN Write);
VOID KdpGetStateChange(const DBGKD_MANIPULATE_STATE64 *State, PCONTEXT Context);
VOID KdpTakeDebugRegisters(PKPRCB Prcb, const CONTEXT *Old, const CONTEXT *New);
BOOLEAN KdpFixUpGuardedFault(PCONTEXT Context);

/* kdbreak.c */
KDP_HANDLER KdpWriteBreakpoint, KdpRestoreBreakpoint;
ULONG KdpAddBreakpoint(ULONG64 Address);
BOOLEAN KdpDeleteBreakpoint(ULONG Handle);
BOOLEAN KdpDeleteBreakpointRange(ULONG64 Base, ULONG64 Limit);
VOID KdpSuspendAllBreakpoints(VOID);
VOID KdpRestoreAllBreakpoints(VOID);

/* kdprint.c */
NTSTATUS KdpPrint(ULONG ComponentId, ULONG Level, ULONG64 Text, USHORT Length, KPROCESSOR_MODE PreviousMode,
                  PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
ULONG KdpPrompt(ULONG64 Prompt, USHORT PromptLength, ULONG64 Response, USHORT MaximumLength,
                KPROCESSOR_MODE PreviousMode, PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
/* Copies at most Limit bytes from the caller of a debug service; returns the bytes that could be read. */
ULONG KdpCaptureBytes(ULONG64 From, PVOID To, ULONG Length, ULONG Limit, KPROCESSOR_MODE PreviousMode);

/* kdsym.c */
VOID KdpSymbol(ULONG64 Path, ULONG64 SymbolInfo, BOOLEAN Unload, KPROCESSOR_MODE PreviousMode,
               PCONTEXT Context, PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);
VOID KdpCommandString(ULONG64 Name, ULONG64 Command, KPROCESSOR_MODE PreviousMode, PCONTEXT Context,
                      PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame);

/* kdtrace.c: for the console and for drivers */
NTSTATUS KdpTraceSend(const VOID *Data, ULONG Length);
NTSTATUS KdpRequestHardwareBreakpoint(ULONG Number, PBOOLEAN Available);
NTSTATUS KdpReleaseHardwareBreakpoint(ULONG Number, PBOOLEAN Released);

/* kddata.c */
VOID KdpFillDebuggerData(PLOADER_PARAMETER_BLOCK LoaderBlock);

/* kdinit.c */
NTSTATUS KdDisableDebugger(VOID);
NTSTATUS KdEnableDebugger(VOID);
VOID KdpShareDebuggerState(VOID);

static inline VOID KdpMoveMemory(PVOID To, const VOID *From, ULONG64 Length)
{
  volatile UCHAR *Target = To; /* volatile: no call to a memcpy that may carry a breakpoint */
  const UCHAR *Source = From;

  while (Length--) {
    *Target++ = *Source++;
  }
}

static inline VOID KdpZeroMemory(PVOID To, ULONG64 Length)
{
  volatile UCHAR *Target = To;

  while (Length--) {
    *Target++ = 0;
  }
}

#endif
