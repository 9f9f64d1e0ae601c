/*
 * ps.h: processors, processes and threads: KPCR/KPRCB, KPROCESS/EPROCESS, KTHREAD/ETHREAD, PEB/TEB.
 *
 * The order of the well-known leading fields is NT's (KPCR to 0x180, KPRCB to 0x100, DirectoryTableBase at 0x28);
 * everything else is where the compiler puts it, and the PDB says where that is.
 */
#ifndef VMK_PS_H
#define VMK_PS_H

#include "cpu.h"

#define MAXIMUM_PROCESSORS 8

typedef struct _DISPATCHER_HEADER {
  UCHAR Type;
  UCHAR Signalling;
  UCHAR Size;
  UCHAR Reserved1;
  LONG SignalState;
  LIST_ENTRY WaitListHead;
} DISPATCHER_HEADER, *PDISPATCHER_HEADER;

typedef enum _KOBJECTS {
  EventNotificationObject = 0,
  EventSynchronizationObject = 1,
  ProcessObject = 3,
  ThreadObject = 6
} KOBJECTS;

typedef enum _EVENT_TYPE { NotificationEvent, SynchronizationEvent } EVENT_TYPE;

typedef struct _KEVENT {
  DISPATCHER_HEADER Header;
} KEVENT, *PKEVENT;

typedef enum _KTHREAD_STATE {
  Initialized,
  Ready,
  Running,
  Standby,
  Terminated,
  Waiting,
  Transition,
  DeferredReady
} KTHREAD_STATE;

typedef enum _KWAIT_REASON {
  Executive = 0,
  FreePage = 1,
  PageIn = 2,
  PoolAllocation = 3,
  DelayExecution = 4,
  Suspended = 5,
  UserRequest = 6
} KWAIT_REASON;

typedef struct _KAPC_STATE {
  LIST_ENTRY ApcListHead[2];
  struct _KPROCESS *Process; /* the process whose address space the thread runs in */
  BOOLEAN KernelApcInProgress;
  BOOLEAN KernelApcPending;
  BOOLEAN UserApcPending;
} KAPC_STATE, *PKAPC_STATE;

typedef struct _KTHREAD {
  DISPATCHER_HEADER Header;
  PVOID SListFaultAddress;
  ULONG64 QuantumTarget;
  PVOID InitialStack;
  PVOID StackLimit;
  PVOID StackBase;
  KSPIN_LOCK ThreadLock;
  ULONG64 CycleTime;
  PVOID KernelStack; /* a KSWITCH_FRAME when the thread does not run */
  PXMM_SAVE_AREA32 StateSaveArea;
  BOOLEAN Running;
  BOOLEAN Alerted[2];
  UCHAR QuantumLeft; /* clock ticks */
  PVOID Teb;
  PKTRAP_FRAME TrapFrame;
  KAPC_STATE ApcState;
  KPRIORITY Priority;
  ULONG NextProcessor;
  volatile UCHAR State; /* KTHREAD_STATE */
  UCHAR NpxState;
  KIRQL WaitIrql;
  KPROCESSOR_MODE WaitMode;
  KPROCESSOR_MODE PreviousMode;
  UCHAR WaitReason; /* KWAIT_REASON */
  UCHAR IdealProcessor;
  LONG_PTR WaitStatus;
  PVOID WaitObject;
  LIST_ENTRY WaitListEntry; /* ready queue, or the waited object's list */
  LIST_ENTRY TimerListEntry;
  ULONG64 DueTime; /* KeTickCount value at which a timed wait ends; 0 = none */
  struct _KPROCESS *Process;
  KAFFINITY Affinity;
  ULONG ContextSwitches;
  ULONG KernelTime;
  ULONG UserTime;
  ULONG SystemCallNumber;
  PVOID FirstArgument;
  LIST_ENTRY ThreadListEntry;
} KTHREAD, *PKTHREAD;
C_ASSERT(FIELD_OFFSET(KTHREAD, KernelStack) == 0x50); /* KiSwapContext */

typedef struct _ETHREAD {
  KTHREAD Tcb;
  LARGE_INTEGER CreateTime;
  LARGE_INTEGER ExitTime;
  NTSTATUS ExitStatus;
  PVOID StartAddress;
  PVOID StartContext;
  PVOID Win32StartAddress;
  CLIENT_ID Cid;
  LIST_ENTRY ThreadListEntry; /* EPROCESS.ThreadListHead */
  LONG ReferenceCount;
  CHAR ThreadName[32];
} ETHREAD, *PETHREAD;

