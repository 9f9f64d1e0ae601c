/*
 * cpu.h: processor shapes of NT on amd64: exception record, CONTEXT, trap frame, special registers, descriptors.
 *
 * Invariant: the layouts are NT's to the byte where the KD protocol carries them (CONTEXT, KSPECIAL_REGISTERS,
 * EXCEPTION_RECORD) and where the assembly entries build them (KTRAP_FRAME, KEXCEPTION_FRAME; trap.inc repeats the
 * offsets and the assertions below hold the two together).
 */
#ifndef VMK_CPU_H
#define VMK_CPU_H

#include "ntdef.h"

#define EXCEPTION_NONCONTINUABLE 0x01u
#define EXCEPTION_UNWINDING 0x02u
#define EXCEPTION_EXIT_UNWIND 0x04u
#define EXCEPTION_STACK_INVALID 0x08u
#define EXCEPTION_NESTED_CALL 0x10u
#define EXCEPTION_TARGET_UNWIND 0x20u
#define EXCEPTION_COLLIDED_UNWIND 0x40u
#define EXCEPTION_MAXIMUM_PARAMETERS 15

typedef struct _EXCEPTION_RECORD {
  NTSTATUS ExceptionCode;
  ULONG ExceptionFlags;
  struct _EXCEPTION_RECORD *ExceptionRecord;
  PVOID ExceptionAddress;
  ULONG NumberParameters;
  ULONG_PTR ExceptionInformation[EXCEPTION_MAXIMUM_PARAMETERS];
} EXCEPTION_RECORD, *PEXCEPTION_RECORD;
C_ASSERT(sizeof(EXCEPTION_RECORD) == 0x98);

typedef struct DECLSPEC_ALIGN(16) _M128A {
  ULONG64 Low;
  LONG64 High;
} M128A, *PM128A;

/* The FXSAVE image. */
typedef struct DECLSPEC_ALIGN(16) _XSAVE_FORMAT {
  USHORT ControlWord;
  USHORT StatusWord;
  UCHAR TagWord;
  UCHAR Reserved1;
  USHORT ErrorOpcode;
  ULONG ErrorOffset;
  USHORT ErrorSelector;
  USHORT Reserved2;
  ULONG DataOffset;
  USHORT DataSelector;
  USHORT Reserved3;
  ULONG MxCsr;
  ULONG MxCsr_Mask;
  M128A FloatRegisters[8];
  M128A XmmRegisters[16];
  UCHAR Reserved4[96];
} XSAVE_FORMAT, XMM_SAVE_AREA32, *PXMM_SAVE_AREA32;
C_ASSERT(sizeof(XMM_SAVE_AREA32) == 512);

#define CONTEXT_AMD64 0x00100000u
#define CONTEXT_CONTROL (CONTEXT_AMD64 | 0x01u)
#define CONTEXT_INTEGER (CONTEXT_AMD64 | 0x02u)
#define CONTEXT_SEGMENTS (CONTEXT_AMD64 | 0x04u)
#define CONTEXT_FLOATING_POINT (CONTEXT_AMD64 | 0x08u)
#define CONTEXT_DEBUG_REGISTERS (CONTEXT_AMD64 | 0x10u)
#define CONTEXT_FULL (CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_FLOATING_POINT)
#define CONTEXT_ALL (CONTEXT_FULL | CONTEXT_SEGMENTS | CONTEXT_DEBUG_REGISTERS)

typedef struct DECLSPEC_ALIGN(16) _CONTEXT {
  ULONG64 P1Home, P2Home, P3Home, P4Home, P5Home, P6Home;
  ULONG ContextFlags;
  ULONG MxCsr;
  USHORT SegCs, SegDs, SegEs, SegFs, SegGs, SegSs;
  ULONG EFlags;
  ULONG64 Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
  ULONG64 Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15;
  ULONG64 Rip;
  union {
    XMM_SAVE_AREA32 FltSave;
    struct {
      M128A Header[2];
      M128A Legacy[8];
      M128A Xmm0, Xmm1, Xmm2, Xmm3, Xmm4, Xmm5, Xmm6, Xmm7;
      M128A Xmm8, Xmm9, Xmm10, Xmm11, Xmm12, Xmm13, Xmm14, Xmm15;
    };
  };
  M128A VectorRegister[26];
  ULONG64 VectorControl;
  ULONG64 DebugControl;
  ULONG64 LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
} CONTEXT, *PCONTEXT;
C_ASSERT(sizeof(CONTEXT) == 0x4D0);
C_ASSERT(FIELD_OFFSET(CONTEXT, EFlags) == 0x44 && FIELD_OFFSET(CONTEXT, Rip) == 0xF8);
C_ASSERT(FIELD_OFFSET(CONTEXT, FltSave) == 0x100 && FIELD_OFFSET(CONTEXT, VectorRegister) == 0x300);

