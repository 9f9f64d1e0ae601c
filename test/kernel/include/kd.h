/*
 * kd.h - the KD protocol as the target sees it: every structure that crosses the wire, the
 * KDDEBUGGER_DATA64 block that debuggers read, and the interface of kdcom.dll.
 *
 * Source of truth: NT's published header names (windbgkd.h, wdbgexts.h) and the offsets observed on
 * real targets.  All integers are little endian.  Every layout below carries static assertions, so a
 * compiler that pads differently fails the build instead of confusing a debugger.
 *
 * Invariants: nothing here depends on the rest of the kernel except the base types of nt.h.
 */
#ifndef _KD_H_
#define _KD_H_

#include "nt.h"

#ifndef STATUS_NO_SUCH_DEVICE
#define STATUS_NO_SUCH_DEVICE ((NTSTATUS)0xC000000E)
#endif

#define KD_AT(type, field, offset)                                                                           \
  _Static_assert(__builtin_offsetof(type, field) == (offset), #type "." #field " is not at " #offset)
#define KD_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " is not " #size " bytes")

/* ---------------------------------------------------------------------------------------------
 * Framing
 *
 *   0        4        6           8          12         16              16+ByteCount
 *   +--------+--------+-----------+----------+----------+---- ... ------+------+
 *   | Leader | Type   | ByteCount | PacketId | Checksum | payload       | 0xAA |
 *   +--------+--------+-----------+----------+----------+---- ... ------+------+
 *   Control packets ("iiii") end after the header; data packets ("0000") end with 0xAA.
 */
typedef struct _KD_PACKET {
  ULONG PacketLeader;
  USHORT PacketType;
  USHORT ByteCount;
  ULONG PacketId;
  ULONG Checksum;
} KD_PACKET, *PKD_PACKET;
KD_AT(KD_PACKET, PacketType, 4);
KD_AT(KD_PACKET, ByteCount, 6);
KD_AT(KD_PACKET, PacketId, 8);
KD_AT(KD_PACKET, Checksum, 12);
KD_SIZE(KD_PACKET, 16);

#define PACKET_LEADER_DATA 0x30303030u
#define PACKET_LEADER_CONTROL 0x69696969u
#define PACKET_LEADER_BYTE_DATA 0x30
#define PACKET_LEADER_BYTE_CONTROL 0x69
#define PACKET_TRAILING_BYTE 0xAA
#define BREAKIN_PACKET_BYTE 0x62

#define PACKET_MAX_SIZE 4000

#define INITIAL_PACKET_ID 0x80800000u
#define SYNC_PACKET_ID 0x00000800u

#define PACKET_TYPE_UNUSED 0
#define PACKET_TYPE_KD_STATE_CHANGE32 1
#define PACKET_TYPE_KD_STATE_MANIPULATE 2
#define PACKET_TYPE_KD_DEBUG_IO 3
#define PACKET_TYPE_KD_ACKNOWLEDGE 4
#define PACKET_TYPE_KD_RESEND 5
#define PACKET_TYPE_KD_RESET 6
#define PACKET_TYPE_KD_STATE_CHANGE64 7
#define PACKET_TYPE_KD_POLL_BREAKIN 8 /* an argument of KdReceivePacket, never on the wire */
#define PACKET_TYPE_KD_TRACE_IO 9
#define PACKET_TYPE_KD_CONTROL_REQUEST 10
#define PACKET_TYPE_KD_FILE_IO 11
#define PACKET_TYPE_MAX 12

/* ---------------------------------------------------------------------------------------------
 * State changes (type 7)
 *
 *   0          4        6           8         16       24               32          192
 *   +----------+-------+-----------+---------+--------+----------------+-----------+---------------+
 *   | NewState | Level | Processor | Number  | Thread | ProgramCounter | union 160 | ControlReport |
 *   +----------+-------+-----------+---------+--------+----------------+-----------+---------------+
 *   240 bytes; a path, a command or trace data may follow.
 */
#define DbgKdMinimumStateChange 0x3030
#define DbgKdExceptionStateChange 0x3030
#define DbgKdLoadSymbolsStateChange 0x3031
#define DbgKdCommandStringStateChange 0x3032
#define DbgKdMaximumStateChange 0x3033

#define DBGKD_MAXSTREAM 16
#define REPORT_INCLUDES_SEGS 1
#define REPORT_STANDARD_CS 2

typedef struct _EXCEPTION_RECORD64 {
  NTSTATUS ExceptionCode;
  ULONG ExceptionFlags;
  ULONG64 ExceptionRecord;
  ULONG64 ExceptionAddress;
  ULONG NumberParameters;
  ULONG UnusedAlignment;
  ULONG64 ExceptionInformation[EXCEPTION_MAXIMUM_PARAMETERS];
} EXCEPTION_RECORD64, *PEXCEPTION_RECORD64;
typedef struct _DBGKM_EXCEPTION64 {
  EXCEPTION_RECORD64 ExceptionRecord;
  ULONG FirstChance;
} DBGKM_EXCEPTION64;
KD_SIZE(EXCEPTION_RECORD64, 152);
KD_AT(EXCEPTION_RECORD64, ExceptionAddress, 16);
KD_AT(EXCEPTION_RECORD64, NumberParameters, 24);
KD_AT(EXCEPTION_RECORD64, ExceptionInformation, 32);
KD_AT(DBGKM_EXCEPTION64, FirstChance, 152);
KD_SIZE(DBGKM_EXCEPTION64, 160);

typedef struct _DBGKD_LOAD_SYMBOLS64 {
  ULONG PathNameLength;
  ULONG64 BaseOfDll;
  ULONG64 ProcessId;
  ULONG CheckSum;
  ULONG SizeOfImage;
  BOOLEAN UnloadSymbols;
} DBGKD_LOAD_SYMBOLS64;
KD_AT(DBGKD_LOAD_SYMBOLS64, BaseOfDll, 8);
KD_AT(DBGKD_LOAD_SYMBOLS64, ProcessId, 16);
KD_AT(DBGKD_LOAD_SYMBOLS64, CheckSum, 24);
KD_AT(DBGKD_LOAD_SYMBOLS64, SizeOfImage, 28);
KD_AT(DBGKD_LOAD_SYMBOLS64, UnloadSymbols, 32);

typedef struct _DBGKD_COMMAND_STRING {
  ULONG Flags;
  ULONG Reserved1;
  ULONG64 Reserved2[7];
} DBGKD_COMMAND_STRING;
KD_AT(DBGKD_COMMAND_STRING, Reserved2, 8);

typedef struct _AMD64_DBGKD_CONTROL_REPORT {
  ULONG64 Dr6;
  ULONG64 Dr7;
  ULONG EFlags;
  USHORT InstructionCount;
  USHORT ReportFlags;
  UCHAR InstructionStream[DBGKD_MAXSTREAM];
  USHORT SegCs;
  USHORT SegDs;
  USHORT SegEs;
  USHORT SegFs;
} AMD64_DBGKD_CONTROL_REPORT, DBGKD_CONTROL_REPORT, *PDBGKD_CONTROL_REPORT;
KD_AT(DBGKD_CONTROL_REPORT, EFlags, 16);
KD_AT(DBGKD_CONTROL_REPORT, InstructionCount, 20);
KD_AT(DBGKD_CONTROL_REPORT, ReportFlags, 22);
KD_AT(DBGKD_CONTROL_REPORT, InstructionStream, 24);
KD_AT(DBGKD_CONTROL_REPORT, SegCs, 40);
KD_AT(DBGKD_CONTROL_REPORT, SegFs, 46);
KD_SIZE(DBGKD_CONTROL_REPORT, 48);

typedef struct _DBGKD_ANY_WAIT_STATE_CHANGE {
  ULONG NewState;
  USHORT ProcessorLevel;
  USHORT Processor;
  ULONG NumberProcessors;
  ULONG64 Thread;
  ULONG64 ProgramCounter;
  union {
    DBGKM_EXCEPTION64 Exception;
    DBGKD_LOAD_SYMBOLS64 LoadSymbols;
    DBGKD_COMMAND_STRING CommandString;
  } u;
  DBGKD_CONTROL_REPORT ControlReport;
} DBGKD_ANY_WAIT_STATE_CHANGE, *PDBGKD_ANY_WAIT_STATE_CHANGE;
KD_AT(DBGKD_ANY_WAIT_STATE_CHANGE, ProcessorLevel, 4);
KD_AT(DBGKD_ANY_WAIT_STATE_CHANGE, Processor, 6);
KD_AT(DBGKD_ANY_WAIT_STATE_CHANGE, NumberProcessors, 8);
KD_AT(DBGKD_ANY_WAIT_STATE_CHANGE, Thread, 16);
KD_AT(DBGKD_ANY_WAIT_STATE_CHANGE, ProgramCounter, 24);
KD_AT(DBGKD_ANY_WAIT_STATE_CHANGE, u, 32);
KD_AT(DBGKD_ANY_WAIT_STATE_CHANGE, ControlReport, 192);
KD_SIZE(DBGKD_ANY_WAIT_STATE_CHANGE, 240);

/* ---------------------------------------------------------------------------------------------
 * Manipulate requests and replies (type 2)
 *
 *   0           4        6           8              16                56
 *   +-----------+-------+-----------+--------------+-----------------+---- ... ----+
 *   | ApiNumber | Level | Processor | ReturnStatus | union, 40 bytes | data        |
 *   +-----------+-------+-----------+--------------+-----------------+---- ... ----+
 */
#define DbgKdMinimumManipulate 0x3130
#define DbgKdReadVirtualMemoryApi 0x3130
#define DbgKdWriteVirtualMemoryApi 0x3131
#define DbgKdGetContextApi 0x3132
#define DbgKdSetContextApi 0x3133
#define DbgKdWriteBreakPointApi 0x3134
#define DbgKdRestoreBreakPointApi 0x3135
#define DbgKdContinueApi 0x3136
#define DbgKdReadControlSpaceApi 0x3137
#define DbgKdWriteControlSpaceApi 0x3138
#define DbgKdReadIoSpaceApi 0x3139
#define DbgKdWriteIoSpaceApi 0x313A
#define DbgKdRebootApi 0x313B
#define DbgKdContinueApi2 0x313C
#define DbgKdReadPhysicalMemoryApi 0x313D
#define DbgKdWritePhysicalMemoryApi 0x313E
#define DbgKdQuerySpecialCallsApi 0x313F
#define DbgKdSetSpecialCallApi 0x3140
#define DbgKdClearSpecialCallsApi 0x3141
#define DbgKdSetInternalBreakPointApi 0x3142
#define DbgKdGetInternalBreakPointApi 0x3143
#define DbgKdReadIoSpaceExtendedApi 0x3144
#define DbgKdWriteIoSpaceExtendedApi 0x3145
#define DbgKdGetVersionApi 0x3146
#define DbgKdWriteBreakPointExApi 0x3147
#define DbgKdRestoreBreakPointExApi 0x3148
#define DbgKdCauseBugCheckApi 0x3149
#define DbgKdSwitchProcessor 0x3150
#define DbgKdPageInApi 0x3151
#define DbgKdReadMachineSpecificRegister 0x3152
#define DbgKdWriteMachineSpecificRegister 0x3153
#define OldVlm1 0x3154
#define OldVlm2 0x3155
#define DbgKdSearchMemoryApi 0x3156
#define DbgKdGetBusDataApi 0x3157
#define DbgKdSetBusDataApi 0x3158
#define DbgKdCheckLowMemoryApi 0x3159
#define DbgKdClearAllInternalBreakpointsApi 0x315A
#define DbgKdFillMemoryApi 0x315B
#define DbgKdQueryMemoryApi 0x315C
#define DbgKdSwitchPartition 0x315D
#define DbgKdWriteCustomBreakpointApi 0x315E
#define DbgKdGetContextExApi 0x315F
#define DbgKdSetContextExApi 0x3160
#define DbgKdMaximumManipulate 0x3161

typedef struct _DBGKD_READ_MEMORY64 {
  ULONG64 TargetBaseAddress;
  ULONG TransferCount;
  ULONG ActualBytesRead; /* physical reads and writes: the cache flags arrive here */
} DBGKD_READ_MEMORY64;
typedef struct _DBGKD_WRITE_MEMORY64 {
  ULONG64 TargetBaseAddress;
  ULONG TransferCount;
  ULONG ActualBytesWritten;
} DBGKD_WRITE_MEMORY64;
#define DBGKD_CACHING_UNKNOWN 0
#define DBGKD_CACHING_CACHED 1
#define DBGKD_CACHING_UNCACHED 2
#define DBGKD_CACHING_WRITE_COMBINED 3

typedef struct _DBGKD_GET_CONTEXT {
  ULONG Unused;
} DBGKD_GET_CONTEXT;
typedef struct _DBGKD_SET_CONTEXT {
  ULONG ContextFlags; /* junk on the wire; the flags inside the CONTEXT decide */
} DBGKD_SET_CONTEXT;
typedef struct _DBGKD_CONTEXT_EX {
  ULONG Offset;
  ULONG ByteCount;
  ULONG BytesCopied; /* SetContextEx: the size of the whole context */
} DBGKD_CONTEXT_EX;
typedef struct _DBGKD_WRITE_BREAKPOINT64 {
  ULONG64 BreakPointAddress;
  ULONG BreakPointHandle;
} DBGKD_WRITE_BREAKPOINT64;
typedef struct _DBGKD_RESTORE_BREAKPOINT {
  ULONG BreakPointHandle;
} DBGKD_RESTORE_BREAKPOINT;
typedef struct _DBGKD_BREAKPOINTEX {
  ULONG BreakPointCount;
  NTSTATUS ContinueStatus;
} DBGKD_BREAKPOINTEX;
typedef struct _DBGKD_WRITE_CUSTOM_BREAKPOINT {
  ULONG64 BreakPointAddress;
  ULONG64 BreakPointInstruction;
  ULONG BreakPointHandle;
  UCHAR BreakPointInstructionSize;
  UCHAR BreakPointInstructionAlignment;
} DBGKD_WRITE_CUSTOM_BREAKPOINT;
typedef struct _DBGKD_CONTINUE {
  NTSTATUS ContinueStatus;
} DBGKD_CONTINUE;

#pragma pack(push, 4)
typedef struct _AMD64_DBGKD_CONTROL_SET {
  ULONG TraceFlag;
  ULONG64 Dr7;
  ULONG64 CurrentSymbolStart;
  ULONG64 CurrentSymbolEnd;
} AMD64_DBGKD_CONTROL_SET, DBGKD_CONTROL_SET;
typedef struct _DBGKD_CONTINUE2 {
  NTSTATUS ContinueStatus;
  AMD64_DBGKD_CONTROL_SET ControlSet;
} DBGKD_CONTINUE2;
#pragma pack(pop)
KD_AT(DBGKD_CONTINUE2, ControlSet.TraceFlag, 4);
KD_AT(DBGKD_CONTINUE2, ControlSet.Dr7, 8);
KD_AT(DBGKD_CONTINUE2, ControlSet.CurrentSymbolStart, 16);
KD_AT(DBGKD_CONTINUE2, ControlSet.CurrentSymbolEnd, 24);
KD_SIZE(DBGKD_CONTINUE2, 32);

typedef struct _DBGKD_READ_WRITE_IO64 {
  ULONG64 IoAddress;
  ULONG DataSize;
  ULONG DataValue;
} DBGKD_READ_WRITE_IO64;
typedef struct _DBGKD_READ_WRITE_IO_EXTENDED64 {
  ULONG DataSize;
  ULONG InterfaceType;
  ULONG BusNumber;
  ULONG AddressSpace;
  ULONG64 IoAddress;
  ULONG DataValue;
} DBGKD_READ_WRITE_IO_EXTENDED64;
typedef struct _DBGKD_READ_WRITE_MSR {
  ULONG Msr;
  ULONG DataValueLow;
  ULONG DataValueHigh;
} DBGKD_READ_WRITE_MSR;
typedef struct _DBGKD_QUERY_SPECIAL_CALLS {
  ULONG NumberOfSpecialCalls;
} DBGKD_QUERY_SPECIAL_CALLS;
typedef struct _DBGKD_SET_SPECIAL_CALL64 {
  ULONG64 SpecialCall;
} DBGKD_SET_SPECIAL_CALL64;
typedef struct _DBGKD_SET_INTERNAL_BREAKPOINT64 {
  ULONG64 BreakpointAddress;
  ULONG Flags;
} DBGKD_SET_INTERNAL_BREAKPOINT64;
typedef struct _DBGKD_GET_INTERNAL_BREAKPOINT64 {
  ULONG64 BreakpointAddress;
  ULONG Flags;
  ULONG Calls;
  ULONG MaxCallsPerPeriod;
  ULONG MinInstructions;
  ULONG MaxInstructions;
  ULONG TotalInstructions;
} DBGKD_GET_INTERNAL_BREAKPOINT64;
typedef struct _DBGKD_SEARCH_MEMORY {
  union {
    ULONG64 SearchAddress;
    ULONG64 FoundAddress;
  };
  ULONG64 SearchLength;
  ULONG PatternLength;
} DBGKD_SEARCH_MEMORY;
typedef struct _DBGKD_GET_SET_BUS_DATA {
  ULONG BusDataType;
  ULONG BusNumber;
  ULONG SlotNumber;
  ULONG Offset;
  ULONG Length;
} DBGKD_GET_SET_BUS_DATA;
typedef struct _DBGKD_FILL_MEMORY {
  ULONG64 Address;
  ULONG Length;
  USHORT Flags;
  USHORT PatternLength;
} DBGKD_FILL_MEMORY;
#define DBGKD_FILL_MEMORY_VIRTUAL 1
#define DBGKD_FILL_MEMORY_PHYSICAL 2
typedef struct _DBGKD_QUERY_MEMORY {
  ULONG64 Address;
  ULONG64 Reserved;
  ULONG AddressSpace;
  ULONG Flags;
} DBGKD_QUERY_MEMORY;
#define DBGKD_QUERY_MEMORY_VIRTUAL 0
#define DBGKD_QUERY_MEMORY_PROCESS 0
#define DBGKD_QUERY_MEMORY_SESSION 1
#define DBGKD_QUERY_MEMORY_KERNEL 2
#define DBGKD_QUERY_MEMORY_READ 1
#define DBGKD_QUERY_MEMORY_WRITE 2
#define DBGKD_QUERY_MEMORY_EXECUTE 4
#define DBGKD_QUERY_MEMORY_FIXED 8
typedef struct _DBGKD_SWITCH_PARTITION {
  ULONG Partition;
} DBGKD_SWITCH_PARTITION;

typedef struct _DBGKD_GET_VERSION64 {
  USHORT MajorVersion; /* high byte: kind of target (0 NT); low byte: 0xF free, 0xC checked */
  USHORT MinorVersion; /* build number */
  UCHAR ProtocolVersion;
  UCHAR KdSecondaryVersion;
  USHORT Flags;
  USHORT MachineType;
  UCHAR MaxPacketType;
  UCHAR MaxStateChange;
  UCHAR MaxManipulate;
  UCHAR Simulation;
  USHORT Unused[1];
  ULONG64 KernBase;
  ULONG64 PsLoadedModuleList;
  ULONG64 DebuggerDataList;
} DBGKD_GET_VERSION64, *PDBGKD_GET_VERSION64;
KD_AT(DBGKD_GET_VERSION64, Flags, 6);
KD_AT(DBGKD_GET_VERSION64, MachineType, 8);
KD_AT(DBGKD_GET_VERSION64, Simulation, 13);
KD_AT(DBGKD_GET_VERSION64, KernBase, 16);
KD_AT(DBGKD_GET_VERSION64, DebuggerDataList, 32);
KD_SIZE(DBGKD_GET_VERSION64, 40);

#define DBGKD_MAJOR_NT 0
#define DBGKD_64BIT_PROTOCOL_VERSION2 6
#define CURRENT_KD_SECONDARY_VERSION 2 /* the current amd64 CONTEXT */
#define DBGKD_VERS_FLAG_MP 0x0001
#define DBGKD_VERS_FLAG_DATA 0x0002
#define DBGKD_VERS_FLAG_PTR64 0x0004
#define DBGKD_VERS_FLAG_NOMM 0x0008
#define DBGKD_VERS_FLAG_HSS 0x0010
#define DBGKD_VERS_FLAG_PARTITIONS 0x0020
#define DBGKD_SIMULATION_NONE 0

typedef struct _DBGKD_MANIPULATE_STATE64 {
  ULONG ApiNumber;
  USHORT ProcessorLevel;
  USHORT Processor;
  NTSTATUS ReturnStatus;
  union {
    DBGKD_READ_MEMORY64 ReadMemory;
    DBGKD_WRITE_MEMORY64 WriteMemory;
    DBGKD_GET_CONTEXT GetContext;
    DBGKD_SET_CONTEXT SetContext;
    DBGKD_WRITE_BREAKPOINT64 WriteBreakPoint;
    DBGKD_RESTORE_BREAKPOINT RestoreBreakPoint;
    DBGKD_CONTINUE Continue;
    DBGKD_CONTINUE2 Continue2;
    DBGKD_READ_WRITE_IO64 ReadWriteIo;
    DBGKD_READ_WRITE_IO_EXTENDED64 ReadWriteIoExtended;
    DBGKD_QUERY_SPECIAL_CALLS QuerySpecialCalls;
    DBGKD_SET_SPECIAL_CALL64 SetSpecialCall;
    DBGKD_SET_INTERNAL_BREAKPOINT64 SetInternalBreakpoint;
    DBGKD_GET_INTERNAL_BREAKPOINT64 GetInternalBreakpoint;
    DBGKD_GET_VERSION64 GetVersion64;
    DBGKD_BREAKPOINTEX BreakPointEx;
    DBGKD_READ_WRITE_MSR ReadWriteMsr;
    DBGKD_SEARCH_MEMORY SearchMemory;
    DBGKD_GET_SET_BUS_DATA GetSetBusData;
    DBGKD_FILL_MEMORY FillMemory;
    DBGKD_QUERY_MEMORY QueryMemory;
    DBGKD_SWITCH_PARTITION SwitchPartition;
    DBGKD_WRITE_CUSTOM_BREAKPOINT WriteCustomBreakpoint;
    DBGKD_CONTEXT_EX ContextEx;
    ULONG64 Raw[5];
  } u;
} DBGKD_MANIPULATE_STATE64, *PDBGKD_MANIPULATE_STATE64;
KD_AT(DBGKD_MANIPULATE_STATE64, ProcessorLevel, 4);
KD_AT(DBGKD_MANIPULATE_STATE64, Processor, 6);
KD_AT(DBGKD_MANIPULATE_STATE64, ReturnStatus, 8);
KD_AT(DBGKD_MANIPULATE_STATE64, u, 16);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadMemory.TransferCount, 24);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadMemory.ActualBytesRead, 28);
KD_AT(DBGKD_MANIPULATE_STATE64, u.WriteBreakPoint.BreakPointHandle, 24);
KD_AT(DBGKD_MANIPULATE_STATE64, u.Continue2.ControlSet.Dr7, 24);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadWriteIo.DataSize, 24);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadWriteIo.DataValue, 28);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadWriteIoExtended.AddressSpace, 28);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadWriteIoExtended.IoAddress, 32);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadWriteIoExtended.DataValue, 40);
KD_AT(DBGKD_MANIPULATE_STATE64, u.GetInternalBreakpoint.Calls, 28);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ReadWriteMsr.DataValueHigh, 24);
KD_AT(DBGKD_MANIPULATE_STATE64, u.SearchMemory.SearchLength, 24);
KD_AT(DBGKD_MANIPULATE_STATE64, u.SearchMemory.PatternLength, 32);
KD_AT(DBGKD_MANIPULATE_STATE64, u.GetSetBusData.Length, 32);
KD_AT(DBGKD_MANIPULATE_STATE64, u.FillMemory.Length, 24);
KD_AT(DBGKD_MANIPULATE_STATE64, u.FillMemory.Flags, 28);
KD_AT(DBGKD_MANIPULATE_STATE64, u.FillMemory.PatternLength, 30);
KD_AT(DBGKD_MANIPULATE_STATE64, u.QueryMemory.AddressSpace, 32);
KD_AT(DBGKD_MANIPULATE_STATE64, u.QueryMemory.Flags, 36);
KD_AT(DBGKD_MANIPULATE_STATE64, u.WriteCustomBreakpoint.BreakPointHandle, 32);
KD_AT(DBGKD_MANIPULATE_STATE64, u.WriteCustomBreakpoint.BreakPointInstructionSize, 36);
KD_AT(DBGKD_MANIPULATE_STATE64, u.ContextEx.BytesCopied, 24);
KD_SIZE(DBGKD_MANIPULATE_STATE64, 56);

