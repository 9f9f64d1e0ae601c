/*
 * pe.h: a PE image as it lies in memory: where its directories, sections and exports are.
 */
#ifndef VMKD_PE_H
#define VMKD_PE_H

#include "types.h"

typedef struct _PE_IMAGE {
  const UCHAR *Base;
  ULONG Size;
  /* Whether these bytes of the image can be read: parts of a system image may be gone, or paged out. */
  BOOLEAN (*Present)(const VOID *Address, ULONG Length);
  /* Filled in by PeOpen. */
  USHORT Machine;
  USHORT SectionCount;
  ULONG Sections;       /* RVA of the section table */
  ULONG Directories;    /* RVA of the data directories */
  ULONG DirectoryCount; /* how many there are */
} PE_IMAGE;

typedef struct _PE_RANGE {
  ULONG Rva;
  ULONG Length;
} PE_RANGE;

#define PE_DIRECTORY_EXPORT 0u
#define PE_DIRECTORY_IAT 12u

#define PE_SECTION_EXECUTE 0x20000000u
#define PE_SECTION_DISCARDABLE 0x02000000u

/* FALSE if there is no sound image of this machine's word size. */
BOOLEAN PeOpen(PE_IMAGE *Image, const VOID *Base, ULONG Size, BOOLEAN (*Present)(const VOID *Address, ULONG Length));

/* FALSE if there is no such directory, or it does not lie in the image. */
BOOLEAN PeDirectory(const PE_IMAGE *Image, ULONG Index, PE_RANGE *Range);

/* The nth section as mapped, cut to the image. FALSE if there is none. */
BOOLEAN PeSection(const PE_IMAGE *Image, ULONG Index, PE_RANGE *Range, ULONG *Characteristics);

/* Whether the export directory says that the image is called so, letters in any case. */
BOOLEAN PeIsNamed(const PE_IMAGE *Image, PCSTR Name);

/* RVA of an exported function, 0 if there is none or it lies in another image (a forwarder). */
ULONG PeExport(const PE_IMAGE *Image, PCSTR Name);

#endif