typedef struct _EXCEPTION_POINTERS {
  PEXCEPTION_RECORD ExceptionRecord;
  PCONTEXT ContextRecord;
} EXCEPTION_POINTERS, *PEXCEPTION_POINTERS;

typedef struct _KDESCRIPTOR {
  USHORT Pad[3];
  USHORT Limit;
  PVOID Base;
} KDESCRIPTOR, *PKDESCRIPTOR;

typedef struct _KSPECIAL_REGISTERS {
  ULONG64 Cr0, Cr2, Cr3, Cr4;
  ULONG64 KernelDr0, KernelDr1, KernelDr2, KernelDr3, KernelDr6, KernelDr7;
  KDESCRIPTOR Gdtr;
  KDESCRIPTOR Idtr;
  USHORT Tr;
  USHORT Ldtr;
  ULONG MxCsr;
  ULONG64 DebugControl;
  ULONG64 LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
  ULONG64 Cr8;
  ULONG64 MsrGsBase, MsrGsSwap, MsrStar, MsrLStar, MsrCStar, MsrSyscallMask;
  ULONG64 Xcr0;
  ULONG64 MsrFsBase;
  ULONG64 SpecialPadding0;
} KSPECIAL_REGISTERS, *PKSPECIAL_REGISTERS;
C_ASSERT(sizeof(KSPECIAL_REGISTERS) == 0xF0);
C_ASSERT(FIELD_OFFSET(KSPECIAL_REGISTERS, Gdtr) == 0x50 && FIELD_OFFSET(KSPECIAL_REGISTERS, Tr) == 0x70);
C_ASSERT(FIELD_OFFSET(KSPECIAL_REGISTERS, Cr8) == 0xA0 && FIELD_OFFSET(KSPECIAL_REGISTERS, Xcr0) == 0xD8);

typedef struct _KPROCESSOR_STATE {
  KSPECIAL_REGISTERS SpecialRegisters;
  CONTEXT ContextFrame;
} KPROCESSOR_STATE, *PKPROCESSOR_STATE;

/*
 * What a trap entry saves: the hardware's machine frame at the top, the volatile registers, and RBP/RBX/RDI/RSI.
 * The other non-volatile registers live in the KEXCEPTION_FRAME built by KiExceptionDispatch.
 */
typedef struct DECLSPEC_ALIGN(16) _KTRAP_FRAME {
  ULONG64 P1Home, P2Home, P3Home, P4Home, P5; /* home space of what the entry calls */
  KPROCESSOR_MODE PreviousMode;
  KIRQL PreviousIrql;
  UCHAR FaultIndicator; /* #PF: 0 read, 1 write, 8 execute */
  UCHAR ExceptionActive;
  ULONG MxCsr;
  ULONG64 Rax, Rcx, Rdx, R8, R9, R10, R11;
  ULONG64 GsSwap;
  M128A Xmm0, Xmm1, Xmm2, Xmm3, Xmm4, Xmm5;
  ULONG64 FaultAddress;
  ULONG64 Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
  ULONG64 DebugControl, LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
  USHORT SegDs, SegEs, SegFs, SegGs;
  ULONG64 TrapFrame; /* the thread's previous trap frame (system service) */
  ULONG64 Rbx, Rdi, Rsi, Rbp;
  ULONG64 ErrorCode;
  ULONG64 Rip;
  USHORT SegCs, Fill0;
  ULONG Fill1;
  ULONG EFlags;
  ULONG Fill2;
  ULONG64 Rsp;
  USHORT SegSs, Fill3;
  ULONG Fill4;
} KTRAP_FRAME, *PKTRAP_FRAME;
C_ASSERT(sizeof(KTRAP_FRAME) == 0x190);
C_ASSERT(FIELD_OFFSET(KTRAP_FRAME, PreviousMode) == 0x28 && FIELD_OFFSET(KTRAP_FRAME, Rax) == 0x30);
C_ASSERT(FIELD_OFFSET(KTRAP_FRAME, Xmm0) == 0x70 && FIELD_OFFSET(KTRAP_FRAME, FaultAddress) == 0xD0);
C_ASSERT(FIELD_OFFSET(KTRAP_FRAME, Dr6) == 0xF8 && FIELD_OFFSET(KTRAP_FRAME, SegDs) == 0x130);
C_ASSERT(FIELD_OFFSET(KTRAP_FRAME, Rbx) == 0x140 && FIELD_OFFSET(KTRAP_FRAME, ErrorCode) == 0x160);
C_ASSERT(FIELD_OFFSET(KTRAP_FRAME, Rip) == 0x168 && FIELD_OFFSET(KTRAP_FRAME, Rsp) == 0x180);

