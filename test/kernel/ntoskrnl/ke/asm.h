/*
 * asm.h: macros and offsets for the kernel's assembly. The offsets are those of cpu.h and ps.h, where C_ASSERT holds
 * them in place.
 *
 * Every entry describes its frame with .seh_ directives, so a stack walk passes through traps, interrupts, system
 * services and context switches by unwind data alone.
 */
  .intel_syntax noprefix

#define TF_PreviousMode 0x28
#define TF_ExceptionActive 0x2B
#define TF_MxCsr 0x2C
#define TF_Rax 0x30
#define TF_Rcx 0x38
#define TF_Rdx 0x40
#define TF_R8 0x48
#define TF_R9 0x50
#define TF_R10 0x58
#define TF_R11 0x60
#define TF_GsSwap 0x68
#define TF_Xmm0 0x70
#define TF_FaultAddress 0xD0
#define TF_Dr6 0xF8
#define TF_TrapFrame 0x138
#define TF_Rbx 0x140
#define TF_Rdi 0x148
#define TF_Rsi 0x150
#define TF_Rbp 0x158
#define TF_ErrorCode 0x160
#define TF_Rip 0x168
#define TF_SegCs 0x170
#define TF_EFlags 0x178
#define TF_Rsp 0x180

/* RBP points 0x80 bytes into the trap frame, as NT has it. */
#define FRAME(field) rbp + (field) - 0x80

#define PCR_UserRsp 0x10
#define PCR_MxCsr 0x180
#define PCR_CurrentThread 0x188
#define PCR_RspBase 0x1A8

#define KTHREAD_KernelStack 0x50

.macro PROC name
  .globl \name
  .def \name
  .scl 2
  .type 32
  .endef
  .p2align 4
  .seh_proc \name
\name:
.endm

.macro ENDPROC
  .seh_endproc
.endm

.macro SAVE_VOLATILE
  mov [FRAME(TF_Rax)], rax
  mov [FRAME(TF_Rcx)], rcx
  mov [FRAME(TF_Rdx)], rdx
  mov [FRAME(TF_R8)], r8
  mov [FRAME(TF_R9)], r9
  mov [FRAME(TF_R10)], r10
  mov [FRAME(TF_R11)], r11
  movaps [FRAME(TF_Xmm0)], xmm0
  movaps [FRAME(TF_Xmm0 + 0x10)], xmm1
  movaps [FRAME(TF_Xmm0 + 0x20)], xmm2
  movaps [FRAME(TF_Xmm0 + 0x30)], xmm3
  movaps [FRAME(TF_Xmm0 + 0x40)], xmm4
  movaps [FRAME(TF_Xmm0 + 0x50)], xmm5
  stmxcsr [FRAME(TF_MxCsr)]
  mov byte ptr [FRAME(TF_ExceptionActive)], 1
  cld
.endm

.macro RESTORE_VOLATILE
  ldmxcsr [FRAME(TF_MxCsr)]
  movaps xmm0, [FRAME(TF_Xmm0)]
  movaps xmm1, [FRAME(TF_Xmm0 + 0x10)]
  movaps xmm2, [FRAME(TF_Xmm0 + 0x20)]
  movaps xmm3, [FRAME(TF_Xmm0 + 0x30)]
  movaps xmm4, [FRAME(TF_Xmm0 + 0x40)]
  movaps xmm5, [FRAME(TF_Xmm0 + 0x50)]
  mov rax, [FRAME(TF_Rax)]
  mov rcx, [FRAME(TF_Rcx)]
  mov rdx, [FRAME(TF_Rdx)]
  mov r8, [FRAME(TF_R8)]
  mov r9, [FRAME(TF_R9)]
  mov r10, [FRAME(TF_R10)]
  mov r11, [FRAME(TF_R11)]
.endm

/* From the machine frame to a whole trap frame; kernel GS; PreviousMode. \code = 1 if the processor pushed a code. */
.macro GENERATE_TRAP_FRAME code
  .if \code
  .seh_pushframe @code
  .else
  .seh_pushframe
  sub rsp, 8
  .seh_stackalloc 8
  .endif
  push rbp
  .seh_pushreg rbp
  sub rsp, 0x158
  .seh_stackalloc 0x158
  lea rbp, [rsp + 0x80]
  .seh_setframe rbp, 0x80
  .seh_endprologue
  SAVE_VOLATILE
  .if \code == 0
  mov qword ptr [FRAME(TF_ErrorCode)], 0
  .endif
.endm

.macro SWAP_IF_FROM_USER
  mov byte ptr [FRAME(TF_PreviousMode)], 0
  test byte ptr [FRAME(TF_SegCs)], 1
  jz 1f
  swapgs
  mov byte ptr [FRAME(TF_PreviousMode)], 1
1:
.endm

/* For entries that may interrupt the instructions around swapgs itself: ask the base register. */
.macro SWAP_IF_USER_GS
  mov byte ptr [FRAME(TF_PreviousMode)], 0
  test byte ptr [FRAME(TF_SegCs)], 1
  jz 1f
  mov byte ptr [FRAME(TF_PreviousMode)], 1
1:
  mov qword ptr [FRAME(TF_GsSwap)], 0
  mov ecx, 0xC0000101
  rdmsr
  test edx, edx
  js 2f
  swapgs
  mov qword ptr [FRAME(TF_GsSwap)], 1
2:
.endm

.macro LEAVE_TRAP
  mov rbp, [FRAME(TF_Rbp)]
  add rsp, TF_Rip
  iretq
.endm
