/*
 * takeover.c: giving back what imports.c or entries.c took.
 */
#include "takeover.h"

static ULONG_PTR NTAPI Nothing(ULONG_PTR Argument)
{
  return Argument;
}

BOOLEAN TakeoverUndo(VOID)
{
  if (!ImportsUndo() || !EntriesUndo()) return FALSE;
  KeIpiGenericCall(Nothing, 0); /* who was in a hook has left it */
  return TRUE;
}