typedef struct DECLSPEC_ALIGN(16) _KEXCEPTION_FRAME {
  ULONG64 P1Home, P2Home, P3Home, P4Home, P5;
  ULONG64 InitialStack;
  M128A Xmm6, Xmm7, Xmm8, Xmm9, Xmm10, Xmm11, Xmm12, Xmm13, Xmm14, Xmm15;
  ULONG64 TrapFrame, CallbackStack, OutputBuffer, OutputLength;
  ULONG64 MxCsr;
  ULONG64 Rbp, Rbx, Rdi, Rsi, R12, R13, R14, R15;
  ULONG64 Return;
} KEXCEPTION_FRAME, *PKEXCEPTION_FRAME;
C_ASSERT(sizeof(KEXCEPTION_FRAME) == 0x140 && FIELD_OFFSET(KEXCEPTION_FRAME, Xmm6) == 0x30);
C_ASSERT(FIELD_OFFSET(KEXCEPTION_FRAME, Rbp) == 0xF8 && FIELD_OFFSET(KEXCEPTION_FRAME, Return) == 0x138);

/* What KiSwapContext leaves on the stack of a thread that does not run. */
typedef struct DECLSPEC_ALIGN(16) _KSWITCH_FRAME {
  ULONG64 P1Home, P2Home, P3Home, P4Home, Fill;
  ULONG64 R15, R14, R13, R12, Rdi, Rsi, Rbx, Rbp;
  ULONG64 Return;
} KSWITCH_FRAME, *PKSWITCH_FRAME;

typedef union _KGDTENTRY64 {
  struct {
    USHORT LimitLow;
    USHORT BaseLow;
    UCHAR BaseMiddle;
    UCHAR Flags1;
    UCHAR Flags2;
    UCHAR BaseHigh;
  };
  ULONG64 Alignment;
} KGDTENTRY64, *PKGDTENTRY64;

typedef struct _KIDTENTRY64 {
  USHORT OffsetLow;
  USHORT Selector;
  USHORT IstIndex : 3, Reserved0 : 5, Type : 5, Dpl : 2, Present : 1;
  USHORT OffsetMiddle;
  ULONG OffsetHigh;
  ULONG Reserved1;
} KIDTENTRY64, *PKIDTENTRY64;
C_ASSERT(sizeof(KIDTENTRY64) == 16);

typedef struct __attribute__((packed)) _KTSS64 {
  ULONG Reserved0;
  ULONG64 Rsp0, Rsp1, Rsp2;
  ULONG64 Ist[8]; /* Ist[0] does not exist in hardware */
  ULONG64 Reserved1;
  USHORT Reserved2;
  USHORT IoMapBase;
} KTSS64, *PKTSS64;
C_ASSERT(sizeof(KTSS64) == 0x68);

/* Selectors: NT's numbers. */
#define KGDT64_NULL 0x00
#define KGDT64_R0_CODE 0x10
#define KGDT64_R0_DATA 0x18
#define KGDT64_R3_CMCODE 0x20
#define KGDT64_R3_DATA 0x28
#define KGDT64_R3_CODE 0x30
#define KGDT64_SYS_TSS 0x40
#define KGDT64_R3_CMTEB 0x50
#define RPL_MASK 3

#define EFLAGS_TF_MASK 0x100u
#define EFLAGS_IF_MASK 0x200u
#define EFLAGS_RF_MASK 0x10000u
#define EFLAGS_SANITIZE 0x00250DD5u /* what a debugger may set in EFlags (plus TF, RF, IF by the kernel's hand) */

#define MSR_APIC_BASE 0x1Bu
#define MSR_PAT 0x277u
#define MSR_EFER 0xC0000080u
#define MSR_STAR 0xC0000081u
#define MSR_LSTAR 0xC0000082u
#define MSR_CSTAR 0xC0000083u
#define MSR_SYSCALL_MASK 0xC0000084u
#define MSR_FS_BASE 0xC0000100u
#define MSR_GS_BASE 0xC0000101u
#define MSR_GS_SWAP 0xC0000102u
#define MSR_DEBUG_CTL 0x1D9u

#endif
