/*
 * kdcom.c - start-up and power exports of kdcom.dll.
 *
 * The port comes from the boot options as on NT: DEBUGPORT=COMn (COM1 when absent), BAUDRATE=n
 * (115200 when absent).  The kernel reaches everything here by import, so that a driver may redirect
 * its KdSendPacket and KdReceivePacket slots at run time and give them back.
 */
#include "kdcom.h"

#define LOAD_OPTIONS_LIMIT 1024

static const USHORT ComPorts[] = {0x3F8, 0x2F8, 0x3E8, 0x2E8};

static CHAR Upper(CHAR Character)
{
  return Character >= 'a' && Character <= 'z' ? (CHAR)(Character - 'a' + 'A') : Character;
}

/* The text after NAME= in the boot options, or NULL; NAME is in capitals. */
static const CHAR *FindOption(const CHAR *Options, const CHAR *Name)
{
  ULONG Start, Index;

  for (Start = 0; Options && Start < LOAD_OPTIONS_LIMIT && Options[Start]; Start++) {
    for (Index = 0; Name[Index] && Upper(Options[Start + Index]) == Name[Index]; Index++) {
    }
    if (!Name[Index]) {
      return Options + Start + Index;
    }
  }
  return NULL;
}

static ULONG Number(const CHAR *Text)
{
  ULONG Value = 0, Digits;

  for (Digits = 0; Digits < 9 && Text[Digits] >= '0' && Text[Digits] <= '9'; Digits++) {
    Value = Value * 10 + (ULONG)(Text[Digits] - '0');
  }
  return Value;
}

NTSTATUS KdDebuggerInitialize0(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  const CHAR *Options = LoaderBlock ? LoaderBlock->LoadOptions : NULL;
  const CHAR *Port = FindOption(Options, "DEBUGPORT=COM");
  const CHAR *Baud = FindOption(Options, "BAUDRATE=");
  ULONG PortNumber = Port ? Number(Port) : 1;

  if (PortNumber < 1 || PortNumber > sizeof(ComPorts) / sizeof(ComPorts[0])) {
    return STATUS_INVALID_PARAMETER;
  }
  if (!UartInitialize(ComPorts[PortNumber - 1], Baud ? Number(Baud) : 0)) {
    return STATUS_NO_SUCH_DEVICE;
  }
  return STATUS_SUCCESS;
}

NTSTATUS KdDebuggerInitialize1(PLOADER_PARAMETER_BLOCK LoaderBlock)
{
  UNREFERENCED_PARAMETER(LoaderBlock);
  return STATUS_SUCCESS;
}

NTSTATUS KdInitialize(ULONG Phase, PLOADER_PARAMETER_BLOCK LoaderBlock, PKD_CONTEXT KdContext)
{
  UNREFERENCED_PARAMETER(KdContext);
  return Phase == 0 ? KdDebuggerInitialize0(LoaderBlock) : KdDebuggerInitialize1(LoaderBlock);
}

NTSTATUS KdD0Transition(VOID)
{
  UartReinitialize();
  return STATUS_SUCCESS;
}

NTSTATUS KdD3Transition(VOID)
{
  return STATUS_SUCCESS;
}

NTSTATUS KdSave(BOOLEAN KdSleepTransition)
{
  UNREFERENCED_PARAMETER(KdSleepTransition);
  return STATUS_SUCCESS;
}

NTSTATUS KdRestore(BOOLEAN KdSleepTransition)
{
  if (KdSleepTransition) {
    UartReinitialize(); /* the port lost its divisor with its power */
  }
  return STATUS_SUCCESS;
}

NTSTATUS KdPower(ULONG PowerRequest, PVOID Context)
{
  UNREFERENCED_PARAMETER(PowerRequest);
  UNREFERENCED_PARAMETER(Context);
  return STATUS_NOT_SUPPORTED;
}

NTSTATUS KdSetHiberRange(PVOID MemoryMap)
{
  UNREFERENCED_PARAMETER(MemoryMap);
  return STATUS_SUCCESS;
}
