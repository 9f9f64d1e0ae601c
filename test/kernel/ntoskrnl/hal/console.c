/*
 * console.c: COM2, the kernel's console: polled output from anywhere, interrupt-driven input into a ring.
 */
#include "ki.h"

#define COM2 0x2F8
#define RING 1024u
#define DYING_LOCK_SPINS 2000000u /* counted, not timed: a host that does not run us must not use them up */

KEVENT HalpConsoleEvent;
static CHAR Ring[RING];
static volatile ULONG RingHead, RingTail;
static KSPIN_LOCK OutputLock;

VOID HalpInitializeConsole(VOID)
{
  KiOutByte(COM2 + 1, 0);    /* no interrupts yet */
  KiOutByte(COM2 + 3, 0x80); /* divisor 1: 115200 */
  KiOutByte(COM2 + 0, 1);
  KiOutByte(COM2 + 1, 0);
  KiOutByte(COM2 + 3, 0x03); /* 8N1 */
  KiOutByte(COM2 + 2, 0xC7); /* FIFOs on */
  KiOutByte(COM2 + 4, 0x0B); /* DTR, RTS, interrupt line */
  KeInitializeEvent(&HalpConsoleEvent, SynchronizationEvent, FALSE);
}

/*
 * FALSE: written without the lock. After a bugcheck its holder may be the code that our own NMI interrupted, or a
 * processor that has stopped for good; a live one is done with its line long before the limit.
 */
static BOOLEAN LockOutput(VOID)
{
  ULONG Spins = 0;
  while (__atomic_exchange_n(&OutputLock, 1, __ATOMIC_ACQUIRE)) {
    if (KiBugCheckOwner && ++Spins > DYING_LOCK_SPINS) return FALSE;
    YieldProcessor();
  }
  return TRUE;
}

VOID HalpConsoleWrite(PCSTR Text, SIZE_T Length)
{
  BOOLEAN Enabled = KeDisableInterrupts();
  BOOLEAN Locked = LockOutput();
  for (SIZE_T I = 0; I < Length; I++) {
    for (ULONG Spin = 0; !(KiInByte(COM2 + 5) & 0x20) && Spin < 200000; Spin++) YieldProcessor();
    KiOutByte(COM2, (UCHAR)Text[I]);
  }
  if (Locked) KiReleaseSpinLock(&OutputLock);
  if (Enabled) KiEnableInterrupts();
}

VOID HalpConsoleInterruptService(VOID)
{
  BOOLEAN Line = FALSE;
  KiInByte(COM2 + 2); /* identification: clears a transmitter cause */
  while (KiInByte(COM2 + 5) & 1) {
    CHAR C = (CHAR)KiInByte(COM2);
    if (RingHead - RingTail == RING) continue; /* full: the line is lost, its command answers nothing */
    Ring[RingHead % RING] = C;
    KeCompilerBarrier();
    RingHead++;
    Line |= C == '\n' || C == '\r';
  }
  if (Line) KeSetEvent(&HalpConsoleEvent, 0, FALSE);
}

BOOLEAN HalpConsoleRead(PCHAR Character)
{
  static BOOLEAN Listening;
  if (!Listening) {
    Listening = TRUE;
    KiOutByte(COM2 + 1, 1); /* received data */
  }
  if (RingTail == RingHead) return FALSE;
  *Character = Ring[RingTail % RING];
  KeCompilerBarrier();
  RingTail++;
  return TRUE;
}
