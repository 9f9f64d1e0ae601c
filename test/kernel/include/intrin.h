/*
 * intrin.h: instructions that C has no word for. Freestanding: no compiler header is used.
 */
#ifndef VMK_INTRIN_H
#define VMK_INTRIN_H

#include "ntdef.h"

FORCEINLINE VOID KeMemoryBarrier(VOID) { __asm__ volatile("mfence" ::: "memory"); }
FORCEINLINE VOID KeCompilerBarrier(VOID) { __asm__ volatile("" ::: "memory"); }
FORCEINLINE VOID YieldProcessor(VOID) { __asm__ volatile("pause" ::: "memory"); }
FORCEINLINE VOID KiDisableInterrupts(VOID) { __asm__ volatile("cli" ::: "memory"); }
FORCEINLINE VOID KiEnableInterrupts(VOID) { __asm__ volatile("sti" ::: "memory"); }
FORCEINLINE VOID KiHalt(VOID) { __asm__ volatile("hlt" ::: "memory"); }

FORCEINLINE ULONG64 KiReadFlags(VOID)
{
  ULONG64 Flags;
  __asm__ volatile("pushfq; popq %0" : "=r"(Flags)::"memory");
  return Flags;
}

FORCEINLINE UCHAR KiInByte(USHORT Port)
{
  UCHAR Value;
  __asm__ volatile("inb %1, %0" : "=a"(Value) : "Nd"(Port) : "memory");
  return Value;
}
FORCEINLINE USHORT KiInWord(USHORT Port)
{
  USHORT Value;
  __asm__ volatile("inw %1, %0" : "=a"(Value) : "Nd"(Port) : "memory");
  return Value;
}
FORCEINLINE ULONG KiInLong(USHORT Port)
{
  ULONG Value;
  __asm__ volatile("inl %1, %0" : "=a"(Value) : "Nd"(Port) : "memory");
  return Value;
}
FORCEINLINE VOID KiOutByte(USHORT Port, UCHAR Value)
{
  __asm__ volatile("outb %0, %1" ::"a"(Value), "Nd"(Port) : "memory");
}
FORCEINLINE VOID KiOutWord(USHORT Port, USHORT Value)
{
  __asm__ volatile("outw %0, %1" ::"a"(Value), "Nd"(Port) : "memory");
}
FORCEINLINE VOID KiOutLong(USHORT Port, ULONG Value)
{
  __asm__ volatile("outl %0, %1" ::"a"(Value), "Nd"(Port) : "memory");
}

/* A bad MSR number is a #GP: check before use. */
FORCEINLINE ULONG64 KiReadMsr(ULONG Msr)
{
  ULONG Low, High;
  __asm__ volatile("rdmsr" : "=a"(Low), "=d"(High) : "c"(Msr) : "memory");
  return (ULONG64)High << 32 | Low;
}
FORCEINLINE VOID KiWriteMsr(ULONG Msr, ULONG64 Value)
{
  __asm__ volatile("wrmsr" ::"c"(Msr), "a"((ULONG)Value), "d"((ULONG)(Value >> 32)) : "memory");
}

FORCEINLINE ULONG64 KiReadTsc(VOID)
{
  ULONG Low, High;
  __asm__ volatile("rdtsc" : "=a"(Low), "=d"(High));
  return (ULONG64)High << 32 | Low;
}

FORCEINLINE VOID KiCpuid(ULONG Leaf, ULONG SubLeaf, ULONG Registers[4])
{
  __asm__ volatile("cpuid"
                   : "=a"(Registers[0]), "=b"(Registers[1]), "=c"(Registers[2]), "=d"(Registers[3])
                   : "a"(Leaf), "c"(SubLeaf));
}

#define VMK_CONTROL_REGISTER(name, reg)                                                                            \
  FORCEINLINE ULONG64 KiRead##name(VOID)                                                                           \
  {                                                                                                                \
    ULONG64 Value;                                                                                                 \
    __asm__ volatile("movq %%" reg ", %0" : "=r"(Value)::"memory");                                                \
    return Value;                                                                                                  \
  }                                                                                                                \
  FORCEINLINE VOID KiWrite##name(ULONG64 Value) { __asm__ volatile("movq %0, %%" reg ::"r"(Value) : "memory"); }
VMK_CONTROL_REGISTER(Cr0, "cr0")
VMK_CONTROL_REGISTER(Cr2, "cr2")
VMK_CONTROL_REGISTER(Cr3, "cr3")
VMK_CONTROL_REGISTER(Cr4, "cr4")
VMK_CONTROL_REGISTER(Cr8, "cr8")
VMK_CONTROL_REGISTER(Dr0, "dr0")
VMK_CONTROL_REGISTER(Dr1, "dr1")
VMK_CONTROL_REGISTER(Dr2, "dr2")
VMK_CONTROL_REGISTER(Dr3, "dr3")
VMK_CONTROL_REGISTER(Dr6, "dr6")
VMK_CONTROL_REGISTER(Dr7, "dr7")
#undef VMK_CONTROL_REGISTER

FORCEINLINE VOID KiInvalidatePage(ULONG64 Address) { __asm__ volatile("invlpg (%0)" ::"r"(Address) : "memory"); }

FORCEINLINE LONG InterlockedIncrement(volatile LONG *Value) { return __sync_add_and_fetch(Value, 1); }
FORCEINLINE LONG InterlockedDecrement(volatile LONG *Value) { return __sync_sub_and_fetch(Value, 1); }
FORCEINLINE LONG InterlockedExchange(volatile LONG *Value, LONG New)
{
  return __atomic_exchange_n(Value, New, __ATOMIC_SEQ_CST);
}
FORCEINLINE LONG InterlockedCompareExchange(volatile LONG *Value, LONG New, LONG Old)
{
  return __sync_val_compare_and_swap(Value, Old, New);
}

#endif
