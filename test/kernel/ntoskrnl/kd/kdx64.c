/*
 * kdx64.c - the amd64 half of the stub: special registers, debug registers, MSRs, ports, PCI by CF8/CFC.
 *
 * A bad MSR is a #GP in the middle of the debugger.  The two instructions that may fault sit in assembly
 * with a known resume address; KdTrap, which sees every kernel exception first, sends them there.
 */
#include "kdp.h"

#define DR7_ALWAYS_SET 0x400ull

static PKPRCB KdpPrcb(ULONG Processor)
{
  return Processor < KeNumberProcessors ? KiProcessorBlock[Processor] : NULL;
}

NTSTATUS KdpSysReadControlSpace(ULONG Processor, ULONG64 Base, PVOID Buffer, ULONG Length, PULONG Actual)
{
  PKPRCB Prcb = KdpPrcb(Processor);
  PVOID Pointer;
  const VOID *From = &Pointer;
  ULONG Have = sizeof(Pointer);

  *Actual = 0;
  if (!Prcb) {
    return STATUS_UNSUCCESSFUL;
  }
  switch (Base) {
  case 0:
    Pointer = CONTAINING_RECORD(Prcb, KPCR, Prcb);
    break;
  case 1:
    Pointer = Prcb;
    break;
  case 2:
    From = &Prcb->ProcessorState.SpecialRegisters;
    Have = sizeof(KSPECIAL_REGISTERS);
    break;
  case 3:
    Pointer = Prcb->CurrentThread;
    break;
  default:
    return STATUS_UNSUCCESSFUL;
  }
  *Actual = min(Length, Have);
  KdpMoveMemory(Buffer, From, *Actual);
  return STATUS_SUCCESS;
}

NTSTATUS KdpSysWriteControlSpace(ULONG Processor, ULONG64 Base, PVOID Buffer, ULONG Length, PULONG Actual)
{
  PKPRCB Prcb = KdpPrcb(Processor);

  *Actual = 0;
  if (!Prcb || Base != 2) {
    return STATUS_UNSUCCESSFUL;
  }
  *Actual = min(Length, (ULONG)sizeof(KSPECIAL_REGISTERS));
  KdpMoveMemory(&Prcb->ProcessorState.SpecialRegisters, Buffer, *Actual);
  return STATUS_SUCCESS;
}

/* Continue2: one TraceFlag for the stopped processor, one Dr7 for all of them. */
VOID KdpGetStateChange(const DBGKD_MANIPULATE_STATE64 *State, PCONTEXT Context)
{
  const DBGKD_CONTROL_SET *Set = &State->u.Continue2.ControlSet;
  ULONG Index;

  if (Set->TraceFlag) {
    Context->EFlags |= EFLAGS_TF_MASK;
  } else {
    Context->EFlags &= ~EFLAGS_TF_MASK;
  }
  for (Index = 0; Index < KeNumberProcessors; Index++) {
    PKSPECIAL_REGISTERS Special = &KiProcessorBlock[Index]->ProcessorState.SpecialRegisters;

    Special->KernelDr7 = Set->Dr7;
    Special->KernelDr6 = 0;
  }
}

/*
 * A debugger may also put debug registers into the CONTEXT.  Only those that it changed are taken over: a
 * context that was read before control space was written must not undo that write.
 */
VOID KdpTakeDebugRegisters(PKPRCB Prcb, const CONTEXT *Old, const CONTEXT *New)
{
  PKSPECIAL_REGISTERS Special = &Prcb->ProcessorState.SpecialRegisters;

  if ((New->ContextFlags & CONTEXT_DEBUG_REGISTERS) != CONTEXT_DEBUG_REGISTERS) {
    return;
  }
  if (New->Dr0 != Old->Dr0) {
    Special->KernelDr0 = New->Dr0;
  }
  if (New->Dr1 != Old->Dr1) {
    Special->KernelDr1 = New->Dr1;
  }
  if (New->Dr2 != Old->Dr2) {
    Special->KernelDr2 = New->Dr2;
  }
  if (New->Dr3 != Old->Dr3) {
    Special->KernelDr3 = New->Dr3;
  }
  if (New->Dr6 != Old->Dr6) {
    Special->KernelDr6 = New->Dr6;
  }
  if (New->Dr7 != Old->Dr7) {
    Special->KernelDr7 = New->Dr7 | DR7_ALWAYS_SET;
  }
}

/* Return 1 when the instruction worked, 0 when it faulted.  rcx: MSR, rdx: value or where to put it. */
ULONG KdpGuardedReadMsr(ULONG Msr, PULONG64 Value);
ULONG KdpGuardedWriteMsr(ULONG Msr, ULONG64 Value);
extern UCHAR KdpGuardedReadMsrFault[], KdpGuardedWriteMsrFault[], KdpGuardedMsrFailed[];

