/*
 * driver.c: vmkdemo.sys: a device with a dispatch table, and threads that keep things moving:
 *
 *   worker          10 times a second: VmkDemoWork, VmkDemoCounter++, VmkDemoWatched++, VmkDemoFloat, VmkDemoFrames
 *   one per CPU     VmkDemoShared together, 50 times a second; once VmkDemoHammer[CPU] is set, so many times without a
 *                   pause, and then no more until it is 0
 */
#include "shapes.h"
#include "vmkdemo.h"

#define MAXIMUM_THREADS 5

static PDEVICE_OBJECT Device;
static KEVENT Stop;
static PVOID Threads[MAXIMUM_THREADS];
static ULONG ThreadCount;
static volatile ULONG PerProcessor[4];
volatile LONG VmkDemoHammer[4];

static BOOLEAN Pause(LONG64 Milliseconds)
{
  LARGE_INTEGER Timeout;
  Timeout.QuadPart = -Milliseconds * 10000;
  return KeWaitForSingleObject(&Stop, Executive, KernelMode, FALSE, &Timeout) == STATUS_TIMEOUT;
}

static VOID WorkerThread(PVOID Context)
{
  ULONG Round = 0;
  UNREFERENCED_PARAMETER(Context);
  do {
    VmkDemoWork(Round);
    VmkDemoCounter++;
    VmkDemoWatched = VmkDemoWatched + 1;
    VmkDemoFloat(100);
    VmkDemoFrames(Round++);
  } while (Pause(100));
  PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID SharedThread(PVOID Context)
{
  ULONG Number = (ULONG)(ULONG_PTR)Context;
  KeSetSystemAffinityThreadEx(1ull << Number);
  do {
    LONG Calls = Number < 4 ? VmkDemoHammer[Number] : 0;
    if (Calls == 0) VmkDemoShared(PerProcessor);
    for (LONG Left = Calls; Left > 0; Left--) VmkDemoShared(PerProcessor);
    if (Calls > 0) VmkDemoHammer[Number] = -1;
  } while (Pause(20));
  PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS StartThread(KSTART_ROUTINE *Routine, PVOID Context)
{
  HANDLE Handle;
  NTSTATUS Status = PsCreateSystemThread(&Handle, 0, NULL, NULL, NULL, Routine, Context);
  if (!NT_SUCCESS(Status)) return Status;
  ObReferenceObjectByHandle(Handle, 0, NULL, KernelMode, &Threads[ThreadCount++], NULL);
  return ZwClose(Handle);
}

static NTSTATUS Complete(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
  Irp->IoStatus.Status = Status;
  Irp->IoStatus.Information = Information;
  IofCompleteRequest(Irp, 0);
  return Status;
}

static NTSTATUS VmkCreateClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
  UNREFERENCED_PARAMETER(DeviceObject);
  return Complete(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS VmkDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
  PVMK_EXTENSION Extension = DeviceObject->DeviceExtension;
  PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
  PVMKDEMO_COUNTERS Counters = Irp->AssociatedIrp.SystemBuffer;
  Extension->Requests++;
  if (Stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_VMKDEMO_COUNTERS)
    return Complete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
  if (Stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(*Counters))
    return Complete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
  Counters->Counter = VmkDemoCounter;
  Counters->WorkCalls = VmkDemoWorkCalls;
  Counters->SharedCounter = VmkDemoSharedCounter;
  for (ULONG I = 0; I < 4; I++) Counters->PerProcessor[I] = PerProcessor[I];
  Counters->PagedCalls = VmkPagedCalls;
  return Complete(Irp, STATUS_SUCCESS, sizeof(*Counters));
}

static VOID VmkUnload(PDRIVER_OBJECT DriverObject)
{
  KeSetEvent(&Stop, 0, FALSE);
  for (ULONG I = 0; I < ThreadCount; I++) {
    KeWaitForSingleObject(Threads[I], Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Threads[I]);
  }
  ThreadCount = 0;
  IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
  UNICODE_STRING Name;
  UNREFERENCED_PARAMETER(RegistryPath);
  RtlInitUnicodeString(&Name, L"\\Device\\VmkDemo");
  NTSTATUS Status =
      IoCreateDevice(DriverObject, sizeof(VMK_EXTENSION), &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
  if (!NT_SUCCESS(Status)) return Status;
  DriverObject->MajorFunction[IRP_MJ_CREATE] = VmkCreateClose;
  DriverObject->MajorFunction[IRP_MJ_CLOSE] = VmkCreateClose;
  DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = VmkDeviceControl;
  DriverObject->DriverUnload = VmkUnload;
  VmkBuildNodes();
  PVMK_EXTENSION Extension = Device->DeviceExtension;
  Extension->DeviceObject = Device;
  InitializeListHead(&Extension->Nodes);
  Extension->Large = VmkDemoLarge;
  KeInitializeEvent(&Stop, NotificationEvent, FALSE);
  StartThread(WorkerThread, NULL);
  for (ULONG I = 0; I < KeNumberProcessors && ThreadCount < MAXIMUM_THREADS; I++)
    StartThread(SharedThread, (PVOID)(ULONG_PTR)I);
  DbgPrint("vmkdemo: %lu threads on %lu processors\n", ThreadCount, KeNumberProcessors);
  return STATUS_SUCCESS;
}
