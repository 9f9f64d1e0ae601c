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

/* GUID_DEVCLASS_PORTS: a driver's constants are looked at, too. */
const GUID VmkDemoInterface = {0x4D36E978, 0xE325, 0x11CE, {0xBF, 0xC1, 0x08, 0x00, 0x2B, 0xE1, 0x03, 0x18}};
