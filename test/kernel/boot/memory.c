/*
 * memory.c: the loader's page allocator (a bump pointer above the Multiboot modules), its page-table writer, its
 * random numbers and its last words on COM2.
 */
#include "loader.h"

static ULONG64 FirstFree, NextFree, Limit;
static ULONG64 RandomState;
static BOOLEAN Randomised;

static VOID Raise(ULONG64 *To, ULONG64 Address)
{
  if (Address > *To) *To = Address;
}

VOID LoaderInitializeMemory(PMULTIBOOT_INFO Info)
{
  PMULTIBOOT_MODULE Module = (PMULTIBOOT_MODULE)(ULONG64)Info->ModulesAddress;
  FirstFree = 0x400000;
  Raise(&FirstFree, (ULONG64)Info + sizeof(*Info));
  Raise(&FirstFree, Info->MmapAddress + (ULONG64)Info->MmapLength);
  Raise(&FirstFree, Info->CommandLine + 4096ull);
  if (Info->Flags & MULTIBOOT_HAS_MODULES) {
    Raise(&FirstFree, (ULONG64)Module + (ULONG64)Info->ModulesCount * sizeof(*Module));
    for (ULONG I = 0; I < Info->ModulesCount && I < LOADER_MAX_IMAGES; I++) Raise(&FirstFree, Module[I].End);
  }
  FirstFree = NextFree = ROUND_UP(FirstFree, PAGE_SIZE);
  ULONG64 At = Info->MmapAddress, End = At + Info->MmapLength;
  while (End - At >= sizeof(MULTIBOOT_MMAP)) {
    PMULTIBOOT_MMAP Entry = (PMULTIBOOT_MMAP)At;
    if (Entry->Type == 1 && Entry->Base <= FirstFree && Entry->Base + Entry->Length > FirstFree)
      Limit = Entry->Base + Entry->Length;
    At += Entry->Size + 4;
  }
  Limit = min(Limit, 0x100000000ull) & ~(PAGE_SIZE - 1);
}

ULONG64 LoaderFirstPage(VOID) { return FirstFree >> PAGE_SHIFT; }
ULONG64 LoaderLastPage(VOID) { return NextFree >> PAGE_SHIFT; }

PVOID LoaderAllocate(ULONG64 Bytes)
{
  ULONG64 Size = ROUND_UP(Bytes, PAGE_SIZE);
  if (NextFree > Limit || Size > Limit - NextFree) LoaderFail("out of memory: give the machine more");
  PVOID Result = (PVOID)NextFree;
  PVOID To = Result;
  NextFree += Size;
  __asm__ volatile("rep stosb" : "+D"(To), "+c"(Size) : "a"(0) : "memory");
  return Result;
}

ULONG64 LoaderCurrentCr3(VOID) { return KiReadCr3(); }

static PULONG64 NextLevel(PULONG64 Entry)
{
  if (!(*Entry & PTE_PRESENT)) *Entry = (ULONG64)LoaderAllocate(PAGE_SIZE) | PTE_TABLE;
  return (PULONG64)(*Entry & PTE_PFN_MASK);
}

#define INDEX(address, level) ((address) >> (12 + 9 * (level)) & 0x1FF)

VOID LoaderReserveSlot(ULONG64 Cr3, ULONG64 Virtual) { NextLevel((PULONG64)Cr3 + INDEX(Virtual, 3)); }

VOID LoaderMapLargePage(ULONG64 Cr3, ULONG64 Virtual, ULONG64 Physical, ULONG64 Bits)
{
  PULONG64 Pdpt = NextLevel((PULONG64)Cr3 + INDEX(Virtual, 3));
  PULONG64 Directory = NextLevel(Pdpt + INDEX(Virtual, 2));
  Directory[INDEX(Virtual, 1)] = Physical | Bits | PTE_LARGE;
}

