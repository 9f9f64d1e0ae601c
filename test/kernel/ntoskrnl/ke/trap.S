/*
 * trap.S: where the processor enters the kernel: exceptions, interrupts, system calls.
 *
 * An exception builds a KTRAP_FRAME, KiExceptionDispatch adds a KEXCEPTION_FRAME with the non-volatile registers, and
 * C (KiHandleTrap) does the rest. An interrupt needs only the trap frame. Interrupts are off on every way out.
 */
#include "asm.h"

  .text

/* ecx = vector, rbp = trap frame + 0x80. Registers in both frames may have changed when it returns. */
PROC KiExceptionDispatch
  sub rsp, 0x138
  .seh_stackalloc 0x138
  mov [rsp + 0x100], rbx
  .seh_savereg rbx, 0x100
  mov [rsp + 0x108], rdi
  .seh_savereg rdi, 0x108
  mov [rsp + 0x110], rsi
  .seh_savereg rsi, 0x110
  mov [rsp + 0x118], r12
  .seh_savereg r12, 0x118
  mov [rsp + 0x120], r13
  .seh_savereg r13, 0x120
  mov [rsp + 0x128], r14
  .seh_savereg r14, 0x128
  mov [rsp + 0x130], r15
  .seh_savereg r15, 0x130
  movaps [rsp + 0x30], xmm6
  .seh_savexmm xmm6, 0x30
  movaps [rsp + 0x40], xmm7
  .seh_savexmm xmm7, 0x40
  movaps [rsp + 0x50], xmm8
  .seh_savexmm xmm8, 0x50
  movaps [rsp + 0x60], xmm9
  .seh_savexmm xmm9, 0x60
  movaps [rsp + 0x70], xmm10
  .seh_savexmm xmm10, 0x70
  movaps [rsp + 0x80], xmm11
  .seh_savexmm xmm11, 0x80
  movaps [rsp + 0x90], xmm12
  .seh_savexmm xmm12, 0x90
  movaps [rsp + 0xA0], xmm13
  .seh_savexmm xmm13, 0xA0
  movaps [rsp + 0xB0], xmm14
  .seh_savexmm xmm14, 0xB0
  movaps [rsp + 0xC0], xmm15
  .seh_savexmm xmm15, 0xC0
  .seh_endprologue
  mov r8d, ecx
  lea rcx, [rbp - 0x80]
  mov rdx, rsp
  mov [rsp + 0xD0], rcx
  call KiHandleTrap
  mov rbx, [rsp + 0x100]
  mov rdi, [rsp + 0x108]
  mov rsi, [rsp + 0x110]
  mov r12, [rsp + 0x118]
  mov r13, [rsp + 0x120]
  mov r14, [rsp + 0x128]
  mov r15, [rsp + 0x130]
  movaps xmm6, [rsp + 0x30]
  movaps xmm7, [rsp + 0x40]
  movaps xmm8, [rsp + 0x50]
  movaps xmm9, [rsp + 0x60]
  movaps xmm10, [rsp + 0x70]
  movaps xmm11, [rsp + 0x80]
  movaps xmm12, [rsp + 0x90]
  movaps xmm13, [rsp + 0xA0]
  movaps xmm14, [rsp + 0xB0]
  movaps xmm15, [rsp + 0xC0]
  add rsp, 0x138
  ret
ENDPROC

.macro TRAP_EXIT
  cli
  test byte ptr [FRAME(TF_SegCs)], 1
  jz 8f
  RESTORE_VOLATILE
  swapgs
  LEAVE_TRAP
8:
  RESTORE_VOLATILE
  LEAVE_TRAP
.endm

.macro EXCEPTION name, vector, code
PROC \name
  GENERATE_TRAP_FRAME \code
  SWAP_IF_FROM_USER
  .if \vector == 14
  mov rax, cr2
  mov [FRAME(TF_FaultAddress)], rax
  .endif
  .if \vector == 1
  mov rax, dr6
  mov [FRAME(TF_Dr6)], rax
  .endif
  mov ecx, \vector
  call KiExceptionDispatch
  TRAP_EXIT
