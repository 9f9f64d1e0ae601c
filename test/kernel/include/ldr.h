/*
 * ldr.h: images and boot: KLDR_DATA_TABLE_ENTRY, LOADER_PARAMETER_BLOCK, and the parts of the PE format in use.
 *
 * The loader (boot/) and the kernel share this file: both are little-endian amd64 and agree on the layouts, though
 * one is compiled for the System V ABI (LP64). Hence LOADER_PARAMETER_BLOCK uses fixed-size members only.
 */
#ifndef VMK_LDR_H
#define VMK_LDR_H

#include "ntdef.h"

typedef struct _NON_PAGED_DEBUG_INFO NON_PAGED_DEBUG_INFO;

typedef struct _KLDR_DATA_TABLE_ENTRY {
  LIST_ENTRY InLoadOrderLinks;
  PVOID ExceptionTable;
  ULONG ExceptionTableSize;
  PVOID GpValue;
  NON_PAGED_DEBUG_INFO *NonPagedDebugInfo;
  PVOID DllBase;
  PVOID EntryPoint;
  ULONG SizeOfImage;
  UNICODE_STRING FullDllName;
  UNICODE_STRING BaseDllName;
  ULONG Flags;
  USHORT LoadCount;
  USHORT SignatureLevel;
  PVOID SectionPointer;
  ULONG CheckSum;
  ULONG CoverageSectionSize;
  PVOID CoverageSection;
  PVOID LoadedImports;
  PVOID Spare;
  ULONG SizeOfImageNotRounded;
  ULONG TimeDateStamp;
} KLDR_DATA_TABLE_ENTRY, *PKLDR_DATA_TABLE_ENTRY;
C_ASSERT(FIELD_OFFSET(KLDR_DATA_TABLE_ENTRY, DllBase) == 0x30);
C_ASSERT(FIELD_OFFSET(KLDR_DATA_TABLE_ENTRY, FullDllName) == 0x48);
C_ASSERT(FIELD_OFFSET(KLDR_DATA_TABLE_ENTRY, BaseDllName) == 0x58);

typedef struct _LDR_DATA_TABLE_ENTRY {
  LIST_ENTRY InLoadOrderLinks;
  LIST_ENTRY InMemoryOrderLinks;
  LIST_ENTRY InInitializationOrderLinks;
  PVOID DllBase;
  PVOID EntryPoint;
  ULONG SizeOfImage;
  UNICODE_STRING FullDllName;
  UNICODE_STRING BaseDllName;
  ULONG Flags;
  USHORT LoadCount;
  USHORT TlsIndex;
} LDR_DATA_TABLE_ENTRY, *PLDR_DATA_TABLE_ENTRY;

#define LDRP_ENTRY_PROCESSED 0x00004000u
#define LDRP_SYSTEM_MAPPED 0x01000000u

#define LOADER_MAX_MEMORY_RANGES 32
#define LOADER_MAX_IMAGES 24
#define LOADER_MAX_NAME 64

typedef enum _TYPE_OF_MEMORY {
  LoaderFree = 2,
  LoaderFirmwarePermanent = 12,
  LoaderSystemCode = 9,
  LoaderMemoryData = 21
} TYPE_OF_MEMORY;

typedef struct _MEMORY_ALLOCATION_DESCRIPTOR {
  ULONG MemoryType; /* TYPE_OF_MEMORY */
  ULONG Reserved;
  ULONG64 BasePage;
  ULONG64 PageCount;
} MEMORY_ALLOCATION_DESCRIPTOR, *PMEMORY_ALLOCATION_DESCRIPTOR;

/* A file that the loader was given: as it lies in physical memory, and where it is mapped if it was loaded. */
typedef struct _LOADER_IMAGE {
  CHAR Name[LOADER_MAX_NAME]; /* base name, lower case not forced, NUL-terminated */
  ULONG64 FilePhysical;
  ULONG64 FileSize;
  ULONG64 ImagePhysical; /* 0 when not loaded */
  ULONG64 ImageBase;
  ULONG64 SizeOfImage;
} LOADER_IMAGE, *PLOADER_IMAGE;

#define LOADER_BLOCK_MAJOR 10u
#define LOADER_BLOCK_SIGNATURE 0x424C4D56u /* "VMLB" */

/*
 * What the loader hands to KiSystemStartup. Pointers are kernel virtual addresses.
 * LoadOrderList has the kernel first, then kdcom, then the boot drivers; list entries live in the loader's own pages.
 */
typedef struct _LOADER_PARAMETER_BLOCK {
  ULONG OsMajorVersion;
  ULONG Signature;
  ULONG Size;
  ULONG ImageCount;
  LIST_ENTRY LoadOrderListHead; /* KLDR_DATA_TABLE_ENTRY.InLoadOrderLinks */
  ULONG64 KernelStack;          /* top of the boot processor's first stack */
  ULONG64 Cr3;
  ULONG64 PhysicalWindow; /* virtual address of physical 0, mapped by 2 MiB pages */
  ULONG64 PhysicalWindowSize;
  ULONG64 PteBase; /* the recursive mapping of the page tables */
  ULONG64 SystemVaBase; /* the kernel's own dynamic area: pool, stacks, driver images, device memory */
  ULONG64 KaslrSeed;
  ULONG64 HighestPhysicalPage;
  ULONG64 LoaderFirstPage; /* pages the loader has taken, [first, last) */
  ULONG64 LoaderLastPage;
  ULONG64 TrampolinePage; /* a free page below 1 MiB for the other processors' start */
  CHAR LoadOptions[256];
  ULONG MemoryRangeCount;
  ULONG Reserved;
  MEMORY_ALLOCATION_DESCRIPTOR MemoryRanges[LOADER_MAX_MEMORY_RANGES];
  LOADER_IMAGE Images[LOADER_MAX_IMAGES];
} LOADER_PARAMETER_BLOCK, *PLOADER_PARAMETER_BLOCK;

