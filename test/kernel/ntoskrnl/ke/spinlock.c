/*
 * spinlock.c: IRQL (it is CR8) and spin locks.
 */
#include "ki.h"

KIRQL KeGetCurrentIrql(VOID) { return (KIRQL)KiReadCr8(); }

KIRQL KfRaiseIrql(KIRQL NewIrql)
{
  KIRQL Old = (KIRQL)KiReadCr8();
  KiWriteCr8(NewIrql);
  return Old;
}

VOID KeLowerIrql(KIRQL NewIrql) { KiWriteCr8(NewIrql); }

BOOLEAN KeDisableInterrupts(VOID)
{
  BOOLEAN Enabled = (KiReadFlags() & EFLAGS_IF_MASK) != 0;
  KiDisableInterrupts();
  return Enabled;
}

VOID KiAcquireSpinLock(PKSPIN_LOCK SpinLock)
{
  while (__atomic_exchange_n(SpinLock, 1, __ATOMIC_ACQUIRE))
    while (__atomic_load_n(SpinLock, __ATOMIC_RELAXED)) YieldProcessor();
}

VOID KiReleaseSpinLock(PKSPIN_LOCK SpinLock) { __atomic_store_n(SpinLock, 0, __ATOMIC_RELEASE); }

VOID KeInitializeSpinLock(PKSPIN_LOCK SpinLock) { *SpinLock = 0; }

KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock)
{
  KIRQL Old = KfRaiseIrql(max(KeGetCurrentIrql(), DISPATCH_LEVEL));
  KiAcquireSpinLock(SpinLock);
  return Old;
}

VOID KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql)
{
  KiReleaseSpinLock(SpinLock);
  KeLowerIrql(NewIrql);
}

VOID KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock) { KiAcquireSpinLock(SpinLock); }
VOID KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock) { KiReleaseSpinLock(SpinLock); }
