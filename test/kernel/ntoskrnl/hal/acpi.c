/*
 * acpi.c: which processors there are and where the interrupt controllers sit, from the firmware's MADT.
 * Firmware tables are input like any other: lengths are checked, memory is read through bounded mappings.
 */
#include "ki.h"
#include "hal.h"

ULONG HalpProcessorCount;
ULONG HalpApicIds[MAXIMUM_PROCESSORS];
ULONG64 HalpLocalApicPhysical = 0xFEE00000, HalpIoApicPhysical;

typedef struct __attribute__((packed)) _RSDP {
  CHAR Signature[8];
  UCHAR Checksum;
  CHAR OemId[6];
  UCHAR Revision;
  ULONG RsdtAddress;
} RSDP;

typedef struct __attribute__((packed)) _DESCRIPTION_HEADER {
  CHAR Signature[4];
  ULONG Length;
  UCHAR Rest[28];
} DESCRIPTION_HEADER;

#define MADT_LOCAL_APIC 0
#define MADT_IO_APIC 1
#define TABLE_LIMIT 0x10000u

static BOOLEAN Same(const VOID *A, const CHAR *B, ULONG Length) { return RtlCompareMemory(A, B, Length) == Length; }

static DESCRIPTION_HEADER *MapTable(ULONG64 Physical)
{
  PHYSICAL_ADDRESS Address = {.QuadPart = (LONG64)Physical};
  DESCRIPTION_HEADER *Header = MmMapIoSpace(Address, sizeof(*Header), MmCached);
  if (!Header) return NULL;
  ULONG Length = Header->Length;
  MmUnmapIoSpace(Header, sizeof(*Header));
  if (Length < sizeof(*Header) || Length > TABLE_LIMIT) return NULL;
  return MmMapIoSpace(Address, Length, MmCached);
}

static VOID ReadMadt(DESCRIPTION_HEADER *Madt)
{
  PUCHAR At = (PUCHAR)Madt + 44, End = (PUCHAR)Madt + Madt->Length;
  if (Madt->Length < 44) return;
  HalpLocalApicPhysical = *(PULONG)((PUCHAR)Madt + 36);
  for (; End - At >= 2 && At[1] >= 2 && At[1] <= End - At; At += At[1]) {
    if (At[0] == MADT_LOCAL_APIC && At[1] >= 8 && (*(PULONG)(At + 4) & 1)) {
      if (HalpProcessorCount < MAXIMUM_PROCESSORS) HalpApicIds[HalpProcessorCount++] = At[3];
    } else if (At[0] == MADT_IO_APIC && At[1] >= 12 && !HalpIoApicPhysical) {
      HalpIoApicPhysical = *(PULONG)(At + 4);
    }
  }
}

VOID HalpReadAcpi(VOID)
{
  PUCHAR Bios = MmMapIoSpace((PHYSICAL_ADDRESS){.QuadPart = 0xE0000}, 0x20000, MmCached);
  RSDP *Rsdp = NULL;
  for (ULONG Offset = 0; Bios && Offset <= 0x20000 - sizeof(RSDP) && !Rsdp; Offset += 16)
    if (Same(Bios + Offset, "RSD PTR ", 8)) Rsdp = (RSDP *)(Bios + Offset);
  DESCRIPTION_HEADER *Rsdt = Rsdp ? MapTable(Rsdp->RsdtAddress) : NULL;
  if (Bios) MmUnmapIoSpace(Bios, 0x20000);
  for (ULONG I = 0; Rsdt && I < (Rsdt->Length - sizeof(*Rsdt)) / 4; I++) {
    DESCRIPTION_HEADER *Table = MapTable(((PULONG)(Rsdt + 1))[I]);
    if (!Table) continue;
    if (Same(Table->Signature, "APIC", 4)) ReadMadt(Table);
    MmUnmapIoSpace(Table, Table->Length);
  }
  if (Rsdt) MmUnmapIoSpace(Rsdt, Rsdt->Length);
  if (HalpProcessorCount == 0) HalpProcessorCount = 1; /* no table: the boot processor is real all the same */
}
