/*
 * time.c: how fast the counters run (against the PIT), what time it is (CMOS clock), waiting, and resetting.
 */
#include "hal.h"

ULONG64 HalpTscFrequency = 1000000000;
ULONG64 HalpBootSystemTime;

#define PIT_HZ 1193182u

ULONG64 HalpMeasure10ms(ULONG64 (*Counter)(VOID))
{
  ULONG Count = PIT_HZ / 100;
  BOOLEAN Enabled = KeDisableInterrupts();
  KiOutByte(0x61, (KiInByte(0x61) & ~2u) | 1); /* gate on, speaker off */
  KiOutByte(0x43, 0xB0);                       /* channel 2, mode 0 */
  KiOutByte(0x42, (UCHAR)Count);
  KiOutByte(0x42, (UCHAR)(Count >> 8));
  ULONG64 Start = Counter();
  for (ULONG Spin = 0; !(KiInByte(0x61) & 0x20) && Spin < 10000000; Spin++) YieldProcessor();
  ULONG64 Elapsed = Counter() - Start;
  if (Enabled) KiEnableInterrupts();
  return Elapsed;
}

static ULONG64 ReadTsc(VOID) { return KiReadTsc(); }

static ULONG Cmos(UCHAR Register)
{
  KiOutByte(0x70, Register);
  return KiInByte(0x71);
}

static ULONG FromBcd(ULONG Value, BOOLEAN Binary) { return Binary ? Value : (Value >> 4) * 10 + (Value & 15); }

static ULONG64 ReadWallClock(VOID)
{
  for (ULONG Spin = 0; (Cmos(0x0A) & 0x80) && Spin < 100000; Spin++) YieldProcessor(); /* update in progress */
  BOOLEAN Binary = (Cmos(0x0B) & 4) != 0;
  ULONG Second = FromBcd(Cmos(0), Binary), Minute = FromBcd(Cmos(2), Binary), Hour = FromBcd(Cmos(4) & 0x7F, Binary);
  ULONG Day = FromBcd(Cmos(7), Binary), Month = FromBcd(Cmos(8), Binary), Year = 2000 + FromBcd(Cmos(9), Binary);
  /* Days since 1601-01-01, by the months-from-March rule. */
  ULONG64 Y = Year - (Month <= 2), M = (Month + 9) % 12;
  ULONG64 Days = 365 * Y + Y / 4 - Y / 100 + Y / 400 + (M * 306 + 5) / 10 + Day - 1 - 584694;
  return (((Days * 24 + Hour) * 60 + Minute) * 60 + Second) * 10000000ull;
}

VOID HalpInitializeTime(VOID)
{
  ULONG64 Per10ms = HalpMeasure10ms(ReadTsc);
  HalpTscFrequency = max(Per10ms, 10000) * 100;
  HalpBootSystemTime = ReadWallClock();
}

VOID KeStallExecutionProcessor(ULONG Microseconds)
{
  ULONG64 End = KiReadTsc() + (ULONG64)Microseconds * HalpTscFrequency / 1000000;
  while ((LONG64)(KiReadTsc() - End) < 0) YieldProcessor();
}

LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER Frequency)
{
  if (Frequency) Frequency->QuadPart = (LONG64)HalpTscFrequency;
  return (LARGE_INTEGER){.QuadPart = (LONG64)KiReadTsc()};
}

VOID KeQuerySystemTime(PLARGE_INTEGER CurrentTime)
{
  LONG High;
  do {
    High = SharedUserData->SystemTime.High1Time;
    CurrentTime->LowPart = SharedUserData->SystemTime.LowPart;
    CurrentTime->HighPart = High;
  } while (High != SharedUserData->SystemTime.High2Time);
}

VOID KeQueryTickCount(PLARGE_INTEGER TickCount) { TickCount->QuadPart = (LONG64)SharedUserData->TickCountQuad; }

VOID HalReturnToFirmware(ULONG Action)
{
  UNREFERENCED_PARAMETER(Action);
  KiDisableInterrupts();
  KdShutdownNotice();
  KiOutByte(0xCF9, 0x02);
  KiOutByte(0xCF9, 0x06);          /* the chipset's reset register */
  KeStallExecutionProcessor(10000);
  KiOutByte(0x64, 0xFE);           /* the keyboard controller's reset line */
  for (;;) KiHalt();
}
