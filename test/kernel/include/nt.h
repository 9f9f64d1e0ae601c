/*
 * nt.h: everything of NT's shape that the kernel, kdcom and the drivers share. Include this, and ke.h inside the
 * kernel, ddk.h inside a driver.
 */
#ifndef VMK_NT_H
#define VMK_NT_H

#include "ntdef.h"
#include "cpu.h"
#include "ps.h"
#include "ldr.h"
#include "shared.h"

#define NT_BUILD_NUMBER 19041u
#define NT_MAJOR_VERSION 10u
#define NT_MINOR_VERSION 0u

#define PAGE_SHIFT 12
#define PAGE_SIZE 0x1000ull
#define LARGE_PAGE_SIZE 0x200000ull
#define PAGE_ALIGN(address) ((ULONG64)(address) & ~(PAGE_SIZE - 1))
#define BYTE_OFFSET(address) ((ULONG)((ULONG64)(address) & (PAGE_SIZE - 1)))

#define MM_SYSTEM_RANGE_START 0xFFFF800000000000ull
#define MM_USER_PROBE_ADDRESS 0x00007FFFFFFF0000ull
#define MM_HIGHEST_USER_ADDRESS 0x00007FFFFFFEFFFFull

#define PASSIVE_LEVEL 0
#define APC_LEVEL 1
#define DISPATCH_LEVEL 2
#define CLOCK_LEVEL 13
#define IPI_LEVEL 14
#define HIGH_LEVEL 15

/* int 2Dh services (rax) and the ExceptionInformation[0] they become. */
#define BREAKPOINT_BREAK 0
#define BREAKPOINT_PRINT 1
#define BREAKPOINT_PROMPT 2
#define BREAKPOINT_LOAD_SYMBOLS 3
#define BREAKPOINT_UNLOAD_SYMBOLS 4
#define BREAKPOINT_COMMAND_STRING 5

#define DBG_STATUS_CONTROL_C 1
#define DBG_STATUS_SYSRQ 2
#define DBG_STATUS_BUGCHECK_FIRST 3
#define DBG_STATUS_BUGCHECK_SECOND 4
#define DBG_STATUS_FATAL 5
#define DBG_STATUS_DEBUG_CONTROL 6

/* What BREAKPOINT_LOAD_SYMBOLS points at (second argument). */
typedef struct _KD_SYMBOLS_INFO {
  PVOID BaseOfDll;
  PVOID ProcessId;
  ULONG CheckSum;
  ULONG SizeOfImage;
} KD_SYMBOLS_INFO, *PKD_SYMBOLS_INFO;

#define IRQL_NOT_LESS_OR_EQUAL 0x0000000Aul
#define KMODE_EXCEPTION_NOT_HANDLED 0x0000001Eul
#define PAGE_FAULT_IN_NONPAGED_AREA 0x00000050ul
#define UNEXPECTED_KERNEL_MODE_TRAP 0x0000007Ful
#define SYSTEM_THREAD_EXCEPTION_NOT_HANDLED 0x0000007Eul
#define PHASE0_INITIALIZATION_FAILED 0x00000031ul
#define PHASE1_INITIALIZATION_FAILED 0x00000032ul
#define ATTEMPTED_WRITE_TO_READONLY_MEMORY 0x000000BEul
#define ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY 0x000000FCul
#define NO_MORE_SYSTEM_PTES 0x0000003Ful
#define BAD_POOL_HEADER 0x00000019ul
#define MANUALLY_INITIATED_CRASH 0x000000E2ul
#define NMI_HARDWARE_FAILURE 0x00000080ul

#endif
