/*
 * fault.c: what a page fault means. Kernel: transition pages (PAGE sections of drivers) come back; anything else is a
 * bugcheck for system addresses and an exception for user addresses. User: demand-zero and guard pages.
 */
#include "mm.h"

#define FAULT_PRESENT 1u
#define FAULT_WRITE 2u
#define FAULT_EXECUTE 16u

/* NT's number for the kind of access: 0 read, 1 write, 8 execute. */
static ULONG_PTR AccessKind(ULONG64 ErrorCode)
{
  return ErrorCode & FAULT_EXECUTE ? 8 : ErrorCode & FAULT_WRITE ? 1 : 0;
}

static BOOLEAN Resolve(ULONG64 Address, NTSTATUS *Status)
{
  ULONG64 Pte = MiReadPte(Address);
  if (Pte & PTE_PRESENT) return TRUE; /* another processor was faster, or this one's TLB was stale */
  if (Pte & PTE_TRANSITION) {
    MiWritePte(PAGE_ALIGN(Address), (Pte & ~PTE_TRANSITION) | PTE_PRESENT | PTE_ACCESSED);
    KdSetOwedBreakpoints();
    return TRUE;
  }
  if (Pte & PTE_DEMAND_ZERO) {
    ULONG64 Page = MiAllocatePage();
    if (!Page) {
      *Status = STATUS_NO_MEMORY;
      return FALSE;
    }
    ULONG64 Bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE;
    MiWritePte(PAGE_ALIGN(Address), Page << PAGE_SHIFT | Bits);
    if (Pte & PTE_GUARD) { /* the stack grows: the guard moves one page down, if there is one to move to */
      ULONG64 Below = MiReadPte(Address - PAGE_SIZE);
      if (!(Below & PTE_PRESENT) && (Below & PTE_DEMAND_ZERO)) {
        MiWritePte(PAGE_ALIGN(Address) - PAGE_SIZE, Below | PTE_GUARD);
      } else {
        *Status = STATUS_STACK_OVERFLOW;
        return FALSE;
      }
    }
    KdSetOwedBreakpoints();
    return TRUE;
  }
  return FALSE;
}

BOOLEAN MmAccessFault(PKTRAP_FRAME TrapFrame, KPROCESSOR_MODE PreviousMode, NTSTATUS *Status)
{
  ULONG64 Address = TrapFrame->FaultAddress;
  KeGetCurrentPrcb()->PageFaultCount++;
  TrapFrame->FaultIndicator = (UCHAR)AccessKind(TrapFrame->ErrorCode);
  *Status = STATUS_ACCESS_VIOLATION;
  BOOLEAN System = Address >= MM_SYSTEM_RANGE_START;
  if (PreviousMode == UserMode && System) return FALSE;
  BOOLEAN Canonical = Address >> 47 == 0 || Address >> 47 == 0x1FFFF;
  if (PreviousMode == KernelMode && KeGetCurrentIrql() >= DISPATCH_LEVEL && !(TrapFrame->ErrorCode & FAULT_PRESENT))
    KeBugCheckEx(IRQL_NOT_LESS_OR_EQUAL, Address, KeGetCurrentIrql(), TrapFrame->FaultIndicator, TrapFrame->Rip);
  if (Canonical && !(TrapFrame->ErrorCode & FAULT_PRESENT) && Resolve(Address, Status)) return TRUE;
  if (!System) return FALSE;
  if (TrapFrame->ErrorCode & FAULT_PRESENT) {
    ULONG64 Pte = MiReadPte(Address);
    if (TrapFrame->ErrorCode & FAULT_EXECUTE)
      KeBugCheckEx(ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY, Address, Pte, (ULONG_PTR)TrapFrame, 2);
    KeBugCheckEx(ATTEMPTED_WRITE_TO_READONLY_MEMORY, Address, Pte, (ULONG_PTR)TrapFrame, 10);
  }
  KeBugCheckEx(PAGE_FAULT_IN_NONPAGED_AREA, Address, TrapFrame->FaultIndicator, TrapFrame->Rip, 2);
}
