/*
 * kdconsole.c - what the kernel's console can make the stub do, so that a debugger under test meets the rare
 * packets and states: trace data, lent breakpoints, command strings, first-chance stops, a switched-off stub.
 */
#include "kdp.h"

VOID DbgCommandString(PSTRING Name, PSTRING Command);

static VOID KdpAnswer(PCHAR Answer, ULONG Size, PCSTR Text)
{
  ULONG Index;

  for (Index = 0; Index + 1 < Size && Text[Index]; Index++) {
    Answer[Index] = Text[Index];
  }
  if (Size) {
    Answer[Index] = 0;
  }
}

static ULONG KdpLength(PCSTR Text)
{
  ULONG Length = 0;

  while (Text[Length]) {
    Length++;
  }
  return Length;
}

/* Whether Text begins with Word, ended by a space or the end; *Rest is what follows. */
static BOOLEAN KdpWord(PCSTR Text, PCSTR Word, PCSTR *Rest)
{
  while (*Word && *Text == *Word) {
    Text++;
    Word++;
  }
  if (*Word || (*Text && *Text != ' ')) {
    return FALSE;
  }
  while (*Text == ' ') {
    Text++;
  }
  *Rest = Text;
  return TRUE;
}

/* Sets *Flag from "on" or "off"; FALSE for anything else. */
static BOOLEAN KdpOnOff(PCSTR Arguments, PBOOLEAN Flag)
{
  PCSTR Rest;

  if (KdpWord(Arguments, "on", &Rest)) {
    *Flag = TRUE;
  } else if (KdpWord(Arguments, "off", &Rest)) {
    *Flag = FALSE;
  } else {
    return FALSE;
  }
  return TRUE;
}

static VOID KdpTraceCommand(PCSTR Arguments, PCHAR Answer, ULONG Size)
{
  NTSTATUS Status = KdpTraceSend(Arguments, KdpLength(Arguments));

  KdpAnswer(Answer, Size, NT_SUCCESS(Status) ? "sent" : "no debugger");
}

static VOID KdpHardwareCommand(PCSTR Arguments, PCHAR Answer, ULONG Size)
{
  PCSTR Rest;
  BOOLEAN Granted = FALSE;
  NTSTATUS Status = STATUS_INVALID_PARAMETER;

  if (KdpWord(Arguments, "request", &Rest)) {
    Status = KdpRequestHardwareBreakpoint((ULONG)(*Rest - '0'), &Granted);
  } else if (KdpWord(Arguments, "release", &Rest)) {
    Status = KdpReleaseHardwareBreakpoint((ULONG)(*Rest - '0'), &Granted);
  }
  KdpAnswer(Answer, Size,
            Status == STATUS_INVALID_PARAMETER ? "usage: hwbp request|release 0..3"
            : Status == STATUS_IO_TIMEOUT      ? "no answer"
            : !NT_SUCCESS(Status)              ? "no debugger"
            : Granted                          ? "granted"
                                               : "refused");
}

static VOID KdpCommandStringCommand(PCSTR Arguments, PCHAR Answer, ULONG Size)
{
  STRING Name = {4, 5, "vmkd"};
  STRING Command;

  Command.Buffer = (PCHAR)(ULONG64)Arguments;
  Command.Length = Command.MaximumLength = (USHORT)KdpLength(Arguments);
  DbgCommandString(&Name, &Command);
  KdpAnswer(Answer, Size, "done");
}

static VOID KdpStopOnExceptionCommand(PCSTR Arguments, PCHAR Answer, ULONG Size)
{
  BOOLEAN On = (NtGlobalFlag & FLG_STOP_ON_EXCEPTION) != 0;

  if (*Arguments && !KdpOnOff(Arguments, &On)) {
    KdpAnswer(Answer, Size, "usage: soe on|off");
    return;
  }
  NtGlobalFlag = (NtGlobalFlag & ~FLG_STOP_ON_EXCEPTION) | (On ? FLG_STOP_ON_EXCEPTION : 0);
  KdpAnswer(Answer, Size, On ? "on" : "off");
}

static VOID KdpTraceDataCommand(PCSTR Arguments, PCHAR Answer, ULONG Size)
{
  if (*Arguments && !KdpOnOff(Arguments, &KdpAppendTraceData)) {
    KdpAnswer(Answer, Size, "usage: tracedata on|off");
    return;
  }
  KdpAnswer(Answer, Size, KdpAppendTraceData ? "on" : "off");
}

static VOID KdpStateCommand(PCSTR Arguments, PCHAR Answer, ULONG Size)
{
  BOOLEAN On = KdDebuggerEnabled;

  if (*Arguments && !KdpOnOff(Arguments, &On)) {
    KdpAnswer(Answer, Size, "usage: kd on|off");
    return;
  }
  if (On != KdDebuggerEnabled) {
    if (On) {
      KdEnableDebugger();
    } else {
      KdDisableDebugger();
    }
  }
  KdpAnswer(Answer, Size,
            !KdDebuggerEnabled     ? "off"
            : KdDebuggerNotPresent ? "on, no debugger present"
                                   : "on, debugger present");
}

const KD_CONSOLE_COMMAND KdConsoleCommands[] = {
    {"trace", "trace TEXT: a TRACE_IO packet", KdpTraceCommand},
    {"hwbp", "hwbp request|release N: a CONTROL_REQUEST packet", KdpHardwareCommand},
    {"cmdstring", "cmdstring TEXT: a command-string state change", KdpCommandStringCommand},
    {"soe", "soe [on|off]: stop on first-chance exceptions (NtGlobalFlag)", KdpStopOnExceptionCommand},
    {"tracedata", "tracedata [on|off]: 4 trailing bytes on exception reports", KdpTraceDataCommand},
    {"kd", "kd [on|off]: KdEnableDebugger, KdDisableDebugger, or how it stands", KdpStateCommand},
    {NULL, NULL, NULL},
};
