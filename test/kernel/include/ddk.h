/*
 * ddk.h: what a driver of the demo kernel includes: shapes, and the kernel's exports as imports.
 */
#ifndef VMK_DDK_H
#define VMK_DDK_H

#include "nt.h"
#include "io.h"
#include "intrin.h"

#define DDKIMPORT __declspec(dllimport)

typedef VOID KSTART_ROUTINE(PVOID StartContext);
typedef enum _POOL_TYPE { NonPagedPool = 0, PagedPool = 1, NonPagedPoolNx = 512 } POOL_TYPE;

DDKIMPORT extern volatile KSYSTEM_TIME KeTickCount;
DDKIMPORT extern volatile ULONG KeNumberProcessors;
DDKIMPORT ULONG DbgPrint(PCSTR Format, ...) __attribute__((format(printf, 1, 2)));
DDKIMPORT PVOID ExAllocatePoolWithTag(POOL_TYPE PoolType, SIZE_T Bytes, ULONG Tag);
DDKIMPORT VOID ExFreePoolWithTag(PVOID P, ULONG Tag);
DDKIMPORT NTSTATUS IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize, PUNICODE_STRING DeviceName,
                                  ULONG DeviceType, ULONG DeviceCharacteristics, BOOLEAN Exclusive,
                                  PDEVICE_OBJECT *DeviceObject);
DDKIMPORT VOID IoDeleteDevice(PDEVICE_OBJECT DeviceObject);
DDKIMPORT VOID IofCompleteRequest(PIRP Irp, CCHAR PriorityBoost);
DDKIMPORT VOID KeInitializeEvent(PKEVENT Event, EVENT_TYPE Type, BOOLEAN State);
DDKIMPORT LONG KeSetEvent(PKEVENT Event, KPRIORITY Increment, BOOLEAN Wait);
DDKIMPORT NTSTATUS KeWaitForSingleObject(PVOID Object, ULONG WaitReason, KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
                                         PLARGE_INTEGER Timeout);
DDKIMPORT NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable, PLARGE_INTEGER Interval);
DDKIMPORT KAFFINITY KeSetSystemAffinityThreadEx(KAFFINITY Affinity);
DDKIMPORT ULONG KeGetCurrentProcessorNumber(VOID);
DDKIMPORT LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER Frequency);
DDKIMPORT NTSTATUS PsCreateSystemThread(PHANDLE ThreadHandle, ULONG DesiredAccess, PVOID ObjectAttributes,
                                        HANDLE ProcessHandle, CLIENT_ID *ClientId, KSTART_ROUTINE *StartRoutine,
                                        PVOID StartContext);
DDKIMPORT NTSTATUS PsTerminateSystemThread(NTSTATUS ExitStatus);
DDKIMPORT NTSTATUS ObReferenceObjectByHandle(HANDLE Handle, ULONG DesiredAccess, PVOID ObjectType,
                                             KPROCESSOR_MODE AccessMode, PVOID *Object, PVOID HandleInformation);
DDKIMPORT VOID ObDereferenceObject(PVOID Object);
DDKIMPORT NTSTATUS ZwClose(HANDLE Handle);
DDKIMPORT VOID RtlInitUnicodeString(PUNICODE_STRING Destination, PCWSTR Source);
DDKIMPORT VOID RtlZeroMemory(PVOID Destination, SIZE_T Length);
DDKIMPORT VOID RtlCopyMemory(PVOID Destination, const VOID *Source, SIZE_T Length);
DDKIMPORT SIZE_T RtlCompareMemory(const VOID *A, const VOID *B, SIZE_T Length);

#endif
