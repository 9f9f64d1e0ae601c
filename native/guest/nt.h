/*
 * nt.h: the part of Windows' kernel that vmkd.sys calls: as few functions as will do, all exported by ntoskrnl.exe of
 * Windows Vista to 11 under these names (imports.def). Layouts and prototypes as Microsoft documents them; those of
 * ZwQuerySystemInformation(11) and of kdcom as everybody knows them.
 *
 * Whatever runs in KD's calls uses nothing of this file but the kernel's two flags.
 */
#ifndef VMKD_NT_H
#define VMKD_NT_H

#include "types.h"

#if defined(_M_IX86) || defined(__i386__)
#define NTAPI __stdcall
#else
#define NTAPI
#endif
#define NTIMPORT __declspec(dllimport)

#define NT_SUCCESS(status) ((NTSTATUS)(status) >= 0)
#define STATUS_SUCCESS ((NTSTATUS)0x00000000)
#define STATUS_INFO_LENGTH_MISMATCH ((NTSTATUS)0xC0000004)
#define STATUS_ACCESS_DENIED ((NTSTATUS)0xC0000022)
#define STATUS_INSUFFICIENT_RESOURCES ((NTSTATUS)0xC000009A)
#define STATUS_NOT_SUPPORTED ((NTSTATUS)0xC00000BB)
#define STATUS_DLL_NOT_FOUND ((NTSTATUS)0xC0000135)
#define STATUS_ENTRYPOINT_NOT_FOUND ((NTSTATUS)0xC0000139)
#define STATUS_NOT_FOUND ((NTSTATUS)0xC0000225)
#define STATUS_DEBUGGER_INACTIVE ((NTSTATUS)0xC0000354)

#define PAGE_SIZE 0x1000u

typedef union _LARGE_INTEGER {
  struct {
    ULONG LowPart;
    LONG HighPart;
  } u;
  LONG64 QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER, PHYSICAL_ADDRESS;

typedef struct _UNICODE_STRING {
  USHORT Length;
  USHORT MaximumLength;
  WCHAR *Buffer;
} UNICODE_STRING, *PUNICODE_STRING;

typedef struct _DRIVER_OBJECT {
  USHORT Type, Size;
  PVOID DeviceObject;
  ULONG Flags;
  PVOID DriverStart;
  ULONG DriverSize;
  PVOID DriverSection, DriverExtension;
  UNICODE_STRING DriverName;
  PUNICODE_STRING HardwareDatabase;
  PVOID FastIoDispatch, DriverInit, DriverStartIo;
  VOID(NTAPI *DriverUnload)(struct _DRIVER_OBJECT *DriverObject);
} DRIVER_OBJECT, *PDRIVER_OBJECT;
C_ASSERT(offsetof(DRIVER_OBJECT, DriverUnload) == (sizeof(PVOID) == 8 ? 0x68 : 0x34));

#define SYSTEM_MODULE_INFORMATION 11u
#define SYSTEM_CODE_INTEGRITY_INFORMATION 103u

typedef struct _SYSTEM_CODE_INTEGRITY {
  ULONG Length;
  ULONG Options;
} SYSTEM_CODE_INTEGRITY;
#define CODE_INTEGRITY_HVCI 0x400u

typedef struct _SYSTEM_MODULE {
  PVOID Section, MappedBase, ImageBase;
  ULONG ImageSize, Flags;
  USHORT LoadOrder, InitOrder, LoadCount, NameOffset;
  CHAR FullPath[256];
} SYSTEM_MODULE;
C_ASSERT(sizeof(SYSTEM_MODULE) == (sizeof(PVOID) == 8 ? 296 : 284));

typedef struct _SYSTEM_MODULES {
  ULONG Count;
  SYSTEM_MODULE Modules[1];
} SYSTEM_MODULES;

/* What the kernel shares with all programs, at a fixed address. */
typedef struct _SYSTEM_TIME {
  ULONG LowPart;
  LONG High1Time, High2Time;
} SYSTEM_TIME;
typedef struct _SHARED_DATA {
  ULONG TickCountLowDeprecated, TickCountMultiplier;
  volatile SYSTEM_TIME InterruptTime; /* 100 ns since boot */
  volatile SYSTEM_TIME SystemTimeUtc; /* 100 ns since 1601 */
} SHARED_DATA;
#if UINTPTR_MAX > 0xFFFFFFFFu
#define SharedData ((const SHARED_DATA *)0xFFFFF78000000000ull)
#else
#define SharedData ((const SHARED_DATA *)0xFFDF0000u)
#endif

/* ---- the kernel ---- */

#define NON_PAGED_POOL 0
#define NON_PAGED_POOL_NX 512 /* from Windows 8 on */
#define WINDOWS_8_BUILD 9200u
#define MM_CACHED 1
#define DPFLTR_IHVDRIVER_ID 77u
#define DPFLTR_ERROR_LEVEL 0u /* shown unless somebody has turned errors off */

typedef ULONG_PTR(NTAPI IPI_WORKER)(ULONG_PTR Argument);

NTIMPORT extern BOOLEAN KdDebuggerEnabled, KdDebuggerNotPresent;
NTIMPORT extern ULONG NtBuildNumber;
NTIMPORT ULONG DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...);
NTIMPORT PVOID NTAPI ExAllocatePoolWithTag(int PoolType, SIZE_T Bytes, ULONG Tag);
NTIMPORT VOID NTAPI ExFreePoolWithTag(PVOID Pool, ULONG Tag);
NTIMPORT NTSTATUS NTAPI KeDelayExecutionThread(CHAR WaitMode, BOOLEAN Alertable, PLARGE_INTEGER Interval);
NTIMPORT ULONG_PTR NTAPI KeIpiGenericCall(IPI_WORKER *Worker, ULONG_PTR Argument);
NTIMPORT PHYSICAL_ADDRESS NTAPI MmGetPhysicalAddress(PVOID Address);
NTIMPORT BOOLEAN NTAPI MmIsAddressValid(PVOID Address);
NTIMPORT PVOID NTAPI MmMapIoSpace(PHYSICAL_ADDRESS Address, SIZE_T Bytes, int CacheType);
NTIMPORT VOID NTAPI MmUnmapIoSpace(PVOID Address, SIZE_T Bytes);
NTIMPORT NTSTATUS NTAPI ZwQuerySystemInformation(ULONG Class, PVOID Buffer, ULONG Length, PULONG Needed);

/* ---- kdcom ---- */

typedef ULONG KDSTATUS;
#define KDP_PACKET_RECEIVED 0u
#define KDP_PACKET_TIMEOUT 1u
#define KDP_PACKET_RESEND 2u

#define PACKET_TYPE_KD_STATE_MANIPULATE 2u
#define PACKET_TYPE_KD_ACKNOWLEDGE 4u
#define PACKET_TYPE_KD_POLL_BREAKIN 8u

typedef VOID(NTAPI KD_SEND_PACKET)(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData, PVOID KdContext);
typedef KDSTATUS(NTAPI KD_RECEIVE_PACKET)(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
                                          PULONG DataLength, PVOID KdContext);

#endif
