/*
 * kdtrace.c - the two rare kinds of packet: trace output, and the lending of hardware breakpoints.
 *
 * No kernel of today sends them by itself; the console does, so that debuggers meet them.
 */
#include "kdp.h"

#define KDP_HARDWARE_BREAKPOINTS 4

NTSTATUS KdpTraceSend(const VOID *Data, ULONG Length)
{
  DBGKD_TRACE_IO TraceIo;
  STRING Header, Text;
  BOOLEAN Enable;

  if (!KdDebuggerEnabled || KdDebuggerNotPresent || KdpOwnsMachine()) {
    return STATUS_DEBUGGER_INACTIVE;
  }
  if (Length > PACKET_MAX_SIZE - sizeof(TraceIo)) {
    return STATUS_INVALID_PARAMETER;
  }
  Enable = KdEnterDebugger(NULL, NULL);
  KdpZeroMemory(&TraceIo, sizeof(TraceIo));
  TraceIo.ApiNumber = DbgKdPrintTraceApi;
  TraceIo.ProcessorLevel = (USHORT)(UCHAR)KeGetCurrentPrcb()->CpuType;
  TraceIo.Processor = (USHORT)KeGetCurrentPrcb()->Number;
  TraceIo.u.PrintTrace.LengthOfData = Length;
  Header.Buffer = (PCHAR)&TraceIo;
  Header.Length = Header.MaximumLength = sizeof(TraceIo);
  Text.Buffer = (PCHAR)(ULONG64)Data;
  Text.Length = Text.MaximumLength = (USHORT)Length;
  KdSendPacket(PACKET_TYPE_KD_TRACE_IO, &Header, &Text, &KdpContext);
  KdExitDebugger(Enable);
  return STATUS_SUCCESS;
}

static NTSTATUS KdpControlExchange(ULONG ApiNumber, ULONG Number, PBOOLEAN Answer)
{
  DBGKD_CONTROL_REQUEST Control;
  ULONG Tries = KDP_ANSWER_TRIES, Length;
  KDSTATUS Status;
  STRING Header;
  BOOLEAN Enable;

  *Answer = FALSE;
  if (!KdDebuggerEnabled || KdDebuggerNotPresent || KdpOwnsMachine()) {
    return STATUS_DEBUGGER_INACTIVE;
  }
  if (Number >= KDP_HARDWARE_BREAKPOINTS) {
    return STATUS_INVALID_PARAMETER;
  }
  Enable = KdEnterDebugger(NULL, NULL);
  do {
    KdpZeroMemory(&Control, sizeof(Control));
    Control.ApiNumber = ApiNumber;
    Control.u.RequestBreakpoint.HardwareBreakPointNumber = Number;
    Header.Buffer = (PCHAR)&Control;
    Header.Length = Header.MaximumLength = sizeof(Control);
    KdSendPacket(PACKET_TYPE_KD_CONTROL_REQUEST, &Header, NULL, &KdpContext);
    do {
      Status = KdReceivePacket(PACKET_TYPE_KD_CONTROL_REQUEST, &Header, NULL, &Length, &KdpContext);
    } while (Status == KDP_PACKET_TIMEOUT && --Tries);
  } while (Status == KDP_PACKET_RESEND);
  KdExitDebugger(Enable);
  if (Status != KDP_PACKET_RECEIVED) {
    return STATUS_IO_TIMEOUT;
  }
  *Answer = Control.u.RequestBreakpoint.Available != 0;
  return STATUS_SUCCESS;
}

NTSTATUS KdpRequestHardwareBreakpoint(ULONG Number, PBOOLEAN Available)
{
  return KdpControlExchange(DbgKdRequestHardwareBp, Number, Available);
}

NTSTATUS KdpReleaseHardwareBreakpoint(ULONG Number, PBOOLEAN Released)
{
  return KdpControlExchange(DbgKdReleaseHardwareBp, Number, Released);
}
