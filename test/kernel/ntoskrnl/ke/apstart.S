/*
 * apstart.S: where another processor wakes up. KeStartAllProcessors copies [KiApTrampoline, KiApTrampolineEnd) to the
 * page at TRAMPOLINE and fills the parameters; the start-up IPI enters it in real mode.
 *
 *   offset 0x10: CR3 (u32, below 4 GiB), pad;  0x18: stack;  0x20: entry;  0x28: argument (u64 each)
 *   offset 0x30: a GDT of four;  0x50: its GDTR
 */
  .intel_syntax noprefix
#define TRAMPOLINE 0x8000
#define AT(label) (label - KiApTrampoline + TRAMPOLINE)

  .section .rdata,"dr"
  .globl KiApTrampoline
  .globl KiApTrampolineEnd
  .balign 16
KiApTrampoline:
  .code16
  cli
  cld
  jmp Ap16
  .org KiApTrampoline + 0x10
  .zero 32
  .quad 0
  .quad 0
  .quad 0x00209B0000000000
  .quad 0x0000930000000000
  .word 31
  .long TRAMPOLINE + 0x30
Ap16:
  xor ax, ax
  mov ds, ax
  lgdtd [TRAMPOLINE + 0x50]
  mov eax, cr4
  or eax, 0x620
  mov cr4, eax
  mov eax, [TRAMPOLINE + 0x10]
  mov cr3, eax
  mov ecx, 0xC0000080
  rdmsr
  or eax, 0x901
  wrmsr
  mov eax, 0x80010033
  mov cr0, eax
  .byte 0x66, 0xEA /* jmp far 10h:Ap64 */
  .long AT(Ap64)
  .word 0x10
  .code64
Ap64:
  mov eax, 0x18
  mov ss, eax
  mov ds, eax
  mov es, eax
  mov ebx, TRAMPOLINE
  mov rsp, [rbx + 0x18]
  mov rax, [rbx + 0x20]
  mov rcx, [rbx + 0x28]
  sub rsp, 0x28
  mov qword ptr [rsp], 0
  xor ebp, ebp
  jmp rax
KiApTrampolineEnd:
