/*
 * pe.h: reading, mapping and linking PE32+ images; one implementation (ntoskrnl/ldr/pe.c) for the boot loader and
 * the kernel. Every function bounds every header field against the sizes that it is given.
 */
#ifndef VMK_PE_H
#define VMK_PE_H

#include "ldr.h"

/* An image laid out for execution: where we can read it, and the address that it is linked to run at. */
typedef struct _PE_VIEW {
  PUCHAR Memory;
  ULONG Size;
  ULONG64 Base;
} PE_VIEW, *PPE_VIEW;

/* Finds an already placed image by the name in an import descriptor; FALSE if there is none. */
typedef BOOLEAN PE_FIND_IMAGE(PVOID Context, PCSTR DllName, PPE_VIEW View);
/* Told what cannot be resolved. */
typedef VOID PE_REPORT(PVOID Context, PCSTR DllName, PCSTR Symbol);

/* Null if File is not a sound PE32+ amd64 image. */
PIMAGE_NT_HEADERS PeHeadersOfFile(PUCHAR File, ULONG64 FileSize);
PIMAGE_NT_HEADERS PeHeadersOfImage(PUCHAR Memory, ULONG64 Size);
/* Lays the file out at View->Memory (View->Size bytes, zeroed by the callee) and relocates it to View->Base. */
BOOLEAN PePlaceImage(PUCHAR File, ULONG64 FileSize, PPE_VIEW View);
/* Address of an export in its final place; 0 if there is none (or it is a forwarder, which we do not have). */
ULONG64 PeFindExport(PPE_VIEW View, PCSTR Name);
/* The DLL name in the export directory; null if there is none. */
PCSTR PeExportName(PPE_VIEW View);
BOOLEAN PeResolveImports(PPE_VIEW View, PE_FIND_IMAGE *Find, PE_REPORT *Report, PVOID Context);
/* Section characteristics (IMAGE_SCN_MEM_*) that hold for the page at Rva; headers are read-only. */
ULONG PePageCharacteristics(PPE_VIEW View, ULONG Rva);
PIMAGE_SECTION_HEADER PeSections(PIMAGE_NT_HEADERS Headers);

/* ASCII, ignoring case. */
BOOLEAN PeNamesEqual(PCSTR A, PCSTR B);
#endif
