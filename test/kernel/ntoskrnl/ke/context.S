/*
 * context.S: switching stacks: thread to thread, into a new thread, into user mode; and the processor's own
 * loads that need assembly.
 */
#include "asm.h"

  .text

/* KiSwapContext(rcx = old KTHREAD, rdx = new KTHREAD): returns on the new thread's stack. Interrupts are off. */
PROC KiSwapContext
  push rbp
  .seh_pushreg rbp
  push rbx
  .seh_pushreg rbx
  push rsi
  .seh_pushreg rsi
  push rdi
  .seh_pushreg rdi
  push r12
  .seh_pushreg r12
  push r13
  .seh_pushreg r13
  push r14
  .seh_pushreg r14
  push r15
  .seh_pushreg r15
  sub rsp, 0x28
  .seh_stackalloc 0x28
  .seh_endprologue
  mov [rcx + KTHREAD_KernelStack], rsp
  mov rsp, [rdx + KTHREAD_KernelStack]
  add rsp, 0x28
  pop r15
  pop r14
  pop r13
  pop r12
  pop rdi
  pop rsi
  pop rbx
  pop rbp
  ret
ENDPROC

/* A new thread's first return address. Above its frame is a zero: the end of every stack walk. */
PROC KiThreadStartup
  sub rsp, 0x28
  .seh_stackalloc 0x28
  .seh_endprologue
  call KiStartThread
  ud2
ENDPROC

/* KiSwitchStack(rcx = stack top, rdx = function): goes on there and never returns. */
PROC KiSwitchStack
  .seh_endprologue
  mov rsp, rcx
  sub rsp, 0x28
  mov qword ptr [rsp], 0
  xor ebp, ebp
  jmp rdx
ENDPROC

/* KiEnterUserMode(rcx = user RIP, rdx = user RSP, r8 = argument for RCX, r9 = second argument for RDX). */
PROC KiEnterUserMode
  .seh_endprologue
  cli
  push 0x2B
  push rdx
  push 0x202
  push 0x33
  push rcx
  mov rcx, r8
  mov rdx, r9
  xor eax, eax
  xor ebx, ebx
  xor esi, esi
  xor edi, edi
  xor ebp, ebp
  xor r8d, r8d
  xor r9d, r9d
  xor r10d, r10d
  xor r11d, r11d
  xor r12d, r12d
  xor r13d, r13d
  xor r14d, r14d
  xor r15d, r15d
  swapgs
  iretq
ENDPROC

/* KiLoadGdt(rcx = gdtr bytes, rdx = TR selector): reloads every segment register; GS base is the caller's to set. */
PROC KiLoadGdt
  .seh_endprologue
  lgdt [rcx]
  mov eax, 0x2B
  mov ds, eax
  mov es, eax
  mov eax, 0x53
  mov fs, eax
  mov eax, 0x18
  mov ss, eax
  mov eax, 0x2B
  mov gs, eax
  ltr dx
  pop rax
  push 0x10
  push rax
  retfq
ENDPROC

PROC KiLoadIdt
  .seh_endprologue
  lidt [rcx]
  ret
ENDPROC

PROC KiStoreGdt
  .seh_endprologue
  sgdt [rcx]
  ret
ENDPROC

PROC KiStoreIdt
  .seh_endprologue
  sidt [rcx]
  ret
ENDPROC

/* sti and hlt with nothing between them: an interrupt that made work cannot be slept through. */
PROC KiIdleHalt
  .seh_endprologue
  sti
  hlt
  ret
ENDPROC

/* RtlCaptureContext(rcx = CONTEXT): the caller's registers as they are when the call returns. */
PROC RtlCaptureContext
  sub rsp, 8
  .seh_stackalloc 8
  pushfq
  .seh_stackalloc 8
  .seh_endprologue
  mov [rcx + 0x78], rax
  mov [rcx + 0x80], rcx
  mov [rcx + 0x88], rdx
  mov [rcx + 0x90], rbx
  mov [rcx + 0xA0], rbp
  mov [rcx + 0xA8], rsi
  mov [rcx + 0xB0], rdi
  mov [rcx + 0xB8], r8
  mov [rcx + 0xC0], r9
  mov [rcx + 0xC8], r10
  mov [rcx + 0xD0], r11
  mov [rcx + 0xD8], r12
  mov [rcx + 0xE0], r13
  mov [rcx + 0xE8], r14
  mov [rcx + 0xF0], r15
  fxsave [rcx + 0x100]
  stmxcsr [rcx + 0x34]
  mov word ptr [rcx + 0x38], cs
  mov word ptr [rcx + 0x3A], ds
  mov word ptr [rcx + 0x3C], es
  mov word ptr [rcx + 0x3E], fs
  mov word ptr [rcx + 0x40], gs
  mov word ptr [rcx + 0x42], ss
  mov eax, [rsp]
  mov [rcx + 0x44], eax
  mov rax, [rsp + 0x10]
  mov [rcx + 0xF8], rax
  lea rax, [rsp + 0x18]
  mov [rcx + 0x98], rax
  mov dword ptr [rcx + 0x30], 0x10000F
  add rsp, 0x10
  ret
ENDPROC

/* RtlpRestoreContext(rcx = CONTEXT of kernel mode): goes there; by iretq, so that RSP may be anything. */
PROC RtlpRestoreContext
  .seh_endprologue
  cli
  fxrstor [rcx + 0x100]
  movzx eax, word ptr [rcx + 0x42]
  push rax
  push qword ptr [rcx + 0x98]
  mov eax, [rcx + 0x44]
  push rax
  movzx eax, word ptr [rcx + 0x38]
  push rax
  push qword ptr [rcx + 0xF8]
  mov rdx, [rcx + 0x88]
  mov rbx, [rcx + 0x90]
  mov rbp, [rcx + 0xA0]
  mov rsi, [rcx + 0xA8]
  mov rdi, [rcx + 0xB0]
  mov r8, [rcx + 0xB8]
  mov r9, [rcx + 0xC0]
  mov r10, [rcx + 0xC8]
  mov r11, [rcx + 0xD0]
  mov r12, [rcx + 0xD8]
  mov r13, [rcx + 0xE0]
  mov r14, [rcx + 0xE8]
  mov r15, [rcx + 0xF0]
  mov rax, [rcx + 0x78]
  mov rcx, [rcx + 0x80]
  iretq
ENDPROC
