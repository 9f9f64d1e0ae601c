/*
 * driver.c: the I/O manager: drivers, devices, and requests that are answered at once.
 */
#include "io.h"
#include "ki.h"

#define MAXIMUM_DRIVERS 16
static PDRIVER_OBJECT IopDrivers[MAXIMUM_DRIVERS];

static NTSTATUS IopInvalidDeviceRequest(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
  UNREFERENCED_PARAMETER(DeviceObject);
  Irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
  Irp->Completed = TRUE;
  return STATUS_INVALID_DEVICE_REQUEST;
}

VOID IofCompleteRequest(PIRP Irp, CCHAR PriorityBoost)
{
  UNREFERENCED_PARAMETER(PriorityBoost);
  Irp->Completed = TRUE;
}

NTSTATUS IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
  Irp->Stack.DeviceObject = DeviceObject;
  return DeviceObject->DriverObject->MajorFunction[Irp->Stack.MajorFunction](DeviceObject, Irp);
}

NTSTATUS IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize, PUNICODE_STRING DeviceName,
                        ULONG DeviceType, ULONG DeviceCharacteristics, BOOLEAN Exclusive, PDEVICE_OBJECT *Result)
{
  UNREFERENCED_PARAMETER(Exclusive);
  ULONG NameBytes = DeviceName ? DeviceName->Length : 0;
  if (DeviceExtensionSize > 0x10000) return STATUS_INVALID_PARAMETER;
  SIZE_T Size = sizeof(DEVICE_OBJECT) + ROUND_UP(DeviceExtensionSize, 16u) + NameBytes + sizeof(WCHAR);
  PDEVICE_OBJECT Device = ExAllocatePoolWithTag(NonPagedPoolNx, Size, 'iveD');
  if (!Device) return STATUS_INSUFFICIENT_RESOURCES;
  RtlZeroMemory(Device, Size);
  Device->Type = IO_TYPE_DEVICE;
  Device->Size = (USHORT)(sizeof(DEVICE_OBJECT) + DeviceExtensionSize);
  Device->DriverObject = DriverObject;
  Device->DeviceType = DeviceType;
  Device->Characteristics = DeviceCharacteristics;
  Device->StackSize = 1;
  Device->DeviceExtension = DeviceExtensionSize ? Device + 1 : NULL;
  PWSTR Name = (PWSTR)((PUCHAR)(Device + 1) + ROUND_UP(DeviceExtensionSize, 16u));
  if (NameBytes) RtlCopyMemory(Name, DeviceName->Buffer, NameBytes);
  Device->DeviceName = (UNICODE_STRING){(USHORT)NameBytes, (USHORT)(NameBytes + 2), Name};
  Device->NextDevice = DriverObject->DeviceObject;
  DriverObject->DeviceObject = Device;
  *Result = Device;
  return STATUS_SUCCESS;
}

VOID IoDeleteDevice(PDEVICE_OBJECT DeviceObject)
{
  PDEVICE_OBJECT *Link = &DeviceObject->DriverObject->DeviceObject;
  while (*Link && *Link != DeviceObject) Link = &(*Link)->NextDevice;
  if (*Link) *Link = DeviceObject->NextDevice;
  ExFreePoolWithTag(DeviceObject, 'iveD');
}

/* There is no object namespace to link in; devices are found by their own name. */
NTSTATUS IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName, PUNICODE_STRING DeviceName)
{
  UNREFERENCED_PARAMETER(SymbolicLinkName);
  UNREFERENCED_PARAMETER(DeviceName);
  return STATUS_SUCCESS;
}

NTSTATUS IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName)
{
  UNREFERENCED_PARAMETER(SymbolicLinkName);
  return STATUS_SUCCESS;
}

PDEVICE_OBJECT IopFindDevice(PUNICODE_STRING Name)
{
  for (ULONG I = 0; I < MAXIMUM_DRIVERS; I++)
    for (PDEVICE_OBJECT Device = IopDrivers[I] ? IopDrivers[I]->DeviceObject : NULL; Device; Device = Device->NextDevice)
      if (RtlEqualUnicodeString(&Device->DeviceName, Name, TRUE)) return Device;
  return NULL;
}

/* A buffered device-control request to a device; the same buffer carries input and output. */
NTSTATUS IopDeviceControl(PDEVICE_OBJECT Device, ULONG Code, PVOID Buffer, ULONG InputLength, ULONG OutputLength,
                          PULONG_PTR Information)
{
  IRP Irp = {.Type = IO_TYPE_IRP, .Size = sizeof(IRP), .StackCount = 1, .CurrentLocation = 1};
  Irp.AssociatedIrp.SystemBuffer = Buffer;
  Irp.Stack.MajorFunction = IRP_MJ_DEVICE_CONTROL;
  Irp.Stack.Parameters.DeviceIoControl.IoControlCode = Code;
  Irp.Stack.Parameters.DeviceIoControl.InputBufferLength = InputLength;
  Irp.Stack.Parameters.DeviceIoControl.OutputBufferLength = OutputLength;
  NTSTATUS Status = IofCallDriver(Device, &Irp);
  *Information = Irp.IoStatus.Information;
  return Irp.Completed ? Irp.IoStatus.Status : Status;
}

