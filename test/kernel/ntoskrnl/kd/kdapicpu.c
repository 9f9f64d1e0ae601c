/*
 * kdapicpu.c - requests about the processor and its buses: control space, MSRs, ports, PCI.
 *
 * Control space of amd64 is selected by number:
 *   0 pointer to the KPCR   1 pointer to the KPRCB   2 KSPECIAL_REGISTERS (writable)   3 current KTHREAD
 */
#include "kdp.h"

KDP_OUTCOME KdpReadControlSpace(PKDP_REQUEST Request)
{
  DBGKD_READ_MEMORY64 *Read = &Request->State.u.ReadMemory;

  Request->State.ReturnStatus =
      KdpSysReadControlSpace(Request->State.Processor, Read->TargetBaseAddress, Request->Data.Buffer,
                             min(Read->TransferCount, (ULONG)KDP_MAX_DATA), &Read->ActualBytesRead);
  Request->Data.Length = (USHORT)Read->ActualBytesRead;
  return KdpReply;
}

KDP_OUTCOME KdpWriteControlSpace(PKDP_REQUEST Request)
{
  DBGKD_WRITE_MEMORY64 *Write = &Request->State.u.WriteMemory;

  Request->State.ReturnStatus =
      KdpSysWriteControlSpace(Request->State.Processor, Write->TargetBaseAddress, Request->Data.Buffer,
                              Request->Data.Length, &Write->ActualBytesWritten);
  /* NT sends the data back with the reply: the length of the receive is still in place. */
  return KdpReply;
}

KDP_OUTCOME KdpReadMsr(PKDP_REQUEST Request)
{
  DBGKD_READ_WRITE_MSR *Msr = &Request->State.u.ReadWriteMsr;
  ULONG64 Value = 0;

  Request->State.ReturnStatus = KdpSysReadMsr(Msr->Msr, &Value);
  Msr->DataValueLow = (ULONG)Value;
  Msr->DataValueHigh = (ULONG)(Value >> 32);
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpWriteMsr(PKDP_REQUEST Request)
{
  DBGKD_READ_WRITE_MSR *Msr = &Request->State.u.ReadWriteMsr;

  Request->State.ReturnStatus =
      KdpSysWriteMsr(Msr->Msr, (ULONG64)Msr->DataValueHigh << 32 | Msr->DataValueLow);
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpReadIoSpace(PKDP_REQUEST Request)
{
  DBGKD_READ_WRITE_IO64 *Io = &Request->State.u.ReadWriteIo;

  Request->State.ReturnStatus = KdpSysReadIoSpace(Io->IoAddress, Io->DataSize, &Io->DataValue);
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpWriteIoSpace(PKDP_REQUEST Request)
{
  DBGKD_READ_WRITE_IO64 *Io = &Request->State.u.ReadWriteIo;

  Request->State.ReturnStatus = KdpSysWriteIoSpace(Io->IoAddress, Io->DataSize, Io->DataValue);
  Request->Data.Length = 0;
  return KdpReply;
}

#define KDP_INTERFACE_ISA 1
#define KDP_ADDRESS_SPACE_IO 1

/* Only ports are known by these requests: bus 0 of ISA, address space 1. */
static BOOLEAN KdpIsPortAddress(const DBGKD_READ_WRITE_IO_EXTENDED64 *Io)
{
  return Io->InterfaceType == KDP_INTERFACE_ISA && Io->BusNumber == 0 &&
         Io->AddressSpace == KDP_ADDRESS_SPACE_IO;
}

KDP_OUTCOME KdpReadIoSpaceExtended(PKDP_REQUEST Request)
{
  DBGKD_READ_WRITE_IO_EXTENDED64 *Io = &Request->State.u.ReadWriteIoExtended;

  Request->State.ReturnStatus = KdpIsPortAddress(Io)
                                    ? KdpSysReadIoSpace(Io->IoAddress, Io->DataSize, &Io->DataValue)
                                    : STATUS_INVALID_PARAMETER;
  Request->Data.Length = 0;
  return KdpReply;
}

KDP_OUTCOME KdpWriteIoSpaceExtended(PKDP_REQUEST Request)
{
  DBGKD_READ_WRITE_IO_EXTENDED64 *Io = &Request->State.u.ReadWriteIoExtended;

  Request->State.ReturnStatus = KdpIsPortAddress(Io)
                                    ? KdpSysWriteIoSpace(Io->IoAddress, Io->DataSize, Io->DataValue)
                                    : STATUS_INVALID_PARAMETER;
  Request->Data.Length = 0;
  return KdpReply;
}

#define KDP_BUS_PCI_CONFIGURATION 4

KDP_OUTCOME KdpGetBusData(PKDP_REQUEST Request)
{
  DBGKD_GET_SET_BUS_DATA *Bus = &Request->State.u.GetSetBusData;

  Bus->Length = Bus->BusDataType == KDP_BUS_PCI_CONFIGURATION
                    ? KdpSysBusData(Bus->BusNumber, Bus->SlotNumber, Request->Data.Buffer, Bus->Offset,
                                    min(Bus->Length, (ULONG)KDP_MAX_DATA), FALSE)
                    : 0;
  Request->State.ReturnStatus = Bus->Length ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
  Request->Data.Length = (USHORT)Bus->Length;
  return KdpReply;
}

KDP_OUTCOME KdpSetBusData(PKDP_REQUEST Request)
{
  DBGKD_GET_SET_BUS_DATA *Bus = &Request->State.u.GetSetBusData;

  Bus->Length = Bus->BusDataType == KDP_BUS_PCI_CONFIGURATION
                    ? KdpSysBusData(Bus->BusNumber, Bus->SlotNumber, Request->Data.Buffer, Bus->Offset,
                                    min(Bus->Length, (ULONG)Request->Data.Length), TRUE)
                    : 0;
  Request->State.ReturnStatus = Bus->Length ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
  Request->Data.Length = 0;
  return KdpReply;
}
