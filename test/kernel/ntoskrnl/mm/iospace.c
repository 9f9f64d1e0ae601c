/*
 * iospace.c: mapping services that drivers import: device memory, physical addresses, contiguous memory.
 */
#include "mm.h"

PVOID MmMapIoSpace(PHYSICAL_ADDRESS PhysicalAddress, SIZE_T Bytes, MEMORY_CACHING_TYPE CacheType)
{
  ULONG64 Offset = BYTE_OFFSET(PhysicalAddress.QuadPart);
  if (Bytes == 0 || Bytes > 0x8000000) return NULL;
  ULONG64 Pages = (Offset + Bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
  ULONG64 Address = MiReserveSystemVa(Pages);
  if (!Address) return NULL;
  ULONG64 Bits = PTE_KERNEL_DATA | (CacheType == MmCached ? 0 : PTE_CACHE_DISABLE | PTE_WRITE_THROUGH);
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Page = PAGE_ALIGN(PhysicalAddress.QuadPart) + (I << PAGE_SHIFT);
    if (!MiWritePte(Address + (I << PAGE_SHIFT), Page | Bits)) return NULL;
  }
  return (PVOID)(Address + Offset);
}

VOID MmUnmapIoSpace(PVOID BaseAddress, SIZE_T Bytes)
{
  UNREFERENCED_PARAMETER(Bytes);
  ULONG64 Address = PAGE_ALIGN(BaseAddress), Pages = MiSystemVaLength(Address);
  for (ULONG64 I = 0; I < Pages; I++) MiWritePte(Address + (I << PAGE_SHIFT), 0);
  if (!Pages) return;
  KeFlushEntireTb();
  MiReleaseSystemVa(Address);
}

PHYSICAL_ADDRESS MmGetPhysicalAddress(PVOID BaseAddress)
{
  ULONG64 Physical = 0;
  if (!MmDbgTranslate((ULONG64)BaseAddress, &Physical, NULL)) Physical = 0;
  return (PHYSICAL_ADDRESS){.QuadPart = (LONG64)Physical};
}

PVOID MmGetVirtualForPhysical(PHYSICAL_ADDRESS PhysicalAddress)
{
  return MiIsRam((ULONG64)PhysicalAddress.QuadPart, 1) ? MiPhysicalWindow((ULONG64)PhysicalAddress.QuadPart) : NULL;
}

PVOID MmAllocateContiguousMemory(SIZE_T Bytes, PHYSICAL_ADDRESS HighestAcceptableAddress)
{
  ULONG64 Pages = ROUND_UP(Bytes, PAGE_SIZE) >> PAGE_SHIFT;
  ULONG64 Page = MiAllocateContiguousPages(Pages, (ULONG64)HighestAcceptableAddress.QuadPart >> PAGE_SHIFT, 1);
  if (!Page) return NULL;
  PVOID Address = MmMapIoSpace((PHYSICAL_ADDRESS){.QuadPart = (LONG64)(Page << PAGE_SHIFT)}, Bytes, MmCached);
  if (!Address) MiFreePages(Page, Pages);
  return Address;
}

VOID MmFreeContiguousMemory(PVOID BaseAddress)
{
  ULONG64 Page = (ULONG64)MmGetPhysicalAddress(BaseAddress).QuadPart >> PAGE_SHIFT;
  ULONG64 Pages = MiSystemVaLength((ULONG64)BaseAddress);
  if (!Pages) KeBugCheckEx(BAD_POOL_HEADER, 9, (ULONG_PTR)BaseAddress, 0, 0);
  MmUnmapIoSpace(BaseAddress, Pages << PAGE_SHIFT);
  MiFreePages(Page, Pages);
}

typedef struct _PHYSICAL_MEMORY_RANGE {
  PHYSICAL_ADDRESS BaseAddress;
  LARGE_INTEGER NumberOfBytes;
} PHYSICAL_MEMORY_RANGE, *PPHYSICAL_MEMORY_RANGE;

/* From the pool; ends with an entry of zeroes. The caller frees it. */
PPHYSICAL_MEMORY_RANGE MmGetPhysicalMemoryRanges(VOID)
{
  SIZE_T Size = (LOADER_MAX_MEMORY_RANGES + 1) * sizeof(PHYSICAL_MEMORY_RANGE);
  PPHYSICAL_MEMORY_RANGE Ranges = ExAllocatePoolWithTag(NonPagedPoolNx, Size, 'mRmM'), Next = Ranges;
  if (!Ranges) return NULL;
  RtlZeroMemory(Ranges, Size);
  for (ULONG I = 0; I < KeLoaderBlock->MemoryRangeCount; I++) {
    PMEMORY_ALLOCATION_DESCRIPTOR Range = &KeLoaderBlock->MemoryRanges[I];
    if (Range->MemoryType != LoaderFree) continue;
    Next->BaseAddress.QuadPart = (LONG64)(Range->BasePage << PAGE_SHIFT);
    Next->NumberOfBytes.QuadPart = (LONG64)(Range->PageCount << PAGE_SHIFT);
    Next++;
  }
  return Ranges;
}
