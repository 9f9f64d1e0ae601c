/*
 * syscalls.S: the way into the kernel, as ntdll has it.
 */
#include "usersvc.h"
  .intel_syntax noprefix
  .text
.macro STUB name, number
  .globl \name
  .def \name
  .scl 2
  .type 32
  .endef
  .p2align 4
  .seh_proc \name
\name:
  .seh_endprologue
  mov r10, rcx
  mov eax, \number
  syscall
  ret
  .seh_endproc
.endm
STUB NtTerminateProcess, SERVICE_NtTerminateProcess
STUB NtQueryPerformanceCounter, SERVICE_NtQueryPerformanceCounter
STUB NtDelayExecution, SERVICE_NtDelayExecution
STUB NtYieldExecution, SERVICE_NtYieldExecution
STUB NtQuerySystemTime, SERVICE_NtQuerySystemTime
