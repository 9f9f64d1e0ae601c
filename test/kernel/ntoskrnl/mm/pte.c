/*
 * pte.c: page tables through their recursive mapping, the system area, kernel stacks.
 */
#include "mm.h"

ULONG64 MmSystemRangeStart = MM_SYSTEM_RANGE_START;
ULONG64 MmUserProbeAddress = MM_USER_PROBE_ADDRESS;
ULONG64 MmHighestUserAddress = MM_HIGHEST_USER_ADDRESS;
ULONG64 MmPteBase, MmPhysicalWindow, MmPhysicalWindowSize;

#define SYSTEM_VA_PAGES 0x10000u /* 256 MiB */
static ULONG64 SystemVaBase, SystemVaHint;
static ULONG SystemVaRun[SYSTEM_VA_PAGES]; /* at a run's first page: its length; inside: RUN_INSIDE */
#define RUN_INSIDE MAXULONG
static KSPIN_LOCK MiLock;
static ULONG64 RandomState;

VOID MiInitializePfn(PLOADER_PARAMETER_BLOCK LoaderBlock);

static BOOLEAN Lock(VOID)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  KiAcquireSpinLock(&MiLock);
  return Enabled;
}

static VOID Unlock(BOOLEAN Enabled)
{
  KiReleaseSpinLock(&MiLock);
  if (Enabled) KiEnableInterrupts();
}

VOID MmInitializeMemory(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  MmPteBase = LoaderBlock->PteBase;
  MmPhysicalWindow = LoaderBlock->PhysicalWindow;
  MmPhysicalWindowSize = LoaderBlock->PhysicalWindowSize;
  SystemVaBase = LoaderBlock->SystemVaBase;
  RandomState = LoaderBlock->KaslrSeed ^ 0x6A09E667F3BCC908ull;
  MiInitializePfn(LoaderBlock);
}

ULONG64 MiRandom(ULONG64 Below)
{
  if (KeLoaderBlock->KaslrSeed == 0) return 0;
  ULONG64 Z = RandomState += 0x9E3779B97F4A7C15ull;
  Z = (Z ^ Z >> 30) * 0xBF58476D1CE4E5B9ull;
  Z = (Z ^ Z >> 27) * 0x94D049BB133111EBull;
  return (Z ^ Z >> 31) % Below;
}

static BOOLEAN EnsureTable(PULONG64 Entry, ULONG64 UserBit)
{
  if (*Entry & PTE_PRESENT) return TRUE;
  ULONG64 Page = MiAllocatePage();
  if (!Page) return FALSE;
  *Entry = Page << PAGE_SHIFT | PTE_TABLE | UserBit;
  return TRUE;
}

BOOLEAN MiWritePte(ULONG64 Address, ULONG64 Pte)
{
  ULONG64 UserBit = Address < MM_SYSTEM_RANGE_START ? PTE_USER : 0;
  BOOLEAN Enabled = Lock();
  BOOLEAN Done = EnsureTable(MiGetPxeAddress(Address), UserBit) && EnsureTable(MiGetPpeAddress(Address), UserBit) &&
                 EnsureTable(MiGetPdeAddress(Address), UserBit);
  if (Done) {
    *MiGetPteAddress(Address) = Pte;
    KiInvalidatePage(Address);
    if (Pte & (PTE_PRESENT | PTE_TRANSITION)) {
      ULONG64 Page = (Pte & PTE_PFN_MASK) >> PAGE_SHIFT;
      if (Page <= MmHighestPhysicalPage) {
        MmPfnDatabase[Page].PteAddress = (ULONG64)MiGetPteAddress(Address);
        if (MmPfnDatabase[Page].State >= MiPageActive)
          MmPfnDatabase[Page].State = Pte & PTE_PRESENT ? MiPageActive : MiPageTransition;
      }
    }
  }
  Unlock(Enabled);
  return Done;
}

ULONG64 MiReadPte(ULONG64 Address)
{
  if (!(*MiGetPxeAddress(Address) & PTE_PRESENT) || !(*MiGetPpeAddress(Address) & PTE_PRESENT)) return 0;
  ULONG64 Pde = *MiGetPdeAddress(Address);
  if (!(Pde & PTE_PRESENT) || (Pde & PTE_LARGE)) return 0;
  return *MiGetPteAddress(Address);
}

