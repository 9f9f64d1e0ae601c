/*
 * takeover.c: the kernel's import slots. The kernel calls kdcom through two pointers in its import address table; they
 * are changed to ours, one aligned store each, through a mapping of our own, since the kernel's page is read-only. kdcom
 * stays as it is and can be called as before.
 *
 * Invariants: a slot is changed only while it holds what we expect there; what is given back is what was there.
 * The kernel calls its transport with interrupts off, so that a processor that takes an interrupt is in no hook.
 */
#include "takeover.h"

#define MOST_SLOTS 16u

typedef struct _SLOT {
  PVOID *Address;
  PVOID Original, Hook;
} SLOT;

static SLOT Slots[MOST_SLOTS];
static ULONG SlotCount;

/* Writes one pointer of a read-only page. FALSE if it does not hold Expected, or the page cannot be mapped. */
static BOOLEAN Exchange(PVOID *Address, PVOID Expected, PVOID Wanted)
{
  PHYSICAL_ADDRESS Physical = MmGetPhysicalAddress(Address);
  PVOID *Alias;
  BOOLEAN Done;

  if (Physical.QuadPart == 0) return FALSE;
  Alias = MmMapIoSpace(Physical, sizeof(PVOID), MM_CACHED);
  if (!Alias) return FALSE;
  Done = __atomic_compare_exchange_n(Alias, &Expected, Wanted, FALSE, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  MmUnmapIoSpace(Alias, sizeof(PVOID));
  return Done && *(PVOID volatile *)Address == Wanted;
}

/* Every pointer in this range that is one of the two functions. */
static VOID FindSlots(const TRANSPORT *Transport, const HOOKS *Hooks, PE_RANGE Range)
{
  const PE_IMAGE *Kernel = &Transport->Kernel;
  ULONG At = (Range.Rva + sizeof(PVOID) - 1) & ~(ULONG)(sizeof(PVOID) - 1), End = Range.Rva + Range.Length;

  for (; At < End && End - At >= sizeof(PVOID) && SlotCount < MOST_SLOTS; At += sizeof(PVOID)) {
    PVOID *Address = (PVOID *)(Kernel->Base + At);

    if (!Kernel->Present(Address, sizeof(PVOID))) {
      At = (At | (PAGE_SIZE - 1)) + 1 - sizeof(PVOID);
      continue;
    }
    if (*Address == (PVOID)Transport->SendPacket)
      Slots[SlotCount++] = (SLOT){Address, *Address, (PVOID)Hooks->SendPacket};
    else if (*Address == (PVOID)Transport->ReceivePacket)
      Slots[SlotCount++] = (SLOT){Address, *Address, (PVOID)Hooks->ReceivePacket};
  }
}

static BOOLEAN FoundBoth(const HOOKS *Hooks)
{
  BOOLEAN Send = FALSE, Receive = FALSE;

  for (ULONG I = 0; I < SlotCount; I++) {
    Send |= Slots[I].Hook == (PVOID)Hooks->SendPacket;
    Receive |= Slots[I].Hook == (PVOID)Hooks->ReceivePacket;
  }
  return Send && Receive;
}

/* The import address table, or, if the image names none or it is elsewhere, all data that stays in memory. */
static BOOLEAN FindAllSlots(const TRANSPORT *Transport, const HOOKS *Hooks)
{
  ULONG Characteristics;
  PE_RANGE Range;

  SlotCount = 0;
  if (PeDirectory(&Transport->Kernel, PE_DIRECTORY_IAT, &Range)) FindSlots(Transport, Hooks, Range);
  if (FoundBoth(Hooks)) return TRUE;
  SlotCount = 0;
  for (ULONG I = 0; PeSection(&Transport->Kernel, I, &Range, &Characteristics); I++)
    if (!(Characteristics & (PE_SECTION_EXECUTE | PE_SECTION_DISCARDABLE))) FindSlots(Transport, Hooks, Range);
  return FoundBoth(Hooks);
}

BOOLEAN TakeoverImports(const TRANSPORT *Transport, const HOOKS *Hooks)
{
  if (FindAllSlots(Transport, Hooks)) {
    ULONG Changed = 0;

    while (Changed < SlotCount && Exchange(Slots[Changed].Address, Slots[Changed].Original, Slots[Changed].Hook))
      Changed++;
    if (Changed == SlotCount) return TRUE;
    SlotCount = Changed;
    TakeoverUndo();
  }
  return FALSE;
}

static ULONG_PTR NTAPI Nothing(ULONG_PTR Argument)
{
  return Argument;
}

BOOLEAN TakeoverUndo(VOID)
{
  while (SlotCount > 0) {
    const SLOT *Slot = &Slots[SlotCount - 1];

    if (!Exchange(Slot->Address, Slot->Hook, Slot->Original)) return FALSE;
    SlotCount--;
  }
  KeIpiGenericCall(Nothing, 0);
  return TRUE;
}