#define IMAGE_DOS_SIGNATURE 0x5A4D
#define IMAGE_NT_SIGNATURE 0x00004550
#define IMAGE_FILE_MACHINE_AMD64 0x8664
#define IMAGE_NT_OPTIONAL_HDR64_MAGIC 0x20B

typedef struct _IMAGE_DOS_HEADER {
  USHORT e_magic;
  USHORT e_unused[29];
  LONG e_lfanew;
} IMAGE_DOS_HEADER, *PIMAGE_DOS_HEADER;

typedef struct _IMAGE_FILE_HEADER {
  USHORT Machine;
  USHORT NumberOfSections;
  ULONG TimeDateStamp;
  ULONG PointerToSymbolTable;
  ULONG NumberOfSymbols;
  USHORT SizeOfOptionalHeader;
  USHORT Characteristics;
} IMAGE_FILE_HEADER, *PIMAGE_FILE_HEADER;

typedef struct _IMAGE_DATA_DIRECTORY {
  ULONG VirtualAddress;
  ULONG Size;
} IMAGE_DATA_DIRECTORY, *PIMAGE_DATA_DIRECTORY;

#define IMAGE_DIRECTORY_ENTRY_EXPORT 0
#define IMAGE_DIRECTORY_ENTRY_IMPORT 1
#define IMAGE_DIRECTORY_ENTRY_EXCEPTION 3
#define IMAGE_DIRECTORY_ENTRY_BASERELOC 5
#define IMAGE_DIRECTORY_ENTRY_DEBUG 6
#define IMAGE_DIRECTORY_ENTRY_IAT 12

typedef struct _IMAGE_OPTIONAL_HEADER64 {
  USHORT Magic;
  UCHAR MajorLinkerVersion, MinorLinkerVersion;
  ULONG SizeOfCode, SizeOfInitializedData, SizeOfUninitializedData;
  ULONG AddressOfEntryPoint;
  ULONG BaseOfCode;
  ULONG64 ImageBase;
  ULONG SectionAlignment, FileAlignment;
  USHORT MajorOperatingSystemVersion, MinorOperatingSystemVersion;
  USHORT MajorImageVersion, MinorImageVersion;
  USHORT MajorSubsystemVersion, MinorSubsystemVersion;
  ULONG Win32VersionValue;
  ULONG SizeOfImage;
  ULONG SizeOfHeaders;
  ULONG CheckSum;
  USHORT Subsystem, DllCharacteristics;
  ULONG64 SizeOfStackReserve, SizeOfStackCommit, SizeOfHeapReserve, SizeOfHeapCommit;
  ULONG LoaderFlags;
  ULONG NumberOfRvaAndSizes;
  IMAGE_DATA_DIRECTORY DataDirectory[16];
} IMAGE_OPTIONAL_HEADER64;

typedef struct _IMAGE_NT_HEADERS64 {
  ULONG Signature;
  IMAGE_FILE_HEADER FileHeader;
  IMAGE_OPTIONAL_HEADER64 OptionalHeader;
} IMAGE_NT_HEADERS, *PIMAGE_NT_HEADERS;

#define IMAGE_SCN_MEM_DISCARDABLE 0x02000000u
#define IMAGE_SCN_MEM_EXECUTE 0x20000000u
#define IMAGE_SCN_MEM_READ 0x40000000u
#define IMAGE_SCN_MEM_WRITE 0x80000000u

typedef struct _IMAGE_SECTION_HEADER {
  UCHAR Name[8];
  ULONG VirtualSize;
  ULONG VirtualAddress;
  ULONG SizeOfRawData;
  ULONG PointerToRawData;
  ULONG PointerToRelocations, PointerToLinenumbers;
  USHORT NumberOfRelocations, NumberOfLinenumbers;
  ULONG Characteristics;
} IMAGE_SECTION_HEADER, *PIMAGE_SECTION_HEADER;
C_ASSERT(sizeof(IMAGE_SECTION_HEADER) == 40);

typedef struct _IMAGE_EXPORT_DIRECTORY {
  ULONG Characteristics, TimeDateStamp;
  USHORT MajorVersion, MinorVersion;
  ULONG Name, Base;
  ULONG NumberOfFunctions, NumberOfNames;
  ULONG AddressOfFunctions, AddressOfNames, AddressOfNameOrdinals;
} IMAGE_EXPORT_DIRECTORY, *PIMAGE_EXPORT_DIRECTORY;

typedef struct _IMAGE_IMPORT_DESCRIPTOR {
  ULONG OriginalFirstThunk, TimeDateStamp, ForwarderChain, Name, FirstThunk;
} IMAGE_IMPORT_DESCRIPTOR, *PIMAGE_IMPORT_DESCRIPTOR;

typedef struct _IMAGE_BASE_RELOCATION {
  ULONG VirtualAddress, SizeOfBlock;
} IMAGE_BASE_RELOCATION, *PIMAGE_BASE_RELOCATION;

#define IMAGE_REL_BASED_ABSOLUTE 0
#define IMAGE_REL_BASED_DIR64 10

typedef struct _IMAGE_RUNTIME_FUNCTION_ENTRY {
  ULONG BeginAddress, EndAddress, UnwindData;
} RUNTIME_FUNCTION, *PRUNTIME_FUNCTION;

#endif
