/*
 * alias.c: MmMapIoSpace maps any physical page, cached as the first mapping of it is. The pages written to are those of
 * images that stay in memory for as long as the machine runs.
 */
#include "alias.h"

BOOLEAN AliasMap(ALIAS *Alias, const VOID *Address, ULONG Length)
{
  const UCHAR *At = Address;
  ULONG InFirst = PAGE_SIZE - ((ULONG)(ULONG_PTR)At & (PAGE_SIZE - 1));

  *Alias = (ALIAS){0};
  Alias->Lengths[0] = Length < InFirst ? Length : InFirst;
  Alias->Lengths[1] = Length - Alias->Lengths[0];
  for (ULONG I = 0; I < 2 && Alias->Lengths[I]; I++) {
    PHYSICAL_ADDRESS Physical;

    Physical = MmGetPhysicalAddress((PVOID)At);
    if (Physical.QuadPart != 0) Alias->Parts[I] = MmMapIoSpace(Physical, Alias->Lengths[I], MM_CACHED);
    if (!Alias->Parts[I]) {
      AliasUnmap(Alias);
      return FALSE;
    }
    At += Alias->Lengths[I];
  }
  return TRUE;
}

VOID AliasUnmap(ALIAS *Alias)
{
  for (ULONG I = 0; I < 2; I++)
    if (Alias->Parts[I]) MmUnmapIoSpace(Alias->Parts[I], Alias->Lengths[I]);
  *Alias = (ALIAS){0};
}

VOID AliasWrite(const ALIAS *Alias, const UCHAR *Bytes)
{
  for (ULONG I = 0; I < 2; I++)
    for (ULONG J = 0; J < Alias->Lengths[I]; J++) ((volatile UCHAR *)Alias->Parts[I])[J] = *Bytes++;
}

BOOLEAN AliasExchange(PVOID *Address, PVOID Expected, PVOID Wanted)
{
  ALIAS Alias;
  BOOLEAN Done;

  if (!AliasMap(&Alias, Address, sizeof(PVOID))) return FALSE;
  Done = __atomic_compare_exchange_n((PVOID *)Alias.Parts[0], &Expected, Wanted, FALSE, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
  AliasUnmap(&Alias);
  return Done && *(PVOID volatile *)Address == Wanted;
}
