/*
 * modules.c: the kernel is the module that DbgPrintEx, which we import, lies in, whatever its file is called. kdcom is
 * the one whose export directory says KDCOM.dll; failing that (a kd_XX_YYYY.dll, KDSTUB, another transport in its place),
 * the one that exports both of kdcom's functions and is not the kernel.
 *
 * The list is ZwQuerySystemInformation's, which takes the loader's locks itself. A module's pages are touched only where
 * they are present: parts of images are discarded, paged out, or belong to a session.
 */
#include "modules.h"

#define POOL_TAG 0x646B6D76u /* 'vmkd' */
#define MOST_MODULES 4096u

static BOOLEAN Present(const VOID *Address, ULONG Length)
{
  ULONG_PTR At = (ULONG_PTR)Address & ~(ULONG_PTR)(PAGE_SIZE - 1), End = (ULONG_PTR)Address + Length;

  for (; At < End; At += PAGE_SIZE)
    if (!MmIsAddressValid((PVOID)At)) return FALSE;
  return TRUE;
}

static NTSTATUS ReadList(SYSTEM_MODULES **List)
{
  ULONG Needed = 0, Room;
  NTSTATUS Status = ZwQuerySystemInformation(SYSTEM_MODULE_INFORMATION, 0, 0, &Needed);

  for (ULONG Attempt = 0; Attempt < 8 && Status == STATUS_INFO_LENGTH_MISMATCH; Attempt++) {
    Room = Needed + 8 * sizeof(SYSTEM_MODULE); /* some may be loaded meanwhile */
    if (Room > MOST_MODULES * sizeof(SYSTEM_MODULE)) return STATUS_INSUFFICIENT_RESOURCES;
    *List = ExAllocatePoolWithTag(NON_PAGED_POOL, Room, POOL_TAG);
    if (!*List) return STATUS_INSUFFICIENT_RESOURCES;
    Status = ZwQuerySystemInformation(SYSTEM_MODULE_INFORMATION, *List, Room, &Needed);
    if (NT_SUCCESS(Status)) {
      ULONG Fit = (Room - (ULONG)offsetof(SYSTEM_MODULES, Modules)) / (ULONG)sizeof(SYSTEM_MODULE);

      if ((*List)->Count > Fit) (*List)->Count = Fit;
      return Status;
    }
    ExFreePoolWithTag(*List, POOL_TAG);
  }
  return STATUS_INSUFFICIENT_RESOURCES;
}

static BOOLEAN Open(const SYSTEM_MODULE *Module, PE_IMAGE *Image)
{
  return PeOpen(Image, Module->ImageBase, Module->ImageSize, Present);
}

static BOOLEAN FindKernel(const SYSTEM_MODULES *List, PE_IMAGE *Kernel)
{
  ULONG_PTR Inside = (ULONG_PTR)DbgPrintEx;

  for (ULONG I = 0; I < List->Count; I++) {
    const SYSTEM_MODULE *Module = &List->Modules[I];

    if (Inside - (ULONG_PTR)Module->ImageBase < Module->ImageSize) return Open(Module, Kernel);
  }
  return FALSE;
}

static BOOLEAN HasBoth(const PE_IMAGE *Image)
{
  return PeExport(Image, "KdSendPacket") && PeExport(Image, "KdReceivePacket");
}

static NTSTATUS FindKdcom(const SYSTEM_MODULES *List, const PE_IMAGE *Kernel, PE_IMAGE *Kdcom)
{
  BOOLEAN Named = FALSE;
  PE_IMAGE Image;

  for (ULONG I = 0; I < List->Count; I++)
    if (Open(&List->Modules[I], &Image) && PeIsNamed(&Image, "KDCOM.dll")) {
      *Kdcom = Image;
      if (HasBoth(&Image)) return STATUS_SUCCESS;
      Named = TRUE;
    }
  for (ULONG I = 0; I < List->Count; I++)
    if (Open(&List->Modules[I], &Image) && Image.Base != Kernel->Base && HasBoth(&Image)) {
      *Kdcom = Image;
      return STATUS_SUCCESS;
    }
  return Named ? STATUS_ENTRYPOINT_NOT_FOUND : STATUS_DLL_NOT_FOUND;
}

NTSTATUS ModulesFindTransport(TRANSPORT *Transport)
{
  SYSTEM_MODULES *List;
  NTSTATUS Status = ReadList(&List);

  if (!NT_SUCCESS(Status)) return Status;
  Status = STATUS_DLL_NOT_FOUND;
  if (FindKernel(List, &Transport->Kernel)) Status = FindKdcom(List, &Transport->Kernel, &Transport->Kdcom);
  ExFreePoolWithTag(List, POOL_TAG);
  if (!NT_SUCCESS(Status)) return Status;
  Transport->SendPacket = (KD_SEND_PACKET *)(Transport->Kdcom.Base + PeExport(&Transport->Kdcom, "KdSendPacket"));
  Transport->ReceivePacket =
      (KD_RECEIVE_PACKET *)(Transport->Kdcom.Base + PeExport(&Transport->Kdcom, "KdReceivePacket"));
  return STATUS_SUCCESS;
}