VOID LoaderMapPage(ULONG64 Cr3, ULONG64 Virtual, ULONG64 Physical, ULONG64 Bits)
{
  PULONG64 Pdpt = NextLevel((PULONG64)Cr3 + INDEX(Virtual, 3));
  PULONG64 Directory = NextLevel(Pdpt + INDEX(Virtual, 2));
  PULONG64 Table = NextLevel(Directory + INDEX(Virtual, 1));
  Table[INDEX(Virtual, 0)] = Physical | Bits;
}

static BOOLEAN HardwareRandom(PULONG64 Value)
{
  ULONG Registers[4];
  UCHAR Ok = 0;
  KiCpuid(1, 0, Registers);
  if (!(Registers[2] & (1u << 30))) return FALSE;
  for (ULONG Try = 0; Try < 10 && !Ok; Try++) __asm__ volatile("rdrand %0; setc %1" : "=r"(*Value), "=qm"(Ok));
  return Ok;
}

static const CHAR *FindOption(PCSTR Options, PCSTR Name)
{
  for (; *Options; Options++) {
    ULONG I = 0;
    while (Name[I] && Options[I] == Name[I]) I++;
    if (!Name[I]) return Options + I;
  }
  return NULL;
}

ULONG64 LoaderSeedRandom(PCSTR Options)
{
  PCSTR Option = FindOption(Options, "kaslr=");
  Randomised = TRUE;
  if (Option && Option[0] == 'o') {
    Randomised = FALSE;
    return 0;
  }
  if (Option) {
    ULONG64 Base = Option[0] == '0' && Option[1] == 'x' ? 16 : 10;
    if (Base == 16) Option += 2;
    for (;; Option++) {
      ULONG64 Digit = *Option >= '0' && *Option <= '9'   ? (ULONG64)(*Option - '0')
                      : *Option >= 'a' && *Option <= 'f' ? (ULONG64)(*Option - 'a' + 10)
                                                         : 99;
      if (Digit >= Base) break;
      RandomState = RandomState * Base + Digit;
    }
  } else if (!HardwareRandom(&RandomState)) {
    RandomState = KiReadTsc();
  }
  if (RandomState == 0) RandomState = 1;
  return RandomState;
}

BOOLEAN LoaderRandomised(VOID) { return Randomised; }

/* splitmix64: small, and good enough to scatter addresses. */
ULONG64 LoaderRandom(ULONG64 Below)
{
  if (!Randomised) return 0;
  ULONG64 Z = RandomState += 0x9E3779B97F4A7C15ull;
  Z = (Z ^ Z >> 30) * 0xBF58476D1CE4E5B9ull;
  Z = (Z ^ Z >> 27) * 0x94D049BB133111EBull;
  return (Z ^ Z >> 31) % Below;
}

static VOID PutChar(CHAR C)
{
  for (ULONG Spin = 0; Spin < 1000000 && !(KiInByte(0x2FD) & 0x20); Spin++) YieldProcessor();
  KiOutByte(0x2F8, (UCHAR)C);
}

VOID LoaderPrint(PCSTR Format, ...)
{
  __builtin_va_list Arguments;
  __builtin_va_start(Arguments, Format);
  for (; *Format; Format++) {
    if (Format[0] == '%' && Format[1] == 's') {
      for (PCSTR Text = __builtin_va_arg(Arguments, PCSTR); *Text; Text++) PutChar(*Text);
      Format++;
    } else {
      PutChar(*Format);
    }
  }
  __builtin_va_end(Arguments);
}

VOID LoaderFail(PCSTR What)
{
  LoaderPrint("loader: cannot start: %s\n", What);
  for (;;) {
    KiDisableInterrupts();
    KiHalt();
  }
}

/* What the compiler calls for structure copies. */
void *memcpy(void *To, const void *From, SIZE_T Count)
{
  void *Result = To;
  __asm__ volatile("rep movsb" : "+D"(To), "+S"(From), "+c"(Count)::"memory");
  return Result;
}

void *memset(void *To, int Value, SIZE_T Count)
{
  void *Result = To;
  __asm__ volatile("rep stosb" : "+D"(To), "+c"(Count) : "a"(Value) : "memory");
  return Result;
}
