/*
 * space.c: user address spaces, and where kernel images may go.
 */
#include "mm.h"

/* A new PML4: the kernel half is shared by copying, the slot of the page tables points at itself. */
ULONG64 MmCreateProcessAddressSpace(VOID)
{
  ULONG64 Page = MiAllocateContiguousPages(1, 0xFFFFF, 1);
  if (!Page) return 0;
  PULONG64 New = MiPhysicalWindow(Page << PAGE_SHIFT);
  PULONG64 System = MiPhysicalWindow(PsInitialSystemProcess->Pcb.DirectoryTableBase);
  for (ULONG I = 256; I < 512; I++) New[I] = System[I];
  New[(MmPteBase >> 39) & 0x1FF] = Page << PAGE_SHIFT | PTE_TABLE | PTE_NO_EXECUTE;
  return Page << PAGE_SHIFT;
}

/* Everything below one table of the user half: pages (but not the shared page, which is the kernel's), then tables. */
static VOID FreeLevel(ULONG64 Table, ULONG Level, ULONG Entries)
{
  PULONG64 Entry = MiPhysicalWindow(Table);
  ULONG64 Shared = (ULONG64)MmGetPhysicalAddress(SharedUserData).QuadPart;
  for (ULONG I = 0; I < Entries; I++) {
    ULONG64 Page = Entry[I] & PTE_PFN_MASK;
    if (!(Entry[I] & PTE_PRESENT) || Page == Shared) continue;
    if (Level > 0) FreeLevel(Page, Level - 1, 512);
    Entry[I] = 0;
    MiFreePages(Page >> PAGE_SHIFT, 1);
  }
}

/* No processor has it loaded: its last thread is gone. */
VOID MmDeleteProcessAddressSpace(ULONG64 DirectoryTableBase)
{
  FreeLevel(DirectoryTableBase, 3, 256);
  MiFreePages(DirectoryTableBase >> PAGE_SHIFT, 1);
}

BOOLEAN MiCommitUser(ULONG64 Address, ULONG64 Pages, ULONG64 Bits)
{
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Page = MiAllocatePage();
    if (!Page || !MiWritePte(Address + (I << PAGE_SHIFT), Page << PAGE_SHIFT | Bits | PTE_PRESENT | PTE_USER))
      return FALSE;
  }
  return TRUE;
}

BOOLEAN MiReserveUser(ULONG64 Address, ULONG64 Pages, ULONG64 SoftwareBits)
{
  for (ULONG64 I = 0; I < Pages; I++)
    if (!MiWritePte(Address + (I << PAGE_SHIFT), SoftwareBits)) return FALSE;
  return TRUE;
}

/* Images may reach each other's code and data by 32-bit displacements only inside one image: any gap will do. */
ULONG64 MiReserveImageVa(ULONG64 Pages)
{
  for (ULONG Try = 0; Try < 64; Try++) {
    ULONG64 Base = MI_IMAGE_AREA_BASE + LARGE_PAGE_SIZE * 0x200 + (MiRandom(0xF00000) + Try * 0x1000) * PAGE_SIZE;
    BOOLEAN Clash = FALSE;
    for (PLIST_ENTRY Link = PsLoadedModuleList.Flink; Link != &PsLoadedModuleList; Link = Link->Flink) {
      PKLDR_DATA_TABLE_ENTRY Entry = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
      ULONG64 Start = (ULONG64)Entry->DllBase - PAGE_SIZE, End = Start + Entry->SizeOfImage + 2 * PAGE_SIZE;
      if (Base < End && Base + (Pages << PAGE_SHIFT) > Start) Clash = TRUE;
    }
    if (!Clash) return Base;
  }
  return 0;
}