ENDPROC
.endm

/* On their own stacks (IST), and able to hit anywhere. */
.macro PARANOID_EXCEPTION name, vector, code
PROC \name
  GENERATE_TRAP_FRAME \code
  SWAP_IF_USER_GS
  mov ecx, \vector
  call KiExceptionDispatch
  mov al, [FRAME(TF_GsSwap)]
  test al, al
  jz 8f
  RESTORE_VOLATILE
  swapgs
  LEAVE_TRAP
8:
  RESTORE_VOLATILE
  LEAVE_TRAP
ENDPROC
.endm

EXCEPTION KiDivideErrorFault, 0, 0
EXCEPTION KiDebugTrapOrFault, 1, 0
PARANOID_EXCEPTION KiNmiInterrupt, 2, 0
EXCEPTION KiBreakpointTrap, 3, 0
EXCEPTION KiOverflowTrap, 4, 0
EXCEPTION KiBoundFault, 5, 0
EXCEPTION KiInvalidOpcodeFault, 6, 0
EXCEPTION KiNpxNotAvailableFault, 7, 0
PARANOID_EXCEPTION KiDoubleFaultAbort, 8, 1
EXCEPTION KiNpxSegmentOverrunAbort, 9, 0
EXCEPTION KiInvalidTssFault, 10, 1
EXCEPTION KiSegmentNotPresentFault, 11, 1
EXCEPTION KiStackFault, 12, 1
EXCEPTION KiGeneralProtectionFault, 13, 1
EXCEPTION KiPageFault, 14, 1
EXCEPTION KiFloatingErrorFault, 16, 0
EXCEPTION KiAlignmentFault, 17, 1
PARANOID_EXCEPTION KiMcheckAbort, 18, 0
EXCEPTION KiXmmException, 19, 0
EXCEPTION KiDebugServiceTrap, 0x2D, 0

.macro INTERRUPT name, vector
PROC \name
  GENERATE_TRAP_FRAME 0
  SWAP_IF_FROM_USER
  lea rcx, [rbp - 0x80]
  mov edx, \vector
  call KiHandleInterrupt
  TRAP_EXIT
ENDPROC
.endm

INTERRUPT KiDpcInterrupt, 0x2F
INTERRUPT HalpConsoleInterrupt, 0x81
INTERRUPT HalpTimerClockInterrupt, 0xD1
INTERRUPT KiIpiInterrupt, 0xE1
INTERRUPT KiUnexpectedInterrupt, 0x20
INTERRUPT HalpSpuriousInterrupt, 0xDF

/*
 * syscall: rcx = user RIP, r11 = user RFLAGS, r10 = first argument, eax = service. We lay out what an interrupt would
 * have pushed, so that a system service is one more trap frame.
 */
PROC KiSystemCall64
  swapgs
  mov gs:[PCR_UserRsp], rsp
  mov rsp, gs:[PCR_RspBase]
  push 0x2B
  push qword ptr gs:[PCR_UserRsp]
  push r11
  push 0x33
  push rcx
  GENERATE_TRAP_FRAME 0
  mov byte ptr [FRAME(TF_PreviousMode)], 1
  mov byte ptr [FRAME(TF_ExceptionActive)], 2
  mov [FRAME(TF_Rbx)], rbx
  mov [FRAME(TF_Rdi)], rdi
  mov [FRAME(TF_Rsi)], rsi
  sti
  lea rcx, [rbp - 0x80]
  call KiSystemService
  cli
  RESTORE_VOLATILE
  mov rcx, [FRAME(TF_Rip)]
  mov r11, [FRAME(TF_EFlags)]
  mov r8, rbp
  mov rbp, [FRAME(TF_Rbp)]
  mov rsp, [r8 + TF_Rsp - 0x80]
  xor r8d, r8d
  swapgs
  sysretq
ENDPROC

/* The other flavour of syscall (32-bit code) has no service here. */
PROC KiSystemCall32
  .seh_endprologue
  ud2
ENDPROC
