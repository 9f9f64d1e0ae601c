/*
 * memory.c: the memory primitives: what the compiler calls, and the Rtl names that drivers import.
 */
#include "ki.h"

void *memcpy(void *Destination, const void *Source, SIZE_T Length)
{
  void *To = Destination;
  __asm__ volatile("rep movsb" : "+D"(To), "+S"(Source), "+c"(Length)::"memory");
  return Destination;
}

void *memmove(void *Destination, const void *Source, SIZE_T Length)
{
  if ((ULONG64)Destination - (ULONG64)Source >= Length) return memcpy(Destination, Source, Length);
  PUCHAR To = Destination;
  const UCHAR *From = Source;
  while (Length--) To[Length] = From[Length];
  return Destination;
}

void *memset(void *Destination, int Value, SIZE_T Length)
{
  void *To = Destination;
  __asm__ volatile("rep stosb" : "+D"(To), "+c"(Length) : "a"(Value) : "memory");
  return Destination;
}

int memcmp(const void *A, const void *B, SIZE_T Length)
{
  const UCHAR *Left = A, *Right = B;
  for (SIZE_T I = 0; I < Length; I++)
    if (Left[I] != Right[I]) return Left[I] - Right[I];
  return 0;
}

SIZE_T strlen(PCSTR Text)
{
  SIZE_T Length = 0;
  while (Text[Length]) Length++;
  return Length;
}

VOID RtlZeroMemory(PVOID Destination, SIZE_T Length) { memset(Destination, 0, Length); }
VOID RtlFillMemory(PVOID Destination, SIZE_T Length, UCHAR Fill) { memset(Destination, Fill, Length); }
VOID RtlCopyMemory(PVOID Destination, const VOID *Source, SIZE_T Length) { memcpy(Destination, Source, Length); }
VOID RtlMoveMemory(PVOID Destination, const VOID *Source, SIZE_T Length) { memmove(Destination, Source, Length); }

/* How many bytes are equal before the first difference. */
SIZE_T RtlCompareMemory(const VOID *A, const VOID *B, SIZE_T Length)
{
  SIZE_T I = 0;
  while (I < Length && ((const UCHAR *)A)[I] == ((const UCHAR *)B)[I]) I++;
  return I;
}
