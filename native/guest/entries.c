/*
 * entries.c: jumps over the first instructions of kdcom's functions.
 *
 *   KdSendPacket:  jmp HookSendPacket            Copies[0]:  the instructions that the jump took the place of
 *                  …                                         jmp to the one behind them
 *
 * Invariants: the bytes change while all processors stand in an interrupt of ours, so that none is about to execute them; a
 * byte is changed only while it is what we expect; what is given back is what was there.
 * Source: KeIpiGenericCall runs its routine on all processors at once, none before all have come to it.
 */
#include "alias.h"
#include "detour.h"
#include "takeover.h"

#define IS_64 (sizeof(PVOID) == 8)
#define COPY_BYTES (DETOUR_LONGEST_START + DETOUR_JUMP_BYTES)

typedef struct _ENTRY {
  UCHAR *Function;
  ULONG Length; /* of the jump */
  UCHAR Original[DETOUR_JUMP_BYTES], Jump[DETOUR_JUMP_BYTES];
  ALIAS Alias; /* of the function's first Length bytes, while we are at work */
} ENTRY;

static ENTRY Entries[2];
static BOOLEAN Taken;

/* Room for the copies, in the code section because that is where code may be run. */
#if UINTPTR_MAX > 0xFFFFFFFFu
#define COPIES_SYMBOL "EntryCopies"
#else
#define COPIES_SYMBOL "_EntryCopies"
#endif
__asm__(".section .text$copies,\"xr\"\n"
        ".globl " COPIES_SYMBOL "\n"
        ".balign 16\n" COPIES_SYMBOL ":\n"
        ".fill 96, 1, 0xCC\n"
        ".text\n");
extern UCHAR EntryCopies[2][48];
C_ASSERT(COPY_BYTES <= sizeof(EntryCopies[0]));

static VOID CopyBytes(UCHAR *To, const UCHAR *From, ULONG Length)
{
  while (Length--) *To++ = *From++;
}

static BOOLEAN Holds(const ENTRY *Entry, const UCHAR *Bytes)
{
  for (ULONG I = 0; I < Entry->Length; I++)
    if (((const volatile UCHAR *)Entry->Function)[I] != Bytes[I]) return FALSE;
  return TRUE;
}

/* Works out an entry's bytes, and makes its copy. FALSE if its instructions cannot be moved. */
static BOOLEAN Prepare(ENTRY *Entry, const PE_IMAGE *Kdcom, PVOID Function, PVOID Hook, UCHAR *Copy)
{
  UCHAR *Start = Function, Bytes[COPY_BYTES];
  ULONG Readable = DETOUR_LONGEST_START, Copied;
  ALIAS Alias;

  *Entry = (ENTRY){.Function = Start};
  Entry->Length = DetourJump(Entry->Jump, (ULONG_PTR)Start, (ULONG_PTR)Hook, IS_64);
  if (Readable > Kdcom->Size - (ULONG)(Start - Kdcom->Base)) return FALSE;
  if (!Kdcom->Present(Start, Readable)) return FALSE;
  CopyBytes(Entry->Original, Start, Entry->Length);
  Copied = DetourCopy(Start, Readable, (ULONG_PTR)Start, Entry->Length, Bytes, (ULONG_PTR)Copy, IS_64);
  if (!Copied) return FALSE;
  Copied += DetourJump(Bytes + Copied, (ULONG_PTR)Copy + Copied, (ULONG_PTR)Start + Copied, IS_64);
  if (!AliasMap(&Alias, Copy, Copied)) return FALSE;
  AliasWrite(&Alias, Bytes);
  AliasUnmap(&Alias);
  return TRUE;
}

typedef struct _CHANGE {
  BOOLEAN Restore;
  volatile ULONG Arrived, Done;
} CHANGE;

/* On all processors at once: the first to come writes, the others wait. */
static ULONG_PTR NTAPI Write(ULONG_PTR Argument)
{
  CHANGE *Change = (CHANGE *)Argument;

  if (__atomic_add_fetch(&Change->Arrived, 1, __ATOMIC_SEQ_CST) == 1) {
    for (ULONG I = 0; I < 2; I++)
      AliasWrite(&Entries[I].Alias, Change->Restore ? Entries[I].Original : Entries[I].Jump);
    __atomic_store_n(&Change->Done, 1, __ATOMIC_SEQ_CST);
  }
  while (!Change->Done) __asm__ volatile("pause" ::: "memory");
  return 0;
}

static BOOLEAN WriteBoth(BOOLEAN Restore)
{
  CHANGE Change = {Restore, 0, 0};
  BOOLEAN Mapped = AliasMap(&Entries[0].Alias, Entries[0].Function, Entries[0].Length) &&
                   AliasMap(&Entries[1].Alias, Entries[1].Function, Entries[1].Length);

  if (Mapped) KeIpiGenericCall(Write, (ULONG_PTR)&Change);
  for (ULONG I = 0; I < 2; I++) AliasUnmap(&Entries[I].Alias);
  return Mapped;
}

BOOLEAN TakeoverEntries(const TRANSPORT *Transport, const CALLS *Hooks, VOID (*Ready)(const CALLS *Originals))
{
  CALLS Copies = {(KD_SEND_PACKET *)EntryCopies[0], (KD_RECEIVE_PACKET *)EntryCopies[1]};
  const PE_IMAGE *Kdcom = &Transport->Kdcom;

  if (!Prepare(&Entries[0], Kdcom, (PVOID)Transport->SendPacket, (PVOID)Hooks->SendPacket, EntryCopies[0]) ||
      !Prepare(&Entries[1], Kdcom, (PVOID)Transport->ReceivePacket, (PVOID)Hooks->ReceivePacket, EntryCopies[1]))
    return FALSE;
  Ready(&Copies);
  if (!WriteBoth(FALSE)) return FALSE;
  Taken = TRUE;
  if (Holds(&Entries[0], Entries[0].Jump) && Holds(&Entries[1], Entries[1].Jump)) return TRUE;
  TakeoverUndo();
  return FALSE;
}

BOOLEAN EntriesUndo(VOID)
{
  if (!Taken) return TRUE;
  if (!Holds(&Entries[0], Entries[0].Jump) || !Holds(&Entries[1], Entries[1].Jump)) return FALSE;
  if (!WriteBoth(TRUE)) return FALSE;
  Taken = FALSE;
  return TRUE;
}
