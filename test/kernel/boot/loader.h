/*
 * loader.h: what the boot loader's files share. All addresses are physical = identity-mapped, below 4 GiB.
 */
#ifndef VMK_LOADER_H
#define VMK_LOADER_H

#include "nt.h"
#include "pe.h"
#include "pte.h"
#include "intrin.h"

#define IMAGE_AREA_BASE 0xFFFFF80000000000ull

#define MULTIBOOT_HAS_COMMAND_LINE 0x04u
#define MULTIBOOT_HAS_MODULES 0x08u
#define MULTIBOOT_HAS_MMAP 0x40u

typedef struct _MULTIBOOT_INFO {
  ULONG Flags, MemLower, MemUpper, BootDevice, CommandLine, ModulesCount, ModulesAddress, Symbols[4];
  ULONG MmapLength, MmapAddress;
} MULTIBOOT_INFO, *PMULTIBOOT_INFO;

typedef struct _MULTIBOOT_MODULE {
  ULONG Start, End, Name, Reserved;
} MULTIBOOT_MODULE, *PMULTIBOOT_MODULE;

typedef struct __attribute__((packed)) _MULTIBOOT_MMAP {
  ULONG Size; /* of what follows this field */
  ULONG64 Base, Length;
  ULONG Type;
} MULTIBOOT_MMAP, *PMULTIBOOT_MMAP;

VOID LoaderPrint(PCSTR Format, ...); /* %s only; to COM2 */
VOID DECLSPEC_NORETURN LoaderFail(PCSTR What);

VOID LoaderInitializeMemory(PMULTIBOOT_INFO Info);
PVOID LoaderAllocate(ULONG64 Bytes); /* whole zeroed pages; never fails, stops instead */
ULONG64 LoaderFirstPage(VOID);
ULONG64 LoaderLastPage(VOID);
VOID LoaderMapPage(ULONG64 Cr3, ULONG64 Virtual, ULONG64 Physical, ULONG64 Bits);
VOID LoaderMapLargePage(ULONG64 Cr3, ULONG64 Virtual, ULONG64 Physical, ULONG64 Bits);
VOID LoaderReserveSlot(ULONG64 Cr3, ULONG64 Virtual);
ULONG64 LoaderCurrentCr3(VOID);

ULONG64 LoaderSeedRandom(PCSTR Options); /* the seed; 0 = kaslr=off */
BOOLEAN LoaderRandomised(VOID);
ULONG64 LoaderRandom(ULONG64 Below); /* 0 when not randomised */

VOID DECLSPEC_NORETURN LoaderJump(ULONG64 Cr3, ULONG64 Stack, ULONG64 Entry, ULONG64 Argument);

#endif
