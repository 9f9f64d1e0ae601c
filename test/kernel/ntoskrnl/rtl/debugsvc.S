/*
 * debugsvc.S: the instructions by which code asks for the debugger. `int 2Dh` skips one byte on its way back, hence
 * the int3 behind it; ke.h has the services and their arguments.
 */
#include "../ke/asm.h"

  .text

PROC DbgBreakPoint
  .seh_endprologue
  int3
  ret
ENDPROC

/* The status is in ecx; a debugger knows this break by the address of the int3. */
PROC DbgBreakPointWithStatus
  .seh_endprologue
  .globl RtlpBreakWithStatusInstruction
RtlpBreakWithStatusInstruction:
  int3
  ret
ENDPROC

/* DebugService(ecx = service, rdx, r8, r9, [rsp + 28h] = arguments): eax = the debugger's answer. */
PROC DebugService
  .seh_endprologue
  mov eax, ecx
  mov rcx, rdx
  mov rdx, r8
  mov r8, r9
  mov r9, [rsp + 0x28]
  int 0x2d
  int3
  ret
ENDPROC
