/*
 * pe.c: the PE32+ reader that the boot loader and the kernel share (see pe.h).
 *
 * Invariant: no byte outside [File, File + FileSize) or [Memory, Memory + Size) is touched whatever the headers say.
 * Memory and file are reached through RangeIn, which is the one place that checks.
 */
#include "pe.h"

static BOOLEAN RangeIn(ULONG64 Offset, ULONG64 Length, ULONG64 Size)
{
  return Offset <= Size && Length <= Size - Offset;
}

static VOID CopyBytes(PUCHAR To, const UCHAR *From, ULONG64 Count)
{
  __asm__ volatile("rep movsb" : "+D"(To), "+S"(From), "+c"(Count)::"memory");
}

static VOID ZeroBytes(PUCHAR To, ULONG64 Count)
{
  __asm__ volatile("rep stosb" : "+D"(To), "+c"(Count) : "a"(0) : "memory");
}

static UCHAR Lower(CHAR C)
{
  return C >= 'A' && C <= 'Z' ? (UCHAR)(C + 32) : (UCHAR)C;
}

BOOLEAN PeNamesEqual(PCSTR A, PCSTR B)
{
  while (*A && Lower(*A) == Lower(*B)) {
    A++;
    B++;
  }
  return Lower(*A) == Lower(*B);
}

static PIMAGE_NT_HEADERS Headers(PUCHAR Bytes, ULONG64 Size)
{
  PIMAGE_DOS_HEADER Dos = (PIMAGE_DOS_HEADER)Bytes;
  if (Size < sizeof(IMAGE_DOS_HEADER) || Dos->e_magic != IMAGE_DOS_SIGNATURE || Dos->e_lfanew < 0) return NULL;
  if (!RangeIn((ULONG)Dos->e_lfanew, sizeof(IMAGE_NT_HEADERS), Size)) return NULL;
  PIMAGE_NT_HEADERS Nt = (PIMAGE_NT_HEADERS)(Bytes + Dos->e_lfanew);
  if (Nt->Signature != IMAGE_NT_SIGNATURE || Nt->FileHeader.Machine != IMAGE_FILE_MACHINE_AMD64) return NULL;
  if (Nt->OptionalHeader.Magic != IMAGE_NT_OPTIONAL_HDR64_MAGIC) return NULL;
  if (Nt->FileHeader.SizeOfOptionalHeader < sizeof(IMAGE_OPTIONAL_HEADER64)) return NULL;
  if (Nt->OptionalHeader.NumberOfRvaAndSizes < 16 || Nt->OptionalHeader.SectionAlignment < 0x1000) return NULL;
  if (Nt->OptionalHeader.SizeOfImage == 0 || Nt->OptionalHeader.SizeOfImage > 0x4000000) return NULL;
  ULONG64 Sections = (PUCHAR)PeSections(Nt) - Bytes;
  ULONG64 SectionBytes = (ULONG64)Nt->FileHeader.NumberOfSections * sizeof(IMAGE_SECTION_HEADER);
  if (!RangeIn(Sections, SectionBytes, Size)) return NULL;
  if (!RangeIn(Sections, SectionBytes, Nt->OptionalHeader.SizeOfHeaders)) return NULL;
  return Nt;
}

PIMAGE_SECTION_HEADER PeSections(PIMAGE_NT_HEADERS Nt)
{
  return (PIMAGE_SECTION_HEADER)((PUCHAR)&Nt->OptionalHeader + Nt->FileHeader.SizeOfOptionalHeader);
}

PIMAGE_NT_HEADERS PeHeadersOfFile(PUCHAR File, ULONG64 FileSize)
{
  PIMAGE_NT_HEADERS Nt = Headers(File, FileSize);
  if (!Nt || !RangeIn(0, Nt->OptionalHeader.SizeOfHeaders, FileSize)) return NULL;
  PIMAGE_SECTION_HEADER Section = PeSections(Nt);
  for (ULONG I = 0; I < Nt->FileHeader.NumberOfSections; I++, Section++) {
    if (!RangeIn(Section->PointerToRawData, Section->SizeOfRawData, FileSize)) return NULL;
    if (!RangeIn(Section->VirtualAddress, Section->VirtualSize, Nt->OptionalHeader.SizeOfImage)) return NULL;
  }
  return Nt;
}

