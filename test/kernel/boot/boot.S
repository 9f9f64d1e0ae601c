/*
 * boot.S: the loader's first instructions. QEMU's Multiboot 1 loader enters at LoaderEntry in 32-bit protected mode
 * with EBX = multiboot information; we identity-map the first 4 GiB by 2 MiB pages, switch to long mode and call
 * LoaderMain(information).
 *
 * The image is a PE whose file layout equals its memory layout (file and section alignment are both 4096 and nothing
 * is left to .bss), so the address fields of the Multiboot header can describe it as a flat file.
 */
  .intel_syntax noprefix
#define MULTIBOOT_MAGIC 0x1BADB002
#define MULTIBOOT_FLAGS 0x00010003 /* page-aligned modules, memory map, address fields valid */

  .text /* the first object of the link, so this is the start of the section */
  .balign 16
MultibootHeader:
  .long MULTIBOOT_MAGIC
  .long MULTIBOOT_FLAGS
  .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
  .long MultibootHeader
  .long MultibootHeader /* load address: the header is the first thing in the file's second page */
  .long 0               /* load to the end of the file */
  .long 0               /* no .bss */
  .long LoaderEntry

  .code32
  .globl LoaderEntry
LoaderEntry:
  cli
  cld
  cmp eax, 0x2BADB002
  jne LoaderDead
  mov edi, ebx

  /* Four page directories, 512 entries of 2 MiB each. */
  mov ecx, 0
1:
  mov eax, ecx
  shl eax, 21
  or eax, 0x83
  mov edx, offset LoaderDirectories
  mov [edx + ecx * 8], eax
  mov dword ptr [edx + ecx * 8 + 4], 0
  inc ecx
  cmp ecx, 2048
  jb 1b
  mov eax, offset LoaderDirectories + 3
  mov edx, offset LoaderPdpt
  mov ecx, 4
2:
  mov [edx], eax
  add eax, 0x1000
  add edx, 8
  loop 2b
  mov eax, offset LoaderPdpt + 3
  mov edx, offset LoaderPml4
  mov [edx], eax
  mov cr3, edx

  mov eax, cr4
  or eax, 0x620 /* PAE, OSFXSR, OSXMMEXCPT */
  mov cr4, eax
  mov ecx, 0xC0000080
  rdmsr
  or eax, 0x901 /* SCE, LME, NXE */
  wrmsr
  mov eax, 0x80010023 /* PG, WP, NE, MP, PE */
  or eax, 0x10
  mov cr0, eax
  mov eax, offset LoaderGdtr
  lgdt [eax]
  push 0x10
  mov eax, offset LoaderEntry64
  push eax
  retf
LoaderDead:
  hlt
  jmp LoaderDead

  .code64
LoaderEntry64:
  mov eax, 0x18
  mov ds, eax
  mov es, eax
  mov ss, eax
  xor eax, eax
  mov fs, eax
  mov gs, eax
  lea rsp, [rip + LoaderStackTop]
  mov ecx, edi
  sub rsp, 0x28
  call LoaderMain
  ud2

/* LoaderJump(rcx = cr3, rdx = stack, r8 = entry, r9 = argument): leaves the loader for good. */
  .globl LoaderJump
LoaderJump:
  mov cr3, rcx
  mov rsp, rdx
  mov rcx, r9
  sub rsp, 0x28
  xor ebp, ebp
  mov qword ptr [rsp], 0 /* return address 0: the end of every stack walk */
  jmp r8

  .section .data,"dw"
  .balign 4096
LoaderPml4:
  .zero 4096
LoaderPdpt:
  .zero 4096
LoaderDirectories:
  .zero 4 * 4096
  .zero 16384
LoaderStackTop:
  .balign 16
LoaderGdt:
  .quad 0
  .quad 0
  .quad 0x00209B0000000000 /* 0x10: NT's KGDT64_R0_CODE */
  .quad 0x0000930000000000
LoaderGdtr:
  .word 31
  .long LoaderGdt
  .long 0