typedef struct _KPROCESS {
  DISPATCHER_HEADER Header;
  LIST_ENTRY ProfileListHead;
  ULONG64 DirectoryTableBase;
  LIST_ENTRY ThreadListHead; /* KTHREAD.ThreadListEntry */
  KSPIN_LOCK ProcessLock;
  KAFFINITY Affinity;
  volatile KAFFINITY ActiveProcessors;
  KPRIORITY BasePriority;
  ULONG KernelTime;
  ULONG UserTime;
} KPROCESS, *PKPROCESS;
C_ASSERT(FIELD_OFFSET(KPROCESS, DirectoryTableBase) == 0x28);

typedef struct _EPROCESS {
  KPROCESS Pcb;
  KSPIN_LOCK ProcessLock;
  HANDLE UniqueProcessId;
  LIST_ENTRY ActiveProcessLinks;
  LARGE_INTEGER CreateTime;
  LARGE_INTEGER ExitTime;
  NTSTATUS ExitStatus;
  HANDLE InheritedFromUniqueProcessId;
  PVOID SectionBaseAddress;
  struct _PEB *Peb;
  ULONG ActiveThreads;
  UCHAR ImageFileName[15];
  UCHAR PriorityClass;
  LIST_ENTRY ThreadListHead; /* ETHREAD.ThreadListEntry */
  SIZE_T VirtualSize;
  UNICODE_STRING ImagePathName;
} EPROCESS, *PEPROCESS;

typedef struct _NT_TIB {
  PVOID ExceptionList;
  PVOID StackBase;
  PVOID StackLimit;
  PVOID SubSystemTib;
  PVOID FiberData;
  PVOID ArbitraryUserPointer;
  struct _NT_TIB *Self;
} NT_TIB, *PNT_TIB;
C_ASSERT(FIELD_OFFSET(NT_TIB, Self) == 0x30);

typedef struct _TEB {
  NT_TIB NtTib;
  PVOID EnvironmentPointer;
  CLIENT_ID ClientId;
  PVOID ActiveRpcHandle;
  PVOID ThreadLocalStoragePointer;
  struct _PEB *ProcessEnvironmentBlock;
  ULONG LastErrorValue;
  ULONG CountOfOwnedCriticalSections;
} TEB, *PTEB;
C_ASSERT(FIELD_OFFSET(TEB, ProcessEnvironmentBlock) == 0x60);

typedef struct _PEB_LDR_DATA {
  ULONG Length;
  BOOLEAN Initialized;
  PVOID SsHandle;
  LIST_ENTRY InLoadOrderModuleList;
  LIST_ENTRY InMemoryOrderModuleList;
  LIST_ENTRY InInitializationOrderModuleList;
} PEB_LDR_DATA, *PPEB_LDR_DATA;

typedef struct _PEB {
  BOOLEAN InheritedAddressSpace;
  BOOLEAN ReadImageFileExecOptions;
  BOOLEAN BeingDebugged;
  UCHAR BitField;
  HANDLE Mutant;
  PVOID ImageBaseAddress;
  PPEB_LDR_DATA Ldr;
  PVOID ProcessParameters;
  PVOID SubSystemData;
  PVOID ProcessHeap;
  ULONG NumberOfProcessors;
  ULONG OSMajorVersion;
  ULONG OSMinorVersion;
  USHORT OSBuildNumber;
} PEB, *PPEB;
C_ASSERT(FIELD_OFFSET(PEB, ImageBaseAddress) == 0x10 && FIELD_OFFSET(PEB, Ldr) == 0x18);

struct _KDPC;
typedef VOID KDEFERRED_ROUTINE(struct _KDPC *Dpc, PVOID Context, PVOID Argument1, PVOID Argument2);

typedef struct _KDPC {
  UCHAR Type;
  UCHAR Importance;
  USHORT Number;
  LIST_ENTRY DpcListEntry;
  KDEFERRED_ROUTINE *DeferredRoutine;
  PVOID DeferredContext;
  PVOID SystemArgument1;
  PVOID SystemArgument2;
  PVOID DpcData; /* non-null while queued */
} KDPC, *PKDPC;

/* KPRCB.IpiFrozen: the state of a processor while the debugger owns the machine. */
#define IPI_FROZEN_STATE_RUNNING 0x00u
#define IPI_FROZEN_STATE_FROZEN 0x02u
#define IPI_FROZEN_STATE_THAW 0x03u
#define IPI_FROZEN_STATE_OWNER 0x04u
#define IPI_FROZEN_STATE_TARGET_FREEZE 0x05u
#define IPI_FROZEN_STATE_MASK 0x0Fu
#define IPI_FROZEN_FLAG_ACTIVE 0x20u

