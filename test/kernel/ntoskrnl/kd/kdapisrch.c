/*
 * kdapisrch.c - searching, filling and classifying memory.
 *
 * Searches step over pages that are not there.  The range is bounded: the machine stands still while we
 * look, and a debugger that wants more asks again from where it got to.
 */
#include "kdp.h"

#define KDP_SEARCH_LIMIT (4ull << 30)

KDP_OUTCOME KdpSearchMemory(PKDP_REQUEST Request)
{
  DBGKD_SEARCH_MEMORY *Search = &Request->State.u.SearchMemory;
  const UCHAR *Pattern = (const UCHAR *)Request->Data.Buffer;
  ULONG PatternLength = Search->PatternLength;
  ULONG64 Address = Search->SearchAddress, Length = Search->SearchLength, Last;
  static UCHAR Page[PAGE_SIZE];
  ULONG64 PageBase = 1; /* no page: bases are aligned */
  ULONG PageBytes = 0;

  if (PatternLength == 0 || PatternLength > Request->Data.Length || Length < PatternLength ||
      Length > KDP_SEARCH_LIMIT || Address + Length - 1 < Address) {
    Request->State.ReturnStatus = STATUS_INVALID_PARAMETER;
    Request->Data.Length = 0;
    return KdpReply;
  }
  Request->State.ReturnStatus = STATUS_NO_MORE_ENTRIES;
  Last = Address + (Length - PatternLength); /* the last place where the pattern may begin */

  for (;;) {
    if (PAGE_ALIGN(Address) != PageBase) {
      PageBase = PAGE_ALIGN(Address);
      KdpCopyMemoryChunks(PageBase, Page, PAGE_SIZE, 0, 0, &PageBytes);
    }
    if (PageBytes != PAGE_SIZE) {
      if (Last - PageBase < PAGE_SIZE) {
        break;
      }
      Address = PageBase + PAGE_SIZE;
      continue;
    }
    if (Page[BYTE_OFFSET(Address)] == Pattern[0]) {
      ULONG Matched = 1;

      while (Matched < PatternLength) {
        UCHAR Byte;
        ULONG Actual;

        if (PAGE_ALIGN(Address + Matched) == PageBase) {
          Byte = Page[BYTE_OFFSET(Address + Matched)];
        } else if (!NT_SUCCESS(KdpCopyMemoryChunks(Address + Matched, &Byte, 1, 0, 0, &Actual))) {
          break;
        }
        if (Byte != Pattern[Matched]) {
          break;
        }
        Matched++;
      }
      if (Matched == PatternLength) {
        Search->FoundAddress = Address;
        Request->State.ReturnStatus = STATUS_SUCCESS;
        break;
      }
    }
    if (Address == Last) {
      break;
    }
    Address++;
  }
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpFillMemory(PKDP_REQUEST Request)
{
  DBGKD_FILL_MEMORY *Fill = &Request->State.u.FillMemory;
  ULONG PatternLength = Fill->PatternLength, Length = Fill->Length, Done, Flags = MMDBG_COPY_WRITE;

  if (Fill->Flags == DBGKD_FILL_MEMORY_PHYSICAL) {
    Flags |= MMDBG_COPY_PHYSICAL;
  } else if (Fill->Flags != DBGKD_FILL_MEMORY_VIRTUAL) {
    PatternLength = 0;
  }
  if (PatternLength == 0 || PatternLength > Request->Data.Length) {
    Request->State.ReturnStatus = STATUS_INVALID_PARAMETER;
    Request->Data.Length = 0;
    return KdpReply;
  }
  for (Done = 0; Done < Length; Done++) {
    ULONG Actual;

    if (!NT_SUCCESS(KdpCopyMemoryChunks(Fill->Address + Done, &Request->Data.Buffer[Done % PatternLength], 1,
                                        1, Flags, &Actual))) {
      break;
    }
  }
  Fill->Length = Done;
  Request->State.ReturnStatus = Done == Length ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpQueryMemory(PKDP_REQUEST Request)
{
  DBGKD_QUERY_MEMORY *Query = &Request->State.u.QueryMemory;

  Request->Data.Length = 0;
  if (Query->AddressSpace != DBGKD_QUERY_MEMORY_VIRTUAL) {
    Request->State.ReturnStatus = STATUS_INVALID_PARAMETER;
    return KdpReply;
  }
  Query->AddressSpace =
      Query->Address > MmHighestUserAddress ? DBGKD_QUERY_MEMORY_KERNEL : DBGKD_QUERY_MEMORY_PROCESS;
  /* NT always answers with the most permissive protection here. */
  Query->Flags = DBGKD_QUERY_MEMORY_READ | DBGKD_QUERY_MEMORY_WRITE | DBGKD_QUERY_MEMORY_EXECUTE;
  Request->State.ReturnStatus = STATUS_SUCCESS;
  return KdpReply;
}

/* The check is for the fill pattern of a /nolowmem boot, which this machine never has: nothing is amiss. */
KDP_OUTCOME KdpCheckLowMemory(PKDP_REQUEST Request)
{
  Request->State.ReturnStatus = STATUS_SUCCESS;
  Request->Data.Length = 0;
  return KdpReply;
}