/* ---------------------------------------------------------------------------------------------
 * DEBUG_IO (type 3), 16 bytes + text; text has no terminator
 *
 *   0           4        6           8                             12                      16
 *   +-----------+-------+-----------+-----------------------------+-----------------------+--- ..
 *   | ApiNumber | Level | Processor | print: length / prompt: len | prompt: answer length | text
 *   +-----------+-------+-----------+-----------------------------+-----------------------+--- ..
 */
#define DbgKdPrintStringApi 0x3230
#define DbgKdGetStringApi 0x3231
typedef struct _DBGKD_DEBUG_IO {
  ULONG ApiNumber;
  USHORT ProcessorLevel;
  USHORT Processor;
  union {
    struct {
      ULONG LengthOfString;
    } PrintString;
    struct {
      ULONG LengthOfPromptString;
      ULONG LengthOfStringRead;
    } GetString;
  } u;
} DBGKD_DEBUG_IO;
KD_AT(DBGKD_DEBUG_IO, u.PrintString.LengthOfString, 8);
KD_AT(DBGKD_DEBUG_IO, u.GetString.LengthOfStringRead, 12);
KD_SIZE(DBGKD_DEBUG_IO, 16);

/* ---------------------------------------------------------------------------------------------
 * TRACE_IO (type 9), 16 bytes + data, and CONTROL_REQUEST (type 10), 12 bytes
 *
 *   trace:   | ApiNumber 0 | Level 4 | Processor 6 | LengthOfData 8, Reserved up to 64 | data
 *   control: | ApiNumber 0 | number 4 | available or released 8 |
 */
