/*
 * driver.c: vmkondem.sys: comes and goes on demand, so that load and unload notices happen; a breakpoint set on
 * VmkOnDemandHello before it is loaded is a deferred one.
 */
#include "ddk.h"

ULONG VmkOnDemandMix(ULONG Value); /* mixing.cpp */

__declspec(dllexport) ULONG VmkOnDemandLoads;
__declspec(dllexport) ULONG VmkOnDemandMixed;

__declspec(dllexport) DECLSPEC_NOINLINE ULONG VmkOnDemandHello(ULONG Value)
{
  VmkOnDemandLoads++;
  return Value * 3 + VmkOnDemandLoads;
}

static VOID OnDemandUnload(PDRIVER_OBJECT DriverObject)
{
  IoDeleteDevice(DriverObject->DeviceObject);
  DbgPrint("vmkondem: good-bye\n");
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
  UNICODE_STRING Name;
  PDEVICE_OBJECT Device;
  UNREFERENCED_PARAMETER(RegistryPath);
  RtlInitUnicodeString(&Name, L"\\Device\\VmkOnDemand");
  NTSTATUS Status = IoCreateDevice(DriverObject, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
  if (!NT_SUCCESS(Status)) return Status;
  DriverObject->DriverUnload = OnDemandUnload;
  VmkOnDemandMixed = VmkOnDemandMix(14);
  DbgPrint("vmkondem: hello %lu\n", VmkOnDemandHello(14));
  return STATUS_SUCCESS;
}
