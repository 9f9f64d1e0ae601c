/*
 * debug.c: DbgPrint and its kin: text and notices for the debugger, by way of `int 2Dh` (debugsvc.S).
 */
#include "ki.h"

ULONG DebugService(ULONG Service, PVOID Argument1, ULONG_PTR Argument2, ULONG_PTR Argument3, ULONG_PTR Argument4);

#define DBG_PRINT_LIMIT 512

static ULONG Print(ULONG ComponentId, ULONG Level, PCSTR Format, __builtin_va_list Arguments)
{
  CHAR Text[DBG_PRINT_LIMIT];
  int Length = RtlFormat(Text, sizeof(Text), Format, Arguments);
  ULONG Status = DebugService(BREAKPOINT_PRINT, Text, (ULONG_PTR)Length, ComponentId, Level);
  if (Status != (ULONG)STATUS_BREAKPOINT) return Status;
  DbgBreakPointWithStatus(DBG_STATUS_CONTROL_C); /* KD met a breakin while it printed */
  return STATUS_SUCCESS;
}

ULONG DbgPrint(PCSTR Format, ...)
{
  __builtin_va_list Arguments;
  __builtin_va_start(Arguments, Format);
  ULONG Status = Print(MAXULONG, 0, Format, Arguments);
  __builtin_va_end(Arguments);
  return Status;
}

ULONG DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...)
{
  __builtin_va_list Arguments;
  __builtin_va_start(Arguments, Format);
  ULONG Status = Print(ComponentId, Level, Format, Arguments);
  __builtin_va_end(Arguments);
  return Status;
}

ULONG vDbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, __builtin_va_list Arguments)
{
  return Print(ComponentId, Level, Format, Arguments);
}

/* How many characters the debugger's user answered; Response need not be terminated. */
ULONG DbgPrompt(PCSTR Prompt, PCHAR Response, ULONG Length)
{
  STRING Text;
  RtlInitAnsiString(&Text, Prompt);
  return DebugService(BREAKPOINT_PROMPT, Text.Buffer, Text.Length, (ULONG_PTR)Response, Length);
}

static KD_SYMBOLS_INFO SymbolsInfo(PVOID Base, ULONG_PTR ProcessId)
{
  KD_SYMBOLS_INFO Info = {.BaseOfDll = Base, .ProcessId = (PVOID)ProcessId};
  PKLDR_DATA_TABLE_ENTRY Entry = LdrpModuleOfAddress((ULONG64)Base);
  if (Entry) {
    Info.CheckSum = Entry->CheckSum;
    Info.SizeOfImage = Entry->SizeOfImage;
  }
  return Info;
}

NTSTATUS DbgLoadImageSymbols(PSTRING Name, PVOID Base, ULONG_PTR ProcessId)
{
  KD_SYMBOLS_INFO Info = SymbolsInfo(Base, ProcessId);
  DebugService(BREAKPOINT_LOAD_SYMBOLS, Name, (ULONG_PTR)&Info, 0, 0);
  return STATUS_SUCCESS;
}

VOID DbgUnLoadImageSymbols(PSTRING Name, PVOID Base, ULONG_PTR ProcessId)
{
  KD_SYMBOLS_INFO Info = SymbolsInfo(Base, ProcessId);
  DebugService(BREAKPOINT_UNLOAD_SYMBOLS, Name, (ULONG_PTR)&Info, 0, 0);
}

VOID DbgCommandString(PSTRING Name, PSTRING Command)
{
  DebugService(BREAKPOINT_COMMAND_STRING, Name, (ULONG_PTR)Command, 0, 0);
}