#define DbgKdPrintTraceApi 0x3330
typedef struct _DBGKD_TRACE_IO {
  ULONG ApiNumber;
  USHORT ProcessorLevel;
  USHORT Processor;
  union {
    ULONG64 ReserveSpace[7];
    struct {
      ULONG LengthOfData;
    } PrintTrace;
  } u;
} DBGKD_TRACE_IO;
KD_AT(DBGKD_TRACE_IO, u.PrintTrace.LengthOfData, 8);
KD_SIZE(DBGKD_TRACE_IO, 64);

#define DbgKdRequestHardwareBp 0x4300
#define DbgKdReleaseHardwareBp 0x4301
typedef struct _DBGKD_CONTROL_REQUEST {
  ULONG ApiNumber;
  union {
    struct {
      ULONG HardwareBreakPointNumber;
      ULONG Available;
    } RequestBreakpoint;
    struct {
      ULONG HardwareBreakPointNumber;
      ULONG Released;
    } ReleaseBreakpoint;
  } u;
} DBGKD_CONTROL_REQUEST;
KD_AT(DBGKD_CONTROL_REQUEST, u.RequestBreakpoint.Available, 8);
KD_SIZE(DBGKD_CONTROL_REQUEST, 12);

/* ---------------------------------------------------------------------------------------------
 * FILE_IO (type 11), 64 bytes + data: how .kdfiles replaces drivers
 *
 *   0           4        8                    64
 *   +-----------+--------+--------------------+---- UTF-16 name, NUL-terminated, or file bytes ----
 *   | ApiNumber | Status | union, 56 bytes    |
 *   +-----------+--------+--------------------+----
 */
