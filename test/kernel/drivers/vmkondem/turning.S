/*
 * turning.S: an assembly source that a debugger knows line by line, as those of MASM are. clang writes no CodeView for assembly
 * by itself: LINE() says where an instruction comes from, and the end of the file where that is written down.
 */

  .intel_syntax noprefix
  .cv_file 1 __FILE__
  .cv_func_id 0
#define LINE .cv_loc 0 1 __LINE__ 0 is_stmt 1

  .text
  .globl VmkOnDemandTurn
  .def VmkOnDemandTurn; .scl 2; .type 32; .endef

/* ULONG VmkOnDemandTurn(ULONG Value): its bits, turned to the left by three. */
VmkOnDemandTurn:
  LINE; mov eax, ecx
  LINE; rol eax, 3
  LINE; ret
.Lend:

  .section .debug$S, "dr"
  .p2align 2
  .long 4
  .cv_linetable 0, VmkOnDemandTurn, .Lend
  .cv_filechecksums
  .cv_stringtable
