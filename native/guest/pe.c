/*
 * pe.c: see pe.h.
 *
 * Invariants: no byte outside [Base, Base + Size), and none that Present denies, is read; At() is the one place that
 * checks. Walks are bounded by counts that have been checked against the image's size.
 */
#include "pe.h"

#define MOST_NAMES 65536u
#define LONGEST_NAME 64u

#define PE32_MAGIC 0x10Bu
#define PE32_PLUS_MAGIC 0x20Bu

/* The bytes at an RVA; NULL if they are not all there. */
static const UCHAR *At(const PE_IMAGE *Image, ULONG Rva, ULONG Length)
{
  if (Rva > Image->Size || Length > Image->Size - Rva) return 0;
  if (!Image->Present(Image->Base + Rva, Length)) return 0;
  return Image->Base + Rva;
}

static BOOLEAN Get16(const PE_IMAGE *Image, ULONG Rva, USHORT *Value)
{
  const UCHAR *Bytes = At(Image, Rva, 2);

  if (!Bytes) return FALSE;
  *Value = (USHORT)(Bytes[0] | Bytes[1] << 8);
  return TRUE;
}

static BOOLEAN Get32(const PE_IMAGE *Image, ULONG Rva, ULONG *Value)
{
  const UCHAR *Bytes = At(Image, Rva, 4);

  if (!Bytes) return FALSE;
  *Value = Bytes[0] | (ULONG)Bytes[1] << 8 | (ULONG)Bytes[2] << 16 | (ULONG)Bytes[3] << 24;
  return TRUE;
}

static UCHAR Lower(UCHAR C)
{
  return C >= 'A' && C <= 'Z' ? (UCHAR)(C + 32) : C;
}

/* Compares the NUL-terminated text at an RVA. */
static BOOLEAN IsText(const PE_IMAGE *Image, ULONG Rva, PCSTR Text, BOOLEAN IgnoreCase)
{
  for (ULONG I = 0; I < LONGEST_NAME; I++) {
    const UCHAR *C = At(Image, Rva + I, 1);

    if (!C || Rva + I < Rva) return FALSE;
    if (IgnoreCase ? Lower(*C) != Lower((UCHAR)Text[I]) : *C != (UCHAR)Text[I]) return FALSE;
    if (!*C) return TRUE;
  }
  return FALSE;
}

BOOLEAN PeOpen(PE_IMAGE *Image, const VOID *Base, ULONG Size, BOOLEAN (*Present)(const VOID *Address, ULONG Length))
{
  ULONG Nt, Signature, Optional, Fixed = sizeof(PVOID) == 8 ? 112 : 96;
  USHORT Dos, Magic, OptionalSize;

  *Image = (PE_IMAGE){.Base = Base, .Size = Size, .Present = Present};
  if (!Get16(Image, 0, &Dos) || Dos != 0x5A4D || !Get32(Image, 0x3C, &Nt) || Nt > Size - 4) return FALSE;
  if (!Get32(Image, Nt, &Signature) || Signature != 0x4550 || !At(Image, Nt, 24)) return FALSE;
  Optional = Nt + 24;
  if (!Get16(Image, Nt + 4, &Image->Machine) || !Get16(Image, Nt + 6, &Image->SectionCount)) return FALSE;
  if (!Get16(Image, Nt + 20, &OptionalSize) || OptionalSize < Fixed || !At(Image, Optional, OptionalSize)) return FALSE;
  if (!Get16(Image, Optional, &Magic) || Magic != (sizeof(PVOID) == 8 ? PE32_PLUS_MAGIC : PE32_MAGIC)) return FALSE;
  if (!Get32(Image, Optional + Fixed - 4, &Image->DirectoryCount)) return FALSE;
  if (Image->DirectoryCount > (OptionalSize - Fixed) / 8) return FALSE;
  Image->Directories = Optional + Fixed;
  Image->Sections = Optional + OptionalSize;
  return At(Image, Image->Sections, Image->SectionCount * 40u) != 0;
}

BOOLEAN PeDirectory(const PE_IMAGE *Image, ULONG Index, PE_RANGE *Range)
{
  if (Index >= Image->DirectoryCount) return FALSE;
  if (!Get32(Image, Image->Directories + Index * 8, &Range->Rva)) return FALSE;
  if (!Get32(Image, Image->Directories + Index * 8 + 4, &Range->Length)) return FALSE;
  return Range->Rva && Range->Length && Range->Rva < Image->Size && Range->Length <= Image->Size - Range->Rva;
}

BOOLEAN PeSection(const PE_IMAGE *Image, ULONG Index, PE_RANGE *Range, ULONG *Characteristics)
{
  ULONG Section = Image->Sections + Index * 40;

  if (Index >= Image->SectionCount) return FALSE;
  if (!Get32(Image, Section + 8, &Range->Length) || !Get32(Image, Section + 12, &Range->Rva)) return FALSE;
  if (!Get32(Image, Section + 36, Characteristics)) return FALSE;
  if (Range->Rva > Image->Size) Range->Rva = Image->Size;
  if (Range->Length > Image->Size - Range->Rva) Range->Length = Image->Size - Range->Rva;
  return TRUE;
}

BOOLEAN PeIsNamed(const PE_IMAGE *Image, PCSTR Name)
{
  PE_RANGE Exports;
  ULONG Rva;

  return PeDirectory(Image, PE_DIRECTORY_EXPORT, &Exports) && Get32(Image, Exports.Rva + 12, &Rva) &&
         IsText(Image, Rva, Name, TRUE);
}

ULONG PeExport(const PE_IMAGE *Image, PCSTR Name)
{
  ULONG FunctionCount, NameCount, Functions, Names, Ordinals;
  PE_RANGE Exports;

  if (!PeDirectory(Image, PE_DIRECTORY_EXPORT, &Exports) || !At(Image, Exports.Rva, 40)) return 0;
  if (!Get32(Image, Exports.Rva + 20, &FunctionCount) || !Get32(Image, Exports.Rva + 24, &NameCount)) return 0;
  if (!Get32(Image, Exports.Rva + 28, &Functions) || !Get32(Image, Exports.Rva + 32, &Names)) return 0;
  if (!Get32(Image, Exports.Rva + 36, &Ordinals)) return 0;
  if (FunctionCount > MOST_NAMES || NameCount > MOST_NAMES) return 0;
  if (!At(Image, Functions, FunctionCount * 4) || !At(Image, Names, NameCount * 4)) return 0;
  if (!At(Image, Ordinals, NameCount * 2)) return 0;
  for (ULONG I = 0; I < NameCount; I++) {
    ULONG NameRva, Rva;
    USHORT Ordinal;

    if (!Get32(Image, Names + I * 4, &NameRva) || !IsText(Image, NameRva, Name, FALSE)) continue;
    if (!Get16(Image, Ordinals + I * 2, &Ordinal) || Ordinal >= FunctionCount) return 0;
    if (!Get32(Image, Functions + Ordinal * 4u, &Rva) || Rva >= Image->Size) return 0;
    return Rva >= Exports.Rva && Rva - Exports.Rva < Exports.Length ? 0 : Rva;
  }
  return 0;
}