#define DbgKdCreateFileApi 0x3430
#define DbgKdReadFileApi 0x3431
#define DbgKdWriteFileApi 0x3432
#define DbgKdCloseFileApi 0x3433
typedef struct _DBGKD_FILE_IO {
  ULONG ApiNumber;
  NTSTATUS Status;
  union {
    ULONG64 ReserveSpace[7];
    struct {
      ULONG DesiredAccess;
      ULONG FileAttributes;
      ULONG ShareAccess;
      ULONG CreateDisposition;
      ULONG CreateOptions;
      ULONG64 Handle;
      ULONG64 Length;
    } CreateFile;
    struct {
      ULONG64 Handle;
      ULONG64 Offset;
      ULONG Length;
    } ReadFile, WriteFile;
    struct {
      ULONG64 Handle;
    } CloseFile;
  } u;
} DBGKD_FILE_IO;
KD_AT(DBGKD_FILE_IO, u.CreateFile.ShareAccess, 16);
KD_AT(DBGKD_FILE_IO, u.CreateFile.CreateOptions, 24);
KD_AT(DBGKD_FILE_IO, u.CreateFile.Handle, 32);
KD_AT(DBGKD_FILE_IO, u.CreateFile.Length, 40);
KD_AT(DBGKD_FILE_IO, u.ReadFile.Offset, 16);
KD_AT(DBGKD_FILE_IO, u.ReadFile.Length, 24);
KD_SIZE(DBGKD_FILE_IO, 64);

