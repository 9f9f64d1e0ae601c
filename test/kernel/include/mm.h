/*
 * mm.h: memory management inside the kernel: physical pages, page tables, the system area, stacks, user spaces.
 *
 * Locks: MiLock guards page tables and the PFN database; it is taken with interrupts off and nothing is called under
 * it that waits. Virtual addresses are freed only after every processor has forgotten them (KeFlushEntireTb).
 */
#ifndef VMK_MM_H
#define VMK_MM_H

#include "ke.h"
#include "pte.h"

typedef enum _MI_PAGE_STATE { MiPageFirmware = 0, MiPageFree, MiPageActive, MiPageTransition } MI_PAGE_STATE;

typedef struct _MMPFN {
  ULONG64 PteAddress; /* the PTE that maps the page, or 0 */
  ULONG64 State : 3;  /* MI_PAGE_STATE */
  ULONG64 ReferenceCount : 16;
} MMPFN, *PMMPFN;

extern PMMPFN MmPfnDatabase;
extern ULONG64 MmAvailablePages;

VOID MmInitializeMemory(PLOADER_PARAMETER_BLOCK LoaderBlock);

/* Physical pages. 0 = none left (page 0 is never given out). Contents are zeroed. */
ULONG64 MiAllocatePage(VOID);
ULONG64 MiAllocateContiguousPages(ULONG64 Count, ULONG64 HighestPage, ULONG64 Alignment);
VOID MiFreePages(ULONG64 Page, ULONG64 Count);
BOOLEAN MiIsRam(ULONG64 Physical, ULONG64 Size);
FORCEINLINE PVOID MiPhysicalWindow(ULONG64 Physical) { return (PVOID)(MmPhysicalWindow + Physical); }

/* The recursive mapping of the page tables. */
FORCEINLINE PULONG64 MiGetPteAddress(ULONG64 Address)
{
  return (PULONG64)(MmPteBase + ((Address >> 9) & 0x7FFFFFFFF8ull));
}
FORCEINLINE PULONG64 MiGetPdeAddress(ULONG64 Address) { return MiGetPteAddress((ULONG64)MiGetPteAddress(Address)); }
FORCEINLINE PULONG64 MiGetPpeAddress(ULONG64 Address) { return MiGetPteAddress((ULONG64)MiGetPdeAddress(Address)); }
FORCEINLINE PULONG64 MiGetPxeAddress(ULONG64 Address) { return MiGetPteAddress((ULONG64)MiGetPpeAddress(Address)); }

/* Writes one PTE of the current address space, making the tables above it; FALSE when out of pages. */
BOOLEAN MiWritePte(ULONG64 Address, ULONG64 Pte);
/* The PTE's value, 0 if a table is missing. Only for 4 KiB pages. */
ULONG64 MiReadPte(ULONG64 Address);
BOOLEAN MiChangeProtection(ULONG64 Address, ULONG64 Set, ULONG64 Clear);

/* The system area. Every run has a not-present page behind it. */
ULONG64 MiReserveSystemVa(ULONG64 Pages);
ULONG64 MiSystemVaLength(ULONG64 Address); /* pages of the run that starts here, 0 if none does */
VOID MiReleaseSystemVa(ULONG64 Address);
PVOID MiAllocateSystemPages(ULONG64 Pages, ULONG64 PteBits);
VOID MiFreeSystemPages(PVOID Address);

/* A kernel stack: the address above its highest byte. The page below its lowest is never present. */
#define KERNEL_STACK_PAGES 6
PVOID MmCreateKernelStack(VOID);
VOID MmDeleteKernelStack(PVOID StackTop);

/* Page faults: TRUE if the access can be tried again. Status says what to raise otherwise. */
BOOLEAN MmAccessFault(PKTRAP_FRAME TrapFrame, KPROCESSOR_MODE PreviousMode, NTSTATUS *Status);

/* User address spaces. The Mi* functions work on the current one. */
ULONG64 MmCreateProcessAddressSpace(VOID);
VOID MmDeleteProcessAddressSpace(ULONG64 DirectoryTableBase);
BOOLEAN MiCommitUser(ULONG64 Address, ULONG64 Pages, ULONG64 Bits);
BOOLEAN MiReserveUser(ULONG64 Address, ULONG64 Pages, ULONG64 SoftwareBits);

/* Images. */
#define MI_IMAGE_AREA_BASE 0xFFFFF80000000000ull
#define MI_IMAGE_AREA_SIZE 0x1000000000ull
ULONG64 MiReserveImageVa(ULONG64 Pages);
VOID MiTrimImage(ULONG64 Base, ULONG Size, PULONG PagesTrimmed); /* PAGE* sections to transition */

ULONG64 MiRandom(ULONG64 Below);

typedef ULONG_PTR KIPI_BROADCAST_WORKER(ULONG_PTR Argument);
ULONG_PTR KeIpiGenericCall(KIPI_BROADCAST_WORKER *Worker, ULONG_PTR Context);
VOID KeFlushEntireTb(VOID);

/* Pool and mapping services, also exported. */
typedef enum _POOL_TYPE { NonPagedPool = 0, PagedPool = 1, NonPagedPoolNx = 512 } POOL_TYPE;
typedef enum _MEMORY_CACHING_TYPE { MmNonCached = 0, MmCached = 1, MmWriteCombined = 2 } MEMORY_CACHING_TYPE;
PVOID ExAllocatePoolWithTag(POOL_TYPE PoolType, SIZE_T Bytes, ULONG Tag);
VOID ExFreePoolWithTag(PVOID P, ULONG Tag);
PVOID MmMapIoSpace(PHYSICAL_ADDRESS PhysicalAddress, SIZE_T Bytes, MEMORY_CACHING_TYPE CacheType);
VOID MmUnmapIoSpace(PVOID BaseAddress, SIZE_T Bytes);
PHYSICAL_ADDRESS MmGetPhysicalAddress(PVOID BaseAddress);

/* rtl */
VOID RtlZeroMemory(PVOID Destination, SIZE_T Length);
SIZE_T strlen(PCSTR Text);
VOID RtlCopyMemory(PVOID Destination, const VOID *Source, SIZE_T Length);
VOID RtlFillMemory(PVOID Destination, SIZE_T Length, UCHAR Fill);
SIZE_T RtlCompareMemory(const VOID *A, const VOID *B, SIZE_T Length);

#endif
