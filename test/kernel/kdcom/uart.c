/*
 * uart.c - the 16550 under KDCOM: polled, FIFO on, every wait limited by the time-stamp counter.
 *
 * The counter is calibrated once against channel 2 of the PIT, which no kernel of this kind uses.
 * Source of truth: the 16550D data sheet; 8254 data sheet for the calibration.
 */
#include "kdcom.h"

#define UART_DATA 0 /* DLL while DLAB is set */
#define UART_IER 1  /* DLM while DLAB is set */
#define UART_FCR 2  /* IIR when read */
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7

#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define FCR_ENABLE_CLEAR_TRIGGER_14 0xC7
#define IIR_FIFO_WORKS 0xC0
#define MCR_DTR_RTS 0x03
#define LSR_DATA_READY 0x01
#define LSR_ERRORS 0x1E
#define LSR_TRANSMIT_EMPTY 0x20

#define UART_CLOCK 115200u
#define UART_FIFO_DEPTH 16
/* A peer on a loaded host may be slow to read; real hardware is never stuck. */
#define UART_STUCK_MICROSECONDS 1000000

#define PIT_FREQUENCY 1193182u
#define PIT_CALIBRATION_TICKS 11932u /* 10 ms */
#define PIT_POLL_LIMIT 1000000u

static USHORT UartBase;
static USHORT UartDivisor;
static ULONG UartBurst = 1;
static BOOLEAN UartStuck;
/* Until calibration: a fast CPU's value, so that a limit can only come out too long, never 0. */
static ULONG64 TicksPerMicrosecond = 4000;

static inline UCHAR In8(USHORT Port)
{
  UCHAR Value;
  __asm__ __volatile__("inb %w1, %b0" : "=a"(Value) : "Nd"(Port));
  return Value;
}

static inline VOID Out8(USHORT Port, UCHAR Value)
{
  __asm__ __volatile__("outb %b0, %w1" : : "a"(Value), "Nd"(Port));
}

static inline ULONG64 Ticks(VOID)
{
  ULONG Low, High;
  __asm__ __volatile__("rdtsc" : "=a"(Low), "=d"(High));
  return ((ULONG64)High << 32) | Low;
}

static VOID CalibrateTicks(VOID)
{
  UCHAR Gate = In8(0x61);
  ULONG64 Start, End;
  ULONG Polls;

  Out8(0x61, (UCHAR)((Gate & ~0x02) | 0x01)); /* gate on, speaker off */
  Out8(0x43, 0xB0);                           /* channel 2, mode 0, binary */
  Out8(0x42, (UCHAR)(PIT_CALIBRATION_TICKS & 0xFF));
  Out8(0x42, (UCHAR)(PIT_CALIBRATION_TICKS >> 8));
  Start = Ticks();
  for (Polls = 0; Polls < PIT_POLL_LIMIT && !(In8(0x61) & 0x20); Polls++) {
  }
  End = Ticks();
  Out8(0x61, Gate);
  if (Polls < PIT_POLL_LIMIT && End > Start) {
    ULONG64 PerMicrosecond = (End - Start) * PIT_FREQUENCY / PIT_CALIBRATION_TICKS / 1000000u;
    TicksPerMicrosecond = PerMicrosecond ? PerMicrosecond : 1;
  }
}

VOID UartReinitialize(VOID)
{
  Out8(UartBase + UART_IER, 0);
  Out8(UartBase + UART_LCR, LCR_DLAB | LCR_8N1);
  Out8(UartBase + UART_DATA, (UCHAR)UartDivisor);
  Out8(UartBase + UART_IER, (UCHAR)(UartDivisor >> 8));
  Out8(UartBase + UART_LCR, LCR_8N1);
  Out8(UartBase + UART_FCR, FCR_ENABLE_CLEAR_TRIGGER_14);
  Out8(UartBase + UART_MCR, MCR_DTR_RTS);
  UartBurst = (In8(UartBase + UART_FCR) & IIR_FIFO_WORKS) == IIR_FIFO_WORKS ? UART_FIFO_DEPTH : 1;
  UartStuck = FALSE;
}

BOOLEAN UartInitialize(USHORT Base, ULONG BaudRate)
{
  CalibrateTicks();
  UartBase = Base;
  if (BaudRate == 0 || BaudRate > UART_CLOCK) {
    BaudRate = UART_CLOCK;
  }
  UartDivisor = (USHORT)(UART_CLOCK / BaudRate);

  /* The scratch register holds what it is told on every 16550; an empty bus reads back 0xFF. */
  Out8(Base + UART_SCR, 0x5A);
  if (In8(Base + UART_SCR) != 0x5A) {
    return FALSE;
  }
  Out8(Base + UART_SCR, 0xA5);
  if (In8(Base + UART_SCR) != 0xA5) {
    return FALSE;
  }
  UartReinitialize();
  return TRUE;
}

UART_STATUS UartGetByte(PUCHAR Byte, ULONG Microseconds)
{
  ULONG64 Start = 0;
  UCHAR Lsr;

  for (;;) {
    Lsr = In8(UartBase + UART_LSR);
    if (Lsr & LSR_DATA_READY) {
      *Byte = In8(UartBase + UART_DATA);
      return (Lsr & LSR_ERRORS) ? UartError : UartSuccess;
    }
    if (Microseconds == 0) {
      return UartNoData;
    }
    if (Start == 0) {
      Start = Ticks();
    } else if (Ticks() - Start > Microseconds * TicksPerMicrosecond) {
      return UartNoData;
    }
    __asm__ __volatile__("pause");
  }
}

VOID UartBeginPacket(VOID)
{
  UartStuck = FALSE;
}

VOID UartPutBytes(const VOID *Buffer, ULONG Length)
{
  const UCHAR *Bytes = Buffer;
  ULONG Sent = 0;

  while (Sent < Length && !UartStuck) {
    ULONG64 Start = Ticks();
    ULONG Burst;

    while (!(In8(UartBase + UART_LSR) & LSR_TRANSMIT_EMPTY)) {
      if (Ticks() - Start > UART_STUCK_MICROSECONDS * TicksPerMicrosecond) {
        /* The peer does not read: the rest of this packet is lost, and its retry will tell. */
        UartStuck = TRUE;
        return;
      }
      __asm__ __volatile__("pause");
    }
    for (Burst = UartBurst; Burst > 0 && Sent < Length; Burst--) {
      Out8(UartBase + UART_DATA, Bytes[Sent++]);
    }
  }
}
