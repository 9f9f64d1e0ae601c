/*
 * pfn.c: physical pages. One MMPFN per page up to the highest; free pages are found by scanning from a moving hint,
 * which is simple and, at a few hundred MiB, fast.
 */
#include "mm.h"

PMMPFN MmPfnDatabase;
ULONG64 MmAvailablePages, MmHighestPhysicalPage, MmLowestPhysicalPage, MmNumberOfPhysicalPages;
PPHYSICAL_MEMORY_DESCRIPTOR MmPhysicalMemoryBlock;
static PHYSICAL_MEMORY_DESCRIPTOR PhysicalMemory;
static ULONG64 Hint;
static KSPIN_LOCK PfnLock;

static BOOLEAN Lock(VOID)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  KiAcquireSpinLock(&PfnLock);
  return Enabled;
}

static VOID Unlock(BOOLEAN Enabled)
{
  KiReleaseSpinLock(&PfnLock);
  if (Enabled) KiEnableInterrupts();
}

VOID MiInitializePfn(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  MmHighestPhysicalPage = LoaderBlock->HighestPhysicalPage;
  /* The loader allocates upwards without holes: what follows its last page is free, and ours. */
  ULONG64 Bytes = ROUND_UP((MmHighestPhysicalPage + 1) * sizeof(MMPFN), PAGE_SIZE);
  ULONG64 First = LoaderBlock->LoaderLastPage, Last = First + (Bytes >> PAGE_SHIFT);
  MmPfnDatabase = MiPhysicalWindow(First << PAGE_SHIFT);
  RtlZeroMemory(MmPfnDatabase, Bytes);
  MmLowestPhysicalPage = MAXULONG;
  for (ULONG I = 0; I < LoaderBlock->MemoryRangeCount; I++) {
    PMEMORY_ALLOCATION_DESCRIPTOR Range = &LoaderBlock->MemoryRanges[I];
    if (Range->MemoryType != LoaderFree) continue;
    if (Range->BasePage < MmLowestPhysicalPage) MmLowestPhysicalPage = Range->BasePage;
    MmNumberOfPhysicalPages += Range->PageCount;
    PhysicalMemory.Run[PhysicalMemory.NumberOfRuns++] = (PHYSICAL_MEMORY_RUN){Range->BasePage, Range->PageCount};
    for (ULONG64 Page = Range->BasePage; Page < Range->BasePage + Range->PageCount; Page++) {
      /* Below 1 MiB only the trampoline is used; the loader and the files stay until the end. */
      BOOLEAN Taken = Page < 0x100 || (Page >= 0x100 && Page < Last);
      MmPfnDatabase[Page].State = Taken ? MiPageActive : MiPageFree;
      if (!Taken) MmAvailablePages++;
    }
  }
  PhysicalMemory.NumberOfPages = MmNumberOfPhysicalPages;
  MmPhysicalMemoryBlock = &PhysicalMemory;
  if (Last > MmHighestPhysicalPage) KeBugCheckEx(PHASE0_INITIALIZATION_FAILED, 1, Last, MmHighestPhysicalPage, 0);
  Hint = Last;
}

BOOLEAN MiIsRam(ULONG64 Physical, ULONG64 Size)
{
  ULONG64 First = Physical >> PAGE_SHIFT, Last = (Physical + Size - 1) >> PAGE_SHIFT;
  if (Physical + Size < Physical || Last > MmHighestPhysicalPage) return FALSE;
  for (ULONG64 Page = First; Page <= Last; Page++)
    if (MmPfnDatabase[Page].State == MiPageFirmware) return FALSE;
  return TRUE;
}

static ULONG64 FindRun(ULONG64 From, ULONG64 To, ULONG64 Count, ULONG64 Alignment)
{
  ULONG64 Start = ROUND_UP(From, Alignment), Run = 0;
  for (ULONG64 Page = Start; Page < To; Page++) {
    if (MmPfnDatabase[Page].State != MiPageFree) {
      Start = ROUND_UP(Page + 1, Alignment);
      Page = Start - 1;
      Run = 0;
    } else if (++Run == Count) {
      return Start;
    }
  }
  return 0;
}

ULONG64 MiAllocateContiguousPages(ULONG64 Count, ULONG64 HighestPage, ULONG64 Alignment)
{
  ULONG64 End = min(HighestPage, MmHighestPhysicalPage) + 1;
  if (Count == 0) return 0;
  BOOLEAN Enabled = Lock();
  ULONG64 Page = FindRun(min(Hint, End), End, Count, Alignment);
  if (!Page) Page = FindRun(MmLowestPhysicalPage, End, Count, Alignment);
  for (ULONG64 I = 0; Page && I < Count; I++) {
    MmPfnDatabase[Page + I].State = MiPageActive;
    MmPfnDatabase[Page + I].ReferenceCount = 1;
  }
  if (Page) {
    MmAvailablePages -= Count;
    if (Count == 1) Hint = Page + 1;
  }
  Unlock(Enabled);
  if (Page) RtlZeroMemory(MiPhysicalWindow(Page << PAGE_SHIFT), Count << PAGE_SHIFT);
  return Page;
}

ULONG64 MiAllocatePage(VOID) { return MiAllocateContiguousPages(1, MmHighestPhysicalPage, 1); }

VOID MiFreePages(ULONG64 Page, ULONG64 Count)
{
  BOOLEAN Enabled = Lock();
  for (ULONG64 I = 0; I < Count; I++) {
    PMMPFN Pfn = &MmPfnDatabase[Page + I];
    if (Page + I > MmHighestPhysicalPage || Pfn->State == MiPageFirmware || Pfn->State == MiPageFree)
      KeBugCheckEx(BAD_POOL_HEADER, 7, Page + I, Count, 0);
    *Pfn = (MMPFN){.State = MiPageFree};
  }
  MmAvailablePages += Count;
  if (Page < Hint) Hint = Page;
  Unlock(Enabled);
}