PIMAGE_NT_HEADERS PeHeadersOfImage(PUCHAR Memory, ULONG64 Size)
{
  PIMAGE_NT_HEADERS Nt = Headers(Memory, Size);
  return Nt && Nt->OptionalHeader.SizeOfImage <= Size ? Nt : NULL;
}

static BOOLEAN Relocate(PPE_VIEW View, PIMAGE_NT_HEADERS Nt)
{
  ULONG64 Delta = View->Base - Nt->OptionalHeader.ImageBase;
  IMAGE_DATA_DIRECTORY Directory = Nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_BASERELOC];
  if (Delta == 0) return TRUE;
  if (!RangeIn(Directory.VirtualAddress, Directory.Size, View->Size)) return FALSE;
  ULONG At = Directory.VirtualAddress, End = At + Directory.Size;
  while (End - At >= sizeof(IMAGE_BASE_RELOCATION)) {
    PIMAGE_BASE_RELOCATION Block = (PIMAGE_BASE_RELOCATION)(View->Memory + At);
    if (Block->SizeOfBlock < sizeof(*Block) || Block->SizeOfBlock > End - At) return FALSE;
    PUSHORT Entry = (PUSHORT)(Block + 1);
    for (ULONG N = (Block->SizeOfBlock - sizeof(*Block)) / sizeof(USHORT); N; N--, Entry++) {
      ULONG Type = *Entry >> 12;
      ULONG64 Rva = (ULONG64)Block->VirtualAddress + (*Entry & 0xFFF);
      if (Type == IMAGE_REL_BASED_ABSOLUTE) continue;
      if (Type != IMAGE_REL_BASED_DIR64 || !RangeIn(Rva, sizeof(ULONG64), View->Size)) return FALSE;
      *(PULONG64)(View->Memory + Rva) += Delta;
    }
    At += Block->SizeOfBlock;
  }
  Nt->OptionalHeader.ImageBase = View->Base;
  return TRUE;
}

BOOLEAN PePlaceImage(PUCHAR File, ULONG64 FileSize, PPE_VIEW View)
{
  PIMAGE_NT_HEADERS Nt = PeHeadersOfFile(File, FileSize);
  if (!Nt || Nt->OptionalHeader.SizeOfImage > View->Size) return FALSE;
  if (Nt->OptionalHeader.SizeOfHeaders > View->Size) return FALSE;
  ZeroBytes(View->Memory, View->Size);
  CopyBytes(View->Memory, File, Nt->OptionalHeader.SizeOfHeaders);
  PIMAGE_SECTION_HEADER Section = PeSections(Nt);
  for (ULONG I = 0; I < Nt->FileHeader.NumberOfSections; I++, Section++) {
    ULONG Length = min(Section->SizeOfRawData, Section->VirtualSize);
    CopyBytes(View->Memory + Section->VirtualAddress, File + Section->PointerToRawData, Length);
  }
  return Relocate(View, PeHeadersOfImage(View->Memory, View->Size));
}

/* A NUL-terminated string inside the image, or null. */
static PCSTR StringAt(PPE_VIEW View, ULONG Rva)
{
  for (ULONG64 At = Rva; At < View->Size; At++)
    if (View->Memory[At] == 0) return (PCSTR)(View->Memory + Rva);
  return NULL;
}

static PIMAGE_EXPORT_DIRECTORY Exports(PPE_VIEW View)
{
  PIMAGE_NT_HEADERS Nt = PeHeadersOfImage(View->Memory, View->Size);
  if (!Nt) return NULL;
  IMAGE_DATA_DIRECTORY Directory = Nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT];
  if (Directory.Size < sizeof(IMAGE_EXPORT_DIRECTORY)) return NULL;
  if (!RangeIn(Directory.VirtualAddress, Directory.Size, View->Size)) return NULL;
  PIMAGE_EXPORT_DIRECTORY Export = (PIMAGE_EXPORT_DIRECTORY)(View->Memory + Directory.VirtualAddress);
  if (!RangeIn(Export->AddressOfFunctions, (ULONG64)Export->NumberOfFunctions * 4, View->Size)) return NULL;
  if (!RangeIn(Export->AddressOfNames, (ULONG64)Export->NumberOfNames * 4, View->Size)) return NULL;
  if (!RangeIn(Export->AddressOfNameOrdinals, (ULONG64)Export->NumberOfNames * 2, View->Size)) return NULL;
  return Export;
}

