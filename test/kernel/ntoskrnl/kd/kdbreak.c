/*
 * kdbreak.c - the table of 32 software breakpoints.
 *
 *   state of an entry     the byte in memory      how it gets there
 *   (free)                the machine's own
 *   IN_USE                int3                    WriteBreakPoint
 *   IN_USE|NEEDS_WRITE    page not there          "owed": written when the page comes in
 *   IN_USE|NEEDS_REPLACE  int3, page went away    "owed": restored when the page comes back
 *   IN_USE|SUSPENDED      the machine's own       the debugger is switched off for a while
 *
 * The handle is the index + 1.  A second breakpoint at the same place is refused, unless the first is only
 * waiting to be removed.  User-space entries belong to one DTB and are touched only while it is loaded.
 */
#include "kdp.h"

#define KD_BREAKPOINT_IN_USE 1u
#define KD_BREAKPOINT_NEEDS_WRITE 2u
#define KD_BREAKPOINT_SUSPENDED 4u
#define KD_BREAKPOINT_NEEDS_REPLACE 8u

typedef struct _BREAKPOINT_ENTRY {
  ULONG Flags;
  ULONG64 DirectoryTableBase;
  ULONG64 Address;
  UCHAR Content; /* the machine's own byte */
} BREAKPOINT_ENTRY, *PBREAKPOINT_ENTRY;

BREAKPOINT_ENTRY KdpBreakpointTable[KD_BREAKPOINT_MAX];
BOOLEAN KdpOweBreakpoint;

#define CR3_BASE_MASK 0x000FFFFFFFFFF000ull

/* Kernel addresses are the same in every address space: their entries carry no DTB. */
static ULONG64 KdpTableBaseOf(ULONG64 Address)
{
  return Address >= MmSystemRangeStart ? 0 : KiReadCr3() & CR3_BASE_MASK;
}

static BOOLEAN KdpReachable(const BREAKPOINT_ENTRY *Entry)
{
  return Entry->DirectoryTableBase == KdpTableBaseOf(Entry->Address);
}

static BOOLEAN KdpReadByte(ULONG64 Address, PUCHAR Byte)
{
  return NT_SUCCESS(MmDbgCopyMemory(Address, Byte, 1, MMDBG_COPY_UNSAFE));
}

static BOOLEAN KdpWriteByte(ULONG64 Address, UCHAR Byte)
{
  return NT_SUCCESS(MmDbgCopyMemory(Address, &Byte, 1, MMDBG_COPY_UNSAFE | MMDBG_COPY_WRITE));
}

static VOID KdpInsert(PBREAKPOINT_ENTRY Entry)
{
  if (KdpReachable(Entry) && KdpReadByte(Entry->Address, &Entry->Content) &&
      KdpWriteByte(Entry->Address, KD_BREAKPOINT_VALUE)) {
    Entry->Flags &= ~KD_BREAKPOINT_NEEDS_WRITE;
  } else {
    Entry->Flags |= KD_BREAKPOINT_NEEDS_WRITE;
    KdpOweBreakpoint = TRUE;
  }
}

/* Puts the machine's own byte back; FALSE when that has to wait for the page. */
static BOOLEAN KdpRemove(PBREAKPOINT_ENTRY Entry)
{
  if (Entry->Flags & (KD_BREAKPOINT_NEEDS_WRITE | KD_BREAKPOINT_SUSPENDED)) {
    return TRUE; /* the int3 is not in memory */
  }
  if (KdpReachable(Entry) && KdpWriteByte(Entry->Address, Entry->Content)) {
    return TRUE;
  }
  Entry->Flags |= KD_BREAKPOINT_NEEDS_REPLACE;
  KdpOweBreakpoint = TRUE;
  return FALSE;
}

ULONG KdpAddBreakpoint(ULONG64 Address)
{
  PBREAKPOINT_ENTRY Free = NULL, Entry;

  for (Entry = KdpBreakpointTable; Entry < KdpBreakpointTable + KD_BREAKPOINT_MAX; Entry++) {
    if (!(Entry->Flags & KD_BREAKPOINT_IN_USE)) {
      if (!Free) {
        Free = Entry;
      }
    } else if (Entry->Address == Address && KdpReachable(Entry)) {
      if (!(Entry->Flags & KD_BREAKPOINT_NEEDS_REPLACE)) {
        return 0;
      }
      Entry->Flags &= ~KD_BREAKPOINT_NEEDS_REPLACE; /* its int3 is still there */
      return (ULONG)(Entry - KdpBreakpointTable) + 1;
    }
  }
  if (!Free) {
    return 0;
  }
  Free->Flags = KD_BREAKPOINT_IN_USE;
  Free->Address = Address;
  Free->DirectoryTableBase = KdpTableBaseOf(Address);
  KdpInsert(Free);
  return (ULONG)(Free - KdpBreakpointTable) + 1;
}