static NTSTATUS StartDriver(PKLDR_DATA_TABLE_ENTRY Entry)
{
  ULONG Slot = 0;
  while (Slot < MAXIMUM_DRIVERS && IopDrivers[Slot]) Slot++;
  if (Slot == MAXIMUM_DRIVERS) return STATUS_INSUFFICIENT_RESOURCES;
  static const WCHAR Prefix[] = L"\\Driver\\";
  ULONG StemBytes = Entry->BaseDllName.Length;
  for (ULONG I = 0; I < Entry->BaseDllName.Length / 2u; I++)
    if (Entry->BaseDllName.Buffer[I] == '.') StemBytes = I * 2;
  SIZE_T Size = sizeof(DRIVER_OBJECT) + sizeof(Prefix) + StemBytes;
  PDRIVER_OBJECT Driver = ExAllocatePoolWithTag(NonPagedPoolNx, Size, 'virD');
  if (!Driver) return STATUS_INSUFFICIENT_RESOURCES;
  RtlZeroMemory(Driver, Size);
  Driver->Type = IO_TYPE_DRIVER;
  Driver->Size = sizeof(DRIVER_OBJECT);
  Driver->DriverStart = Entry->DllBase;
  Driver->DriverSize = Entry->SizeOfImage;
  Driver->DriverSection = Entry;
  Driver->DriverInit = (DRIVER_INITIALIZE *)Entry->EntryPoint;
  PWSTR Name = (PWSTR)(Driver + 1);
  RtlCopyMemory(Name, Prefix, sizeof(Prefix) - 2);
  RtlCopyMemory((PUCHAR)Name + sizeof(Prefix) - 2, Entry->BaseDllName.Buffer, StemBytes);
  Driver->DriverName = (UNICODE_STRING){(USHORT)(sizeof(Prefix) - 2 + StemBytes), (USHORT)(sizeof(Prefix) + StemBytes), Name};
  for (ULONG I = 0; I <= IRP_MJ_MAXIMUM_FUNCTION; I++) Driver->MajorFunction[I] = IopInvalidDeviceRequest;
  UNICODE_STRING RegistryPath;
  RtlInitUnicodeString(&RegistryPath, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\vmk");
  NTSTATUS Status = Driver->DriverInit(Driver, &RegistryPath);
  if (!NT_SUCCESS(Status)) {
    while (Driver->DeviceObject) IoDeleteDevice(Driver->DeviceObject);
    ExFreePoolWithTag(Driver, 'virD');
    return Status;
  }
  IopDrivers[Slot] = Driver;
  return STATUS_SUCCESS;
}

NTSTATUS IopLoadDriver(PCSTR BaseName)
{
  WCHAR Path[96] = L"\\SystemRoot\\system32\\DRIVERS\\";
  ULONG At = 29;
  for (PCSTR C = BaseName; *C; C++) {
    if (At >= RTL_NUMBER_OF(Path) - 1 || *C == '\\' || *C == '/') return STATUS_INVALID_PARAMETER;
    Path[At++] = (UCHAR)*C;
  }
  UNICODE_STRING Name = {(USHORT)(At * 2), sizeof(Path), Path};
  PKLDR_DATA_TABLE_ENTRY Entry;
  NTSTATUS Status = MmLoadSystemImage(&Name, &Entry);
  if (!NT_SUCCESS(Status)) return Status;
  Status = StartDriver(Entry);
  if (!NT_SUCCESS(Status)) MmUnloadSystemImage(Entry);
  return Status;
}

NTSTATUS IopUnloadDriver(PCSTR BaseName)
{
  PKLDR_DATA_TABLE_ENTRY Entry = LdrpFindModule(BaseName);
  if (!Entry) return STATUS_OBJECT_NAME_NOT_FOUND;
  for (ULONG I = 0; I < MAXIMUM_DRIVERS; I++) {
    PDRIVER_OBJECT Driver = IopDrivers[I];
    if (!Driver || Driver->DriverSection != Entry) continue;
    if (!Driver->DriverUnload) return STATUS_INVALID_DEVICE_REQUEST;
    Driver->DriverUnload(Driver);
    IopDrivers[I] = NULL;
    ExFreePoolWithTag(Driver, 'virD');
    return MmUnloadSystemImage(Entry);
  }
  return STATUS_INVALID_DEVICE_REQUEST;
}

/* Whatever the loader mapped that is a driver and not the kernel or kdcom. */
VOID IopInitializeBootDrivers(VOID)
{
  for (PLIST_ENTRY Link = PsLoadedModuleList.Flink; Link != &PsLoadedModuleList; Link = Link->Flink) {
    PKLDR_DATA_TABLE_ENTRY Entry = CONTAINING_RECORD(Link, KLDR_DATA_TABLE_ENTRY, InLoadOrderLinks);
    PUNICODE_STRING Name = &Entry->BaseDllName;
    ULONG Length = Name->Length / 2u, Trimmed;
    if (Length < 4 || Name->Buffer[Length - 4] != '.' || (Name->Buffer[Length - 1] | 32) != 's') continue;
    NTSTATUS Status = StartDriver(Entry);
    MiTrimImage((ULONG64)Entry->DllBase, Entry->SizeOfImage, &Trimmed);
    ConsolePrint("driver %ls at %p: %08lx, %lu pages paged out\n", Name->Buffer, Entry->DllBase, (ULONG)Status, Trimmed);
  }
}