typedef struct _KPRCB {
  ULONG MxCsr;
  UCHAR LegacyNumber;
  UCHAR ReservedMustBeZero;
  BOOLEAN InterruptRequest;
  BOOLEAN IdleHalt;
  PKTHREAD CurrentThread;
  PKTHREAD NextThread;
  PKTHREAD IdleThread;
  UCHAR NestingLevel;
  UCHAR ClockOwner;
  UCHAR PrcbPad00[2];
  ULONG Number;
  ULONG64 RspBase;
  KSPIN_LOCK PrcbLock;
  PCHAR PriorityState;
  CCHAR CpuType; /* family */
  CCHAR CpuID;
  union {
    USHORT CpuStep;
    struct {
      UCHAR CpuStepping;
      UCHAR CpuModel;
    };
  };
  ULONG MHz;
  ULONG64 HalReserved[8];
  USHORT MinorVersion;
  USHORT MajorVersion;
  UCHAR BuildType;
  UCHAR CpuVendor;
  UCHAR CoresPerPhysicalProcessor;
  UCHAR LogicalProcessorsPerCore;
  ULONG ApicMask;
  ULONG CFlushSize;
  PVOID AcpiReserved;
  ULONG InitialApicId;
  UCHAR PrcbPad01[0x100 - 0xA4];
  KPROCESSOR_STATE ProcessorState; /* at 0x100; a frozen processor's registers */
  PCONTEXT Context;
  volatile ULONG IpiFrozen;
  ULONG InterruptCount;
  ULONG DpcCount;
  ULONG KeContextSwitches;
  ULONG KeSystemCalls;
  ULONG PageFaultCount;
  ULONG KernelTime;
  ULONG UserTime;
  ULONG IdleTime;
  ULONG ClockTicks;
  BOOLEAN DpcRoutineActive;
  BOOLEAN QuantumEnd;
  BOOLEAN DispatchRequested;
  LIST_ENTRY DpcListHead;
  KSPIN_LOCK DpcLock;
  struct _KPROCESS *IdleProcess;
  PVOID DpcStack;
  PVOID NmiStack;
  UCHAR VendorString[13];
  ULONG64 FeatureBits;
} KPRCB, *PKPRCB;
C_ASSERT(FIELD_OFFSET(KPRCB, CurrentThread) == 0x8 && FIELD_OFFSET(KPRCB, Number) == 0x24);
C_ASSERT(FIELD_OFFSET(KPRCB, RspBase) == 0x28 && FIELD_OFFSET(KPRCB, CpuType) == 0x40);
C_ASSERT(FIELD_OFFSET(KPRCB, ProcessorState) == 0x100);

typedef struct DECLSPEC_ALIGN(64) _KPCR {
  union {
    NT_TIB NtTib;
    struct {
      PKGDTENTRY64 GdtBase;
      PKTSS64 TssBase;
      ULONG64 UserRsp;
      struct _KPCR *Self;
      PKPRCB CurrentPrcb;
      PVOID LockArray;
      PVOID Used_Self;
    };
  };
  PKIDTENTRY64 IdtBase;
  ULONG64 Unused[2];
  KIRQL Irql;
  UCHAR SecondLevelCacheAssociativity;
  UCHAR ObsoleteNumber;
  UCHAR Fill0;
  ULONG Unused0[3];
  USHORT MajorVersion;
  USHORT MinorVersion;
  ULONG StallScaleFactor; /* TSC ticks per microsecond */
  PVOID Unused1[3];
  ULONG KernelReserved[15];
  ULONG SecondLevelCacheSize;
  ULONG HalReserved[16];
  ULONG Unused2;
  PVOID KdVersionBlock;
  PVOID Unused3;
  ULONG PcrAlign1[24];
  KPRCB Prcb;
} KPCR, *PKPCR;
C_ASSERT(FIELD_OFFSET(KPCR, UserRsp) == 0x10 && FIELD_OFFSET(KPCR, Self) == 0x18);
C_ASSERT(FIELD_OFFSET(KPCR, CurrentPrcb) == 0x20 && FIELD_OFFSET(KPCR, IdtBase) == 0x38);
C_ASSERT(FIELD_OFFSET(KPCR, KdVersionBlock) == 0x108 && FIELD_OFFSET(KPCR, Prcb) == 0x180);

/* GS is the KPCR of this processor whenever the kernel runs. */
FORCEINLINE PKPCR KeGetPcr(VOID)
{
  PKPCR Pcr;
  __asm__ volatile("movq %%gs:0x18, %0" : "=r"(Pcr));
  return Pcr;
}

FORCEINLINE PKPRCB KeGetCurrentPrcb(VOID)
{
  PKPRCB Prcb;
  __asm__ volatile("movq %%gs:0x20, %0" : "=r"(Prcb));
  return Prcb;
}

FORCEINLINE PKTHREAD KeGetCurrentThread(VOID)
{
  PKTHREAD Thread;
  __asm__ volatile("movq %%gs:0x188, %0" : "=r"(Thread));
  return Thread;
}

#endif
