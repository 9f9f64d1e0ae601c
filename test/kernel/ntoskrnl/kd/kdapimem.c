/*
 * kdapimem.c - reading and writing memory, virtual and physical.
 *
 * A reply carries at most KDP_MAX_DATA bytes.  A transfer that ends at a page which is not there reports
 * C0000001 together with the bytes that it could move.  Writes count what came behind the header, never
 * the TransferCount of the request, which is junk in some clients.
 */
#include "kdp.h"

/*
 * Moves TotalSize bytes in aligned pieces of at most ChunkSize (1, 2, 4, 8; 0 means 8), so that memory that
 * counts accesses sees natural ones.  *ActualSize is what was moved before the first piece that failed.
 */
NTSTATUS KdpCopyMemoryChunks(ULONG64 Address, PVOID Buffer, ULONG TotalSize, ULONG ChunkSize, ULONG Flags,
                             PULONG ActualSize)
{
  PUCHAR Bytes = Buffer;
  ULONG Done = 0;

  if (ChunkSize == 0 || ChunkSize > MMDBG_COPY_MAX_SIZE) {
    ChunkSize = MMDBG_COPY_MAX_SIZE;
  }
  while (Done < TotalSize) {
    ULONG Piece = ChunkSize;

    while (Piece > TotalSize - Done || ((Address + Done) & (Piece - 1)) != 0) {
      Piece >>= 1;
    }
    if (!NT_SUCCESS(MmDbgCopyMemory(Address + Done, Bytes + Done, Piece, Flags | MMDBG_COPY_UNSAFE))) {
      break;
    }
    Done += Piece;
  }
  *ActualSize = Done;
  return Done == TotalSize ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

static ULONG KdpCacheFlags(ULONG Caching)
{
  switch (Caching) {
  case DBGKD_CACHING_CACHED:
    return MMDBG_COPY_CACHED;
  case DBGKD_CACHING_UNCACHED:
    return MMDBG_COPY_UNCACHED;
  case DBGKD_CACHING_WRITE_COMBINED:
    return MMDBG_COPY_WRITE_COMBINED;
  default:
    return 0; /* NT ignores what it does not know: clients leave junk here */
  }
}

static KDP_OUTCOME KdpRead(PKDP_REQUEST Request, ULONG Flags)
{
  DBGKD_READ_MEMORY64 *Read = &Request->State.u.ReadMemory;
  ULONG Length = min(Read->TransferCount, (ULONG)KDP_MAX_DATA);

  Request->State.ReturnStatus = KdpCopyMemoryChunks(Read->TargetBaseAddress, Request->Data.Buffer, Length, 0,
                                                    Flags, &Read->ActualBytesRead);
  Request->Data.Length = (USHORT)Read->ActualBytesRead;
  return KdpReply;
}

static KDP_OUTCOME KdpWrite(PKDP_REQUEST Request, ULONG Flags)
{
  DBGKD_WRITE_MEMORY64 *Write = &Request->State.u.WriteMemory;

  Request->State.ReturnStatus =
      KdpCopyMemoryChunks(Write->TargetBaseAddress, Request->Data.Buffer, Request->Data.Length, 0,
                          Flags | MMDBG_COPY_WRITE, &Write->ActualBytesWritten);
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpReadVirtualMemory(PKDP_REQUEST Request)
{
  return KdpRead(Request, 0);
}

KDP_OUTCOME KdpWriteVirtualMemory(PKDP_REQUEST Request)
{
  return KdpWrite(Request, 0);
}

KDP_OUTCOME KdpReadPhysicalMemory(PKDP_REQUEST Request)
{
  return KdpRead(Request, MMDBG_COPY_PHYSICAL | KdpCacheFlags(Request->State.u.ReadMemory.ActualBytesRead));
}

KDP_OUTCOME KdpWritePhysicalMemory(PKDP_REQUEST Request)
{
  return KdpWrite(Request,
                  MMDBG_COPY_PHYSICAL | KdpCacheFlags(Request->State.u.WriteMemory.ActualBytesWritten));
}
