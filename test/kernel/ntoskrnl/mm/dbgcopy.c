/*
 * dbgcopy.c: memory for the debugger. The page tables are walked through the physical window, so nothing here can
 * fault, whatever address is asked for and whatever the tables hold; a write to a read-only page goes to the page,
 * not to its mapping.
 */
#include "mm.h"

static ULONG64 DebugPteAddress; /* one page of the system area, to reach device memory */

VOID MmInitializeDebugPte(VOID)
{
  DebugPteAddress = MiReserveSystemVa(1);
  if (!DebugPteAddress || !MiWritePte(DebugPteAddress, 0)) KeBugCheckEx(PHASE0_INITIALIZATION_FAILED, 3, 0, 0, 0);
}

BOOLEAN MmDbgTranslate(ULONG64 Address, PULONG64 Physical, PULONG64 Entry)
{
  ULONG64 Table = KiReadCr3() & PTE_PFN_MASK, High = Address >> 47;
  if (High != 0 && High != 0x1FFFF) return FALSE; /* not canonical */
  for (LONG Level = 3; Level >= 0; Level--) {
    ULONG64 Slot = Table + (Address >> (12 + 9 * Level) & 0x1FF) * 8;
    if (!MiIsRam(Slot, 8)) return FALSE;
    ULONG64 Pte = *(volatile ULONG64 *)MiPhysicalWindow(Slot);
    if (Entry) *Entry = Pte;
    if (!(Pte & PTE_PRESENT)) return FALSE;
    if (Level == 0 || (Level < 3 && (Pte & PTE_LARGE))) {
      ULONG64 Offset = (1ull << (12 + 9 * Level)) - 1;
      *Physical = (Pte & PTE_PFN_MASK & ~Offset) | (Address & Offset);
      return TRUE;
    }
    Table = Pte & PTE_PFN_MASK;
  }
  return FALSE;
}

static VOID Copy(volatile VOID *To, const volatile VOID *From, ULONG Size)
{
  switch (Size) { /* one access of the size that was asked for: device registers care */
  case 1: *(volatile UCHAR *)To = *(const volatile UCHAR *)From; break;
  case 2: *(volatile USHORT *)To = *(const volatile USHORT *)From; break;
  case 4: *(volatile ULONG *)To = *(const volatile ULONG *)From; break;
  default: *(volatile ULONG64 *)To = *(const volatile ULONG64 *)From; break;
  }
}

static NTSTATUS CopyPhysical(ULONG64 Physical, PVOID Buffer, ULONG Size, ULONG Flags)
{
  BOOLEAN Device = !MiIsRam(Physical, Size);
  ULONG PhysicalBits, Registers[4];
  KiCpuid(0x80000008, 0, Registers);
  PhysicalBits = Registers[0] & 0xFF;
  if (Physical >> PhysicalBits) return STATUS_UNSUCCESSFUL;
  PUCHAR Address = MiPhysicalWindow(Physical);
  if (Device) {
    if (!DebugPteAddress) return STATUS_UNSUCCESSFUL;
    *MiGetPteAddress(DebugPteAddress) = (Physical & PTE_PFN_MASK) | PTE_KERNEL_DATA | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH;
    KiInvalidatePage(DebugPteAddress);
    Address = (PUCHAR)DebugPteAddress + BYTE_OFFSET(Physical);
  }
  if (Flags & MMDBG_COPY_WRITE)
    Copy(Address, Buffer, Size);
  else
    Copy(Buffer, Address, Size);
  if (Device) {
    *MiGetPteAddress(DebugPteAddress) = 0;
    KiInvalidatePage(DebugPteAddress);
  }
  return STATUS_SUCCESS;
}

NTSTATUS MmDbgCopyMemory(ULONG64 Address, PVOID Buffer, ULONG Size, ULONG Flags)
{
  ULONG64 Physical = Address;
  if (Size != 1 && Size != 2 && Size != 4 && Size != 8) return STATUS_UNSUCCESSFUL;
  if (BYTE_OFFSET(Address) + Size > PAGE_SIZE) return STATUS_UNSUCCESSFUL;
  if (!(Flags & MMDBG_COPY_PHYSICAL) && !MmDbgTranslate(Address, &Physical, NULL)) return STATUS_UNSUCCESSFUL;
  return CopyPhysical(Physical, Buffer, Size, Flags);
}

BOOLEAN MmIsAddressValid(PVOID Address)
{
  ULONG64 Physical;
  return MmDbgTranslate((ULONG64)Address, &Physical, NULL);
}
