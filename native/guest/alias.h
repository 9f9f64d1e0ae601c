/*
 * alias.h: writing into pages that are mapped read-only, through a second mapping of the same physical memory. PASSIVE_LEVEL,
 * but for AliasWrite, which may be called anywhere.
 */
#ifndef VMKD_ALIAS_H
#define VMKD_ALIAS_H

#include "nt.h"

/* Up to a page of bytes, which may lie across two pages. */
typedef struct _ALIAS {
  UCHAR *Parts[2];
  ULONG Lengths[2];
} ALIAS;

/* FALSE if the bytes are not in memory, or cannot be mapped. */
BOOLEAN AliasMap(ALIAS *Alias, const VOID *Address, ULONG Length);
VOID AliasUnmap(ALIAS *Alias);

/* Writes all that was mapped. */
VOID AliasWrite(const ALIAS *Alias, const UCHAR *Bytes);

/* Writes an aligned pointer at one go; FALSE if it does not hold Expected, or cannot be mapped. */
BOOLEAN AliasExchange(PVOID *Address, PVOID Expected, PVOID Wanted);

#endif