BOOLEAN MiChangeProtection(ULONG64 Address, ULONG64 Set, ULONG64 Clear)
{
  ULONG64 Pte = MiReadPte(Address);
  return Pte != 0 && MiWritePte(Address, (Pte & ~Clear) | Set);
}

ULONG64 MiReserveSystemVa(ULONG64 Pages)
{
  if (Pages == 0 || Pages >= SYSTEM_VA_PAGES) return 0;
  ULONG64 Want = Pages + 1; /* the last one stays not present */
  BOOLEAN Enabled = Lock();
  for (ULONG Pass = 0; Pass < 2; Pass++) {
    ULONG64 Free = 0, At = Pass == 0 ? SystemVaHint : 0;
    for (; At < SYSTEM_VA_PAGES; At++) {
      Free = SystemVaRun[At] ? 0 : Free + 1;
      if (Free < Want) continue;
      ULONG64 Start = At + 1 - Want;
      SystemVaRun[Start] = (ULONG)Want;
      for (ULONG64 I = 1; I < Want; I++) SystemVaRun[Start + I] = RUN_INSIDE;
      SystemVaHint = At + 1;
      Unlock(Enabled);
      return SystemVaBase + (Start << PAGE_SHIFT);
    }
  }
  Unlock(Enabled);
  return 0;
}

ULONG64 MiSystemVaLength(ULONG64 Address)
{
  ULONG64 Index = (Address - SystemVaBase) >> PAGE_SHIFT;
  if (Address < SystemVaBase || Index >= SYSTEM_VA_PAGES || BYTE_OFFSET(Address)) return 0;
  ULONG Run = SystemVaRun[Index];
  return Run == 0 || Run == RUN_INSIDE ? 0 : Run - 1;
}

VOID MiReleaseSystemVa(ULONG64 Address)
{
  ULONG64 Pages = MiSystemVaLength(Address) + 1, Index = (Address - SystemVaBase) >> PAGE_SHIFT;
  BOOLEAN Enabled = Lock();
  for (ULONG64 I = 0; I < Pages; I++) SystemVaRun[Index + I] = 0;
  if (Index < SystemVaHint) SystemVaHint = Index;
  Unlock(Enabled);
}

PVOID MiAllocateSystemPages(ULONG64 Pages, ULONG64 PteBits)
{
  ULONG64 Address = MiReserveSystemVa(Pages);
  if (!Address) return NULL;
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Page = MiAllocatePage();
    if (Page && MiWritePte(Address + (I << PAGE_SHIFT), Page << PAGE_SHIFT | PteBits)) continue;
    if (Page) MiFreePages(Page, 1);
    MiFreeSystemPages((PVOID)Address);
    return NULL;
  }
  return (PVOID)Address;
}

/* Unmaps first, frees after every processor has dropped its translations. */
VOID MiFreeSystemPages(PVOID Start)
{
  ULONG64 Address = (ULONG64)Start, Pages = MiSystemVaLength(Address);
  if (!Pages) KeBugCheckEx(BAD_POOL_HEADER, 8, Address, 0, 0);
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Pte = MiReadPte(Address + (I << PAGE_SHIFT));
    if (Pte & PTE_PRESENT) MiWritePte(Address + (I << PAGE_SHIFT), Pte & ~PTE_PRESENT);
  }
  KeFlushEntireTb();
  for (ULONG64 I = 0; I < Pages; I++) {
    ULONG64 Pte = MiReadPte(Address + (I << PAGE_SHIFT));
    if (!Pte) continue;
    MiWritePte(Address + (I << PAGE_SHIFT), 0);
    MiFreePages((Pte & PTE_PFN_MASK) >> PAGE_SHIFT, 1);
  }
  MiReleaseSystemVa(Address);
}

PVOID MmCreateKernelStack(VOID)
{
  /* One page more than used: the lowest is freed again and guards against overflow. */
  PUCHAR Base = MiAllocateSystemPages(KERNEL_STACK_PAGES + 1, PTE_KERNEL_DATA);
  if (!Base) return NULL;
  ULONG64 Guard = MiReadPte((ULONG64)Base);
  MiWritePte((ULONG64)Base, 0);
  MiFreePages((Guard & PTE_PFN_MASK) >> PAGE_SHIFT, 1);
  return Base + (KERNEL_STACK_PAGES + 1) * PAGE_SIZE;
}

VOID MmDeleteKernelStack(PVOID StackTop)
{
  MiFreeSystemPages((PUCHAR)StackTop - (KERNEL_STACK_PAGES + 1) * PAGE_SIZE);
}