BOOLEAN KdpDeleteBreakpoint(ULONG Handle)
{
  PBREAKPOINT_ENTRY Entry;

  if (Handle == 0 || Handle > KD_BREAKPOINT_MAX) {
    return FALSE;
  }
  Entry = &KdpBreakpointTable[Handle - 1];
  if (!(Entry->Flags & KD_BREAKPOINT_IN_USE)) {
    return FALSE;
  }
  if (KdpRemove(Entry)) {
    Entry->Flags = 0;
  }
  return TRUE;
}

/* Both ends belong to the range.  TRUE when something was deleted: the bytes there have changed. */
BOOLEAN KdpDeleteBreakpointRange(ULONG64 Base, ULONG64 Limit)
{
  BOOLEAN Deleted = FALSE;
  ULONG Index;

  for (Index = 0; Index < KD_BREAKPOINT_MAX; Index++) {
    PBREAKPOINT_ENTRY Entry = &KdpBreakpointTable[Index];

    if ((Entry->Flags & KD_BREAKPOINT_IN_USE) && Entry->Address >= Base && Entry->Address <= Limit &&
        KdpReachable(Entry) && KdpDeleteBreakpoint(Index + 1)) {
      Deleted = TRUE;
    }
  }
  return Deleted;
}

VOID KdSetOwedBreakpoints(VOID)
{
  BOOLEAN Enable;
  ULONG Index;

  if (!KdpOweBreakpoint || KdpOwnsMachine()) {
    return;
  }
  Enable = KdEnterDebugger(NULL, NULL);
  KdpOweBreakpoint = FALSE;
  for (Index = 0; Index < KD_BREAKPOINT_MAX; Index++) {
    PBREAKPOINT_ENTRY Entry = &KdpBreakpointTable[Index];

    if (Entry->Flags & KD_BREAKPOINT_NEEDS_WRITE) {
      KdpInsert(Entry);
    } else if (Entry->Flags & KD_BREAKPOINT_NEEDS_REPLACE) {
      Entry->Flags &= ~KD_BREAKPOINT_NEEDS_REPLACE;
      if (KdpRemove(Entry)) {
        Entry->Flags = 0;
      }
    }
  }
  KdExitDebugger(Enable);
}

VOID KdpSuspendAllBreakpoints(VOID)
{
  ULONG Index;

  for (Index = 0; Index < KD_BREAKPOINT_MAX; Index++) {
    PBREAKPOINT_ENTRY Entry = &KdpBreakpointTable[Index];

    if ((Entry->Flags & KD_BREAKPOINT_IN_USE) && !(Entry->Flags & KD_BREAKPOINT_SUSPENDED) &&
        KdpRemove(Entry)) {
      /* One that was only waiting to be removed is gone now, and must not come back. */
      Entry->Flags =
          Entry->Flags & KD_BREAKPOINT_NEEDS_REPLACE ? 0 : Entry->Flags | KD_BREAKPOINT_SUSPENDED;
    }
  }
}

VOID KdpRestoreAllBreakpoints(VOID)
{
  ULONG Index;

  for (Index = 0; Index < KD_BREAKPOINT_MAX; Index++) {
    PBREAKPOINT_ENTRY Entry = &KdpBreakpointTable[Index];

    if (Entry->Flags & KD_BREAKPOINT_SUSPENDED) {
      Entry->Flags &= ~KD_BREAKPOINT_SUSPENDED;
      KdpInsert(Entry);
    }
  }
}

KDP_OUTCOME KdpWriteBreakpoint(PKDP_REQUEST Request)
{
  DBGKD_WRITE_BREAKPOINT64 *Write = &Request->State.u.WriteBreakPoint;

  Write->BreakPointHandle = KdpAddBreakpoint(Write->BreakPointAddress);
  Request->State.ReturnStatus = Write->BreakPointHandle ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpRestoreBreakpoint(PKDP_REQUEST Request)
{
  Request->State.ReturnStatus = KdpDeleteBreakpoint(Request->State.u.RestoreBreakPoint.BreakPointHandle)
                                    ? STATUS_SUCCESS
                                    : STATUS_UNSUCCESSFUL;
  Request->Data.Length = 0;
  return KdpReply;
}
