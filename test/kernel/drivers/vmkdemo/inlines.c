/*
 * inlines.c: optimised code with inline functions, and the function that threads on all processors call at once.
 */
#include "shapes.h"

volatile LONG VmkDemoSharedCounter;

static inline ULONG RotateLeft(ULONG Value, ULONG Bits) { return Value << Bits | Value >> (32 - Bits); }

static inline ULONG MixByte(ULONG State, UCHAR Byte)
{
  State ^= Byte;
  State = RotateLeft(State, 5);
  return State * 0x01000193u;
}

ULONG VmkDemoChecksum(const UCHAR *Bytes, ULONG Length)
{
  ULONG State = 0x811C9DC5u;
  for (ULONG I = 0; I < Length; I++) State = MixByte(State, Bytes[I]);
  return State;
}

LONG VmkDemoShared(volatile ULONG *PerProcessor)
{
  ULONG Number = KeGetCurrentProcessorNumber();
  if (Number < 4) PerProcessor[Number]++;
  return InterlockedIncrement(&VmkDemoSharedCounter);
}