PCSTR PeExportName(PPE_VIEW View)
{
  PIMAGE_EXPORT_DIRECTORY Export = Exports(View);
  return Export ? StringAt(View, Export->Name) : NULL;
}

ULONG64 PeFindExport(PPE_VIEW View, PCSTR Name)
{
  PIMAGE_EXPORT_DIRECTORY Export = Exports(View);
  if (!Export) return 0;
  PULONG Names = (PULONG)(View->Memory + Export->AddressOfNames);
  PUSHORT Ordinals = (PUSHORT)(View->Memory + Export->AddressOfNameOrdinals);
  PULONG Functions = (PULONG)(View->Memory + Export->AddressOfFunctions);
  ULONG Low = 0, High = Export->NumberOfNames;
  while (Low < High) { /* names are sorted */
    ULONG Middle = (Low + High) / 2;
    PCSTR A = Name, B = StringAt(View, Names[Middle]);
    if (!B) return 0;
    while (*A && *A == *B) {
      A++;
      B++;
    }
    if (*A == *B) {
      if (Ordinals[Middle] >= Export->NumberOfFunctions) return 0;
      ULONG Rva = Functions[Ordinals[Middle]];
      return Rva && Rva < View->Size ? View->Base + Rva : 0;
    }
    if ((UCHAR)*A < (UCHAR)*B)
      High = Middle;
    else
      Low = Middle + 1;
  }
  return 0;
}

BOOLEAN PeResolveImports(PPE_VIEW View, PE_FIND_IMAGE *Find, PE_REPORT *Report, PVOID Context)
{
  PIMAGE_NT_HEADERS Nt = PeHeadersOfImage(View->Memory, View->Size);
  if (!Nt) return FALSE;
  IMAGE_DATA_DIRECTORY Directory = Nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
  if (Directory.Size == 0) return TRUE;
  BOOLEAN Complete = TRUE;
  for (ULONG64 At = Directory.VirtualAddress;; At += sizeof(IMAGE_IMPORT_DESCRIPTOR)) {
    if (!RangeIn(At, sizeof(IMAGE_IMPORT_DESCRIPTOR), View->Size)) return FALSE;
    PIMAGE_IMPORT_DESCRIPTOR Import = (PIMAGE_IMPORT_DESCRIPTOR)(View->Memory + At);
    if (Import->Name == 0) return Complete;
    PCSTR Dll = StringAt(View, Import->Name);
    PE_VIEW From;
    if (!Dll) return FALSE;
    if (!Find(Context, Dll, &From)) {
      Report(Context, Dll, "(the image)");
      return FALSE;
    }
    ULONG64 Lookup = Import->OriginalFirstThunk ? Import->OriginalFirstThunk : Import->FirstThunk;
    for (ULONG64 Slot = Import->FirstThunk;; Slot += 8, Lookup += 8) {
      if (!RangeIn(Slot, 8, View->Size) || !RangeIn(Lookup, 8, View->Size)) return FALSE;
      ULONG64 Hint = *(PULONG64)(View->Memory + Lookup);
      if (Hint == 0) break;
      if (Hint >> 31) return FALSE; /* by ordinal: nothing of ours is */
      PCSTR Name = StringAt(View, (ULONG)Hint + 2);
      if (!Name) return FALSE;
      ULONG64 Address = PeFindExport(&From, Name);
      if (!Address) {
        Report(Context, Dll, Name);
        Complete = FALSE;
      }
      *(PULONG64)(View->Memory + Slot) = Address;
    }
  }
}

ULONG PePageCharacteristics(PPE_VIEW View, ULONG Rva)
{
  PIMAGE_NT_HEADERS Nt = PeHeadersOfImage(View->Memory, View->Size);
  if (!Nt) return 0;
  PIMAGE_SECTION_HEADER Section = PeSections(Nt);
  for (ULONG I = 0; I < Nt->FileHeader.NumberOfSections; I++, Section++)
    if (Rva >= Section->VirtualAddress && Rva - Section->VirtualAddress < ROUND_UP(Section->VirtualSize, 0x1000u))
      return Section->Characteristics;
  return IMAGE_SCN_MEM_READ;
}