/* ---------------------------------------------------------------------------------------------
 * kdcom.dll: the transport behind the kernel's import table
 */
typedef enum _KDSTATUS {
  KDP_PACKET_RECEIVED = 0,
  KDP_PACKET_TIMEOUT = 1,
  KDP_PACKET_RESEND = 2,
} KDSTATUS;

typedef struct _KD_CONTEXT {
  ULONG KdpDefaultRetries;
  BOOLEAN KdpControlCPending;
} KD_CONTEXT, *PKD_CONTEXT;

#ifdef _KDCOM_
#define KDTRANSPORT __declspec(dllexport)
#else
#define KDTRANSPORT __declspec(dllimport)
#endif

KDTRANSPORT NTSTATUS KdInitialize(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock, PKD_CONTEXT KdContext);
KDTRANSPORT NTSTATUS KdDebuggerInitialize0(PLOADER_PARAMETER_BLOCK LoaderBlock);
KDTRANSPORT NTSTATUS KdDebuggerInitialize1(PLOADER_PARAMETER_BLOCK LoaderBlock);
KDTRANSPORT NTSTATUS KdD0Transition(VOID);
KDTRANSPORT NTSTATUS KdD3Transition(VOID);
KDTRANSPORT NTSTATUS KdSave(BOOLEAN KdSleepTransition);
KDTRANSPORT NTSTATUS KdRestore(BOOLEAN KdSleepTransition);
KDTRANSPORT NTSTATUS KdPower(ULONG PowerRequest, PVOID Context);
KDTRANSPORT NTSTATUS KdSetHiberRange(PVOID MemoryMap);
KDTRANSPORT VOID KdSendPacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
                              PKD_CONTEXT KdContext);
KDTRANSPORT KDSTATUS KdReceivePacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData,
                                     PULONG DataLength, PKD_CONTEXT KdContext);

#include "kddata.h"

/*
 * Commands that the stub adds to the kernel's console, ended by a null Name. Routine gets what follows the name
 * and the spaces after it, and puts one line (NUL-terminated, no newline) of at most AnswerSize bytes into Answer.
 */
typedef struct _KD_CONSOLE_COMMAND {
  PCSTR Name;
  PCSTR Help;
  VOID (*Routine)(PCSTR Arguments, PCHAR Answer, ULONG AnswerSize);
} KD_CONSOLE_COMMAND;
extern const KD_CONSOLE_COMMAND KdConsoleCommands[];

#endif
