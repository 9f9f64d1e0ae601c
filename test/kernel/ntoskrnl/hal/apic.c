/*
 * apic.c: local APIC (timer, IPIs, end of interrupt) and the one I/O APIC line in use: COM2.
 */
#include "hal.h"

#define APIC_ID 0x020
#define APIC_EOI 0x0B0
#define APIC_SPURIOUS 0x0F0
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3E0
#define ICR_PENDING 0x1000u
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u
#define LVT_NMI 0x400u

static volatile UCHAR *Apic;
static volatile ULONG *IoApic;
static ULONG TimerPerTick;

static ULONG Read(ULONG Register) { return *(volatile ULONG *)(Apic + Register); }
static VOID Write(ULONG Register, ULONG Value) { *(volatile ULONG *)(Apic + Register) = Value; }

ULONG HalpApicId(VOID) { return Read(APIC_ID) >> 24; }
VOID HalpEndOfInterrupt(VOID) { Write(APIC_EOI, 0); }

/* Command: delivery mode, level and vector. May be called with interrupts off, from any level, also from NMI. */
VOID HalpSendIpi(ULONG ApicId, ULONG Command)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  for (ULONG Spin = 0; (Read(APIC_ICR_LOW) & ICR_PENDING) && Spin < 1000000; Spin++) YieldProcessor();
  ULONG High = Read(APIC_ICR_HIGH); /* kept for what an NMI may have interrupted */
  Write(APIC_ICR_HIGH, ApicId << 24);
  Write(APIC_ICR_LOW, Command);
  Write(APIC_ICR_HIGH, High);
  if (Enabled) KiEnableInterrupts();
}

static ULONG64 TimerElapsed(VOID) { return MAXULONG - Read(APIC_TIMER_CURRENT); }

VOID HalpInitializeLocalApic(BOOLEAN BootProcessor)
{
  if (BootProcessor) {
    Apic = MmMapIoSpace((PHYSICAL_ADDRESS){.QuadPart = (LONG64)HalpLocalApicPhysical}, PAGE_SIZE, MmNonCached);
    if (!Apic) KeBugCheckEx(PHASE0_INITIALIZATION_FAILED, 4, 0, 0, 0);
    KiOutByte(0x21, 0xFF); /* both 8259s: everything masked, the I/O APIC routes */
    KiOutByte(0xA1, 0xFF);
  }
  KiWriteMsr(MSR_APIC_BASE, KiReadMsr(MSR_APIC_BASE) | 0x800);
  Write(APIC_SPURIOUS, 0x100 | SPURIOUS_VECTOR);
  Write(APIC_LVT_LINT0, LVT_MASKED);
  Write(APIC_LVT_LINT1, LVT_NMI);
  Write(APIC_LVT_ERROR, LVT_MASKED);
  Write(APIC_TIMER_DIVIDE, 0x3); /* by 16 */
  if (BootProcessor) {
    Write(APIC_LVT_TIMER, LVT_MASKED);
    Write(APIC_TIMER_INITIAL, MAXULONG);
    ULONG64 Ticks10ms = HalpMeasure10ms(TimerElapsed);
    TimerPerTick = (ULONG)(Ticks10ms * KeMaximumIncrement / 100000);
    if (TimerPerTick == 0) TimerPerTick = 1;
  }
}

VOID HalpStartClock(VOID)
{
  Write(APIC_LVT_TIMER, LVT_PERIODIC | CLOCK_VECTOR);
  Write(APIC_TIMER_INITIAL, TimerPerTick);
}

/* COM2 is IRQ 3; ISA lines are edge-triggered, active high, and the firmware overrides none of them for us. */
VOID HalpEnableConsoleInterrupt(VOID)
{
  if (!HalpIoApicPhysical) return;
  IoApic = MmMapIoSpace((PHYSICAL_ADDRESS){.QuadPart = (LONG64)HalpIoApicPhysical}, PAGE_SIZE, MmNonCached);
  if (!IoApic) return;
  IoApic[0] = 0x10 + 2 * 3 + 1;
  IoApic[4] = KiProcessorBlock[0]->InitialApicId << 24;
  IoApic[0] = 0x10 + 2 * 3;
  IoApic[4] = CONSOLE_VECTOR;
}