__asm__(".text\n"
        ".globl KdpGuardedReadMsr, KdpGuardedWriteMsr\n"
        ".globl KdpGuardedReadMsrFault, KdpGuardedWriteMsrFault, KdpGuardedMsrFailed\n"
        "KdpGuardedReadMsr:\n"
        "  movq %rdx, %r8\n"
        "KdpGuardedReadMsrFault:\n"
        "  rdmsr\n"
        "  movl %eax, (%r8)\n"
        "  movl %edx, 4(%r8)\n"
        "  movl $1, %eax\n"
        "  retq\n"
        "KdpGuardedWriteMsr:\n"
        "  movl %edx, %eax\n"
        "  shrq $32, %rdx\n"
        "KdpGuardedWriteMsrFault:\n"
        "  wrmsr\n"
        "  movl $1, %eax\n"
        "  retq\n"
        "KdpGuardedMsrFailed:\n"
        "  xorl %eax, %eax\n"
        "  retq\n");

BOOLEAN KdpFixUpGuardedFault(PCONTEXT Context)
{
  if (Context->Rip != (ULONG64)KdpGuardedReadMsrFault && Context->Rip != (ULONG64)KdpGuardedWriteMsrFault) {
    return FALSE;
  }
  Context->Rip = (ULONG64)KdpGuardedMsrFailed;
  return TRUE;
}

NTSTATUS KdpSysReadMsr(ULONG Msr, PULONG64 Value)
{
  return KdpGuardedReadMsr(Msr, Value) ? STATUS_SUCCESS : STATUS_NO_SUCH_DEVICE;
}

NTSTATUS KdpSysWriteMsr(ULONG Msr, ULONG64 Value)
{
  return KdpGuardedWriteMsr(Msr, Value) ? STATUS_SUCCESS : STATUS_NO_SUCH_DEVICE;
}

static NTSTATUS KdpCheckPort(ULONG64 Port, ULONG Size)
{
  if ((Size != 1 && Size != 2 && Size != 4) || Port > 0xFFFF) {
    return STATUS_INVALID_PARAMETER;
  }
  return (Port & (Size - 1)) ? STATUS_DATATYPE_MISALIGNMENT : STATUS_SUCCESS;
}

NTSTATUS KdpSysReadIoSpace(ULONG64 Port, ULONG Size, PULONG Value)
{
  NTSTATUS Status = KdpCheckPort(Port, Size);

  if (NT_SUCCESS(Status)) {
    *Value = Size == 1 ? KiInByte((USHORT)Port) : Size == 2 ? KiInWord((USHORT)Port) : KiInLong((USHORT)Port);
  }
  return Status;
}

NTSTATUS KdpSysWriteIoSpace(ULONG64 Port, ULONG Size, ULONG Value)
{
  NTSTATUS Status = KdpCheckPort(Port, Size);

  if (!NT_SUCCESS(Status)) {
    return Status;
  }
  switch (Size) {
  case 1:
    KiOutByte((USHORT)Port, (UCHAR)Value);
    break;
  case 2:
    KiOutWord((USHORT)Port, (USHORT)Value);
    break;
  default:
    KiOutLong((USHORT)Port, Value);
    break;
  }
  return Status;
}

#define PCI_ADDRESS_PORT 0xCF8
#define PCI_DATA_PORT 0xCFC
#define PCI_CONFIGURATION_SIZE 256
#define PCI_MAX_BUS 255
#define PCI_ADDRESS_ENABLE 0x80000000u

/*
 * SlotNumber is NT's PCI_SLOT_NUMBER: device in bits 0-4, function in bits 5-7.  A function that is not
 * there gives two bytes, its vendor id FFFF, as HalGetBusDataByOffset does; the return value is bytes done.
 */
ULONG KdpSysBusData(ULONG Bus, ULONG Slot, PVOID Buffer, ULONG Offset, ULONG Length, BOOLEAN Write)
{
  ULONG Address = PCI_ADDRESS_ENABLE | Bus << 16 | (Slot & 0x1F) << 11 | (Slot >> 5 & 7) << 8;
  ULONG Saved, Vendor, Done;
  PUCHAR Bytes = Buffer;

  if (Bus > PCI_MAX_BUS || Slot > 0xFF || Offset >= PCI_CONFIGURATION_SIZE) {
    return 0;
  }
  Length = min(Length, PCI_CONFIGURATION_SIZE - Offset);
  Saved = KiInLong(PCI_ADDRESS_PORT); /* the machine may be between its own two accesses */
  KiOutLong(PCI_ADDRESS_PORT, Address);
  Vendor = KiInWord(PCI_DATA_PORT);
  if (Vendor == 0xFFFF) {
    Done = Write ? 0 : min(Length, 2u);
    for (ULONG Index = 0; Index < Done; Index++) {
      Bytes[Index] = 0xFF;
    }
  } else {
    for (Done = 0; Done < Length; Done++) {
      ULONG At = Offset + Done;

      KiOutLong(PCI_ADDRESS_PORT, Address | (At & 0xFC));
      if (Write) {
        KiOutByte((USHORT)(PCI_DATA_PORT + (At & 3)), Bytes[Done]);
      } else {
        Bytes[Done] = KiInByte((USHORT)(PCI_DATA_PORT + (At & 3)));
      }
    }
  }
  KiOutLong(PCI_ADDRESS_PORT, Saved);
  return Done;
}
