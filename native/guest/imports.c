/*
 * imports.c: the kernel's import slots. Each changes by one aligned store, so that a call goes to the one or the other.
 *
 * Invariant: a slot is changed only while it holds what we expect there; what is given back is what was there.
 */
#include "alias.h"
#include "takeover.h"

#define MOST_SLOTS 16u

typedef struct _SLOT {
  PVOID *Address;
  PVOID Original, Hook;
} SLOT;

static SLOT Slots[MOST_SLOTS];
static ULONG SlotCount;

/* Every pointer in this range that is one of the two functions. */
static VOID FindSlots(const TRANSPORT *Transport, const CALLS *Hooks, PE_RANGE Range)
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

static BOOLEAN FoundBoth(const CALLS *Hooks)
{
  BOOLEAN Send = FALSE, Receive = FALSE;

  for (ULONG I = 0; I < SlotCount; I++) {
    Send |= Slots[I].Hook == (PVOID)Hooks->SendPacket;
    Receive |= Slots[I].Hook == (PVOID)Hooks->ReceivePacket;
  }
  return Send && Receive;
}

/* The import address table, or, if the image names none or it is elsewhere, all data that stays in memory. */
static BOOLEAN FindAllSlots(const TRANSPORT *Transport, const CALLS *Hooks)
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

BOOLEAN TakeoverImports(const TRANSPORT *Transport, const CALLS *Hooks)
{
  ULONG Changed = 0, Count;

  if (!FindAllSlots(Transport, Hooks)) {
    SlotCount = 0;
    return FALSE;
  }
  while (Changed < SlotCount && AliasExchange(Slots[Changed].Address, Slots[Changed].Original, Slots[Changed].Hook))
    Changed++;
  Count = SlotCount;
  SlotCount = Changed;
  if (Changed == Count) return TRUE;
  TakeoverUndo();
  return FALSE;
}

BOOLEAN ImportsUndo(VOID)
{
  for (; SlotCount > 0; SlotCount--) {
    const SLOT *Slot = &Slots[SlotCount - 1];

    if (!AliasExchange(Slot->Address, Slot->Hook, Slot->Original)) return FALSE;
  }
  return TRUE;
}
