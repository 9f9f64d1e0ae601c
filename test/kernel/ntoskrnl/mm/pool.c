/*
 * pool.c: ExAllocatePoolWithTag. Small blocks come first-fit from one arena of non-paged memory, in address order,
 * neighbours merged when freed; a page and more comes page-aligned from the system area, as in NT.
 */
#include "mm.h"

#define POOL_GRANULE 16u
#define ARENA_PAGES 1024u /* 4 MiB */

/* In front of each block; a debugger finds the tag here. Free blocks keep their list entry in the body. */
typedef struct _POOL_HEADER {
  ULONG PreviousSize : 28; /* granules, headers included */
  ULONG PoolIndex : 4;     /* 1 = in use */
  ULONG BlockSize;         /* granules, header included */
  ULONG PoolTag;
  ULONG Reserved;
} POOL_HEADER, *PPOOL_HEADER;
C_ASSERT(sizeof(POOL_HEADER) == POOL_GRANULE);

static PUCHAR ArenaStart, ArenaEnd;
static LIST_ENTRY FreeBlocks;
static KSPIN_LOCK PoolLock;

static PPOOL_HEADER Next(PPOOL_HEADER Block) { return Block + Block->BlockSize; }
static PLIST_ENTRY LinkOf(PPOOL_HEADER Block) { return (PLIST_ENTRY)(Block + 1); }

static VOID SetSize(PPOOL_HEADER Block, ULONG Granules)
{
  Block->BlockSize = Granules;
  if ((PUCHAR)Next(Block) < ArenaEnd) Next(Block)->PreviousSize = Granules;
}

VOID ExInitializePool(VOID)
{
  ArenaStart = MiAllocateSystemPages(ARENA_PAGES, PTE_KERNEL_DATA);
  if (!ArenaStart) KeBugCheckEx(PHASE0_INITIALIZATION_FAILED, 2, 0, 0, 0);
  ArenaEnd = ArenaStart + ARENA_PAGES * PAGE_SIZE;
  PPOOL_HEADER Whole = (PPOOL_HEADER)ArenaStart;
  *Whole = (POOL_HEADER){0};
  SetSize(Whole, ARENA_PAGES * (ULONG)PAGE_SIZE / POOL_GRANULE);
  InitializeListHead(&FreeBlocks);
  InsertTailList(&FreeBlocks, LinkOf(Whole));
}

PVOID ExAllocatePoolWithTag(POOL_TYPE PoolType, SIZE_T Bytes, ULONG Tag)
{
  UNREFERENCED_PARAMETER(PoolType);
  if (Bytes > 0x8000000) return NULL;
  if (Bytes >= PAGE_SIZE - POOL_GRANULE)
    return MiAllocateSystemPages(ROUND_UP(Bytes, PAGE_SIZE) >> PAGE_SHIFT, PTE_KERNEL_DATA);
  ULONG Want = (ULONG)(ROUND_UP(max(Bytes, 16), POOL_GRANULE) / POOL_GRANULE) + 1;
  KIRQL Irql = KeAcquireSpinLockRaiseToDpc(&PoolLock);
  for (PLIST_ENTRY Link = FreeBlocks.Flink; Link != &FreeBlocks; Link = Link->Flink) {
    PPOOL_HEADER Block = (PPOOL_HEADER)Link - 1;
    if (Block->BlockSize < Want) continue;
    RemoveEntryList(Link);
    ULONG Rest = Block->BlockSize - Want;
    if (Rest >= 2) {
      PPOOL_HEADER Tail = Block + Want;
      *Tail = (POOL_HEADER){0};
      SetSize(Tail, Rest);
      SetSize(Block, Want);
      InsertTailList(&FreeBlocks, LinkOf(Tail));
    }
    Block->PoolIndex = 1;
    Block->PoolTag = Tag;
    KeReleaseSpinLock(&PoolLock, Irql);
    return Block + 1;
  }
  KeReleaseSpinLock(&PoolLock, Irql);
  return NULL;
}

VOID ExFreePoolWithTag(PVOID P, ULONG Tag)
{
  if ((PUCHAR)P < ArenaStart || (PUCHAR)P >= ArenaEnd) {
    MiFreeSystemPages(P);
    return;
  }
  PPOOL_HEADER Block = (PPOOL_HEADER)P - 1;
  KIRQL Irql = KeAcquireSpinLockRaiseToDpc(&PoolLock);
  if (Block->PoolIndex != 1 || (Tag && Block->PoolTag != Tag))
    KeBugCheckEx(BAD_POOL_HEADER, 0x20, (ULONG_PTR)P, Block->PoolTag, Tag);
  Block->PoolIndex = 0;
  PPOOL_HEADER After = Next(Block);
  if ((PUCHAR)After < ArenaEnd && !After->PoolIndex) {
    RemoveEntryList(LinkOf(After));
    SetSize(Block, Block->BlockSize + After->BlockSize);
  }
  if (Block->PreviousSize && !(Block - Block->PreviousSize)->PoolIndex) {
    PPOOL_HEADER Before = Block - Block->PreviousSize;
    RemoveEntryList(LinkOf(Before));
    SetSize(Before, Before->BlockSize + Block->BlockSize);
    Block = Before;
  }
  InsertTailList(&FreeBlocks, LinkOf(Block));
  KeReleaseSpinLock(&PoolLock, Irql);
}

PVOID ExAllocatePool(POOL_TYPE PoolType, SIZE_T Bytes) { return ExAllocatePoolWithTag(PoolType, Bytes, 0x656E6F4E); }
VOID ExFreePool(PVOID P) { ExFreePoolWithTag(P, 0); }

/* Flags are POOL_FLAG_*; ours is non-paged, zeroed by default as there. */
PVOID ExAllocatePool2(ULONG64 Flags, SIZE_T Bytes, ULONG Tag)
{
  UNREFERENCED_PARAMETER(Flags);
  PVOID P = ExAllocatePoolWithTag(NonPagedPoolNx, Bytes, Tag);
  if (P) RtlZeroMemory(P, Bytes);
  return P;
}
