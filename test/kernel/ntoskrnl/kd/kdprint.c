/*
 * kdprint.c - text to the debugger, and questions to it.
 *
 * Every print goes into the circular buffer that !dbgprint reads, and, when its component's mask lets it
 * pass and a debugger listens, over the wire, where it needs no answer but the acknowledgement.  After
 * each one the line is polled for a 'b'; the caller of DbgPrint then breaks in.
 */
#include "kdp.h"

#define KDP_PRINT_BUFFER_SIZE 0x1000
#define KDP_MAX_TEXT 512 /* NT's limit for one DbgPrint */

static CHAR KdPrintDefaultCircularBuffer[KDP_PRINT_BUFFER_SIZE];
PCHAR KdPrintCircularBuffer = KdPrintDefaultCircularBuffer;
PCHAR KdPrintWritePointer = KdPrintDefaultCircularBuffer;
ULONG KdPrintBufferSize = KDP_PRINT_BUFFER_SIZE;
ULONG KdPrintRolloverCount;

/* Levels that pass: bit n for level n; a level above 31 is itself a mask. */
ULONG Kd_WIN2000_Mask = 0x1;
ULONG Kd_DEFAULT_Mask = 0xF; /* NT's registry default is 0; this kernel wants its DbgPrints seen */
ULONG Kd_IHVDRIVER_Mask = 0xF;

#define DPFLTR_IHVDRIVER_ID 77
#define DPFLTR_DEFAULT_ID 101

static BOOLEAN KdpPasses(ULONG ComponentId, ULONG Level)
{
  ULONG Bits = Level > 31 ? Level : 1u << Level;
  ULONG Mask = ComponentId == DPFLTR_DEFAULT_ID     ? Kd_DEFAULT_Mask
               : ComponentId == DPFLTR_IHVDRIVER_ID ? Kd_IHVDRIVER_Mask
                                                    : 0;

  return ComponentId == MAXULONG || ((Mask | Kd_WIN2000_Mask) & Bits) != 0;
}

static volatile LONG KdpPrintLock;
#define KDP_PRINT_LOCK_SPINS 1000000u

/*
 * Never called while the machine is frozen, so whoever holds the lock runs, unless a bugcheck has stopped it
 * for good: hence the limit.
 */
static VOID KdpLogText(const CHAR *Text, ULONG Length)
{
  BOOLEAN Enable = KeDisableInterrupts();
  ULONG Spins;

  for (Spins = 0; Spins < KDP_PRINT_LOCK_SPINS && InterlockedCompareExchange(&KdpPrintLock, 1, 0); Spins++) {
    YieldProcessor();
  }
  while (Length--) {
    *KdPrintWritePointer++ = *Text++;
    if (KdPrintWritePointer == KdPrintCircularBuffer + KdPrintBufferSize) {
      KdPrintWritePointer = KdPrintCircularBuffer;
      KdPrintRolloverCount++;
    }
  }
  InterlockedExchange(&KdpPrintLock, 0);
  if (Enable) {
    KiEnableInterrupts();
  }
}

ULONG KdpCaptureBytes(ULONG64 From, PVOID To, ULONG Length, ULONG Limit, KPROCESSOR_MODE PreviousMode)
{
  ULONG Actual = 0;

  Length = min(Length, Limit);
  if (PreviousMode != KernelMode && (From >= MmUserProbeAddress || From + Length > MmUserProbeAddress)) {
    return 0;
  }
  KdpCopyMemoryChunks(From, To, Length, 0, 0, &Actual);
  return Actual;
}

static VOID KdpSetDebugIo(DBGKD_DEBUG_IO *DebugIo, ULONG ApiNumber, PSTRING Header)
{
  PKPRCB Prcb = KeGetCurrentPrcb();

  KdpZeroMemory(DebugIo, sizeof(*DebugIo));
  DebugIo->ApiNumber = ApiNumber;
  DebugIo->ProcessorLevel = (USHORT)(UCHAR)Prcb->CpuType;
  DebugIo->Processor = (USHORT)Prcb->Number;
  Header->Buffer = (PCHAR)DebugIo;
  Header->Length = Header->MaximumLength = sizeof(*DebugIo);
}

/* TRUE when a 'b' came in. */
static BOOLEAN KdpPrintString(PSTRING Text)
{
  DBGKD_DEBUG_IO DebugIo;
  STRING Header;

  KdpSetDebugIo(&DebugIo, DbgKdPrintStringApi, &Header);
  DebugIo.u.PrintString.LengthOfString = Text->Length;
  KdSendPacket(PACKET_TYPE_KD_DEBUG_IO, &Header, Text, &KdpContext);
  return KdpPollBreakInWithPortLock();
}

NTSTATUS KdpPrint(ULONG ComponentId, ULONG Level, ULONG64 Text, USHORT Length, KPROCESSOR_MODE PreviousMode,
                  PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  CHAR Buffer[KDP_MAX_TEXT];
  NTSTATUS Status = STATUS_SUCCESS;
  BOOLEAN Enable;
  STRING Output;

  if (!KdpPasses(ComponentId, Level)) {
    return STATUS_SUCCESS;
  }
  if (KdpOwnsMachine()) {
    return STATUS_SUCCESS; /* the debugger itself wants to print: it must not talk twice at a time */
  }
  Output.Buffer = Buffer;
  Output.Length = (USHORT)KdpCaptureBytes(Text, Buffer, Length, sizeof(Buffer), PreviousMode);
  Output.MaximumLength = sizeof(Buffer);
  KdpLogText(Output.Buffer, Output.Length);
  if (!KdDebuggerEnabled || KdDebuggerNotPresent) {
    return STATUS_DEVICE_NOT_CONNECTED;
  }
  Enable = KdEnterDebugger(TrapFrame, ExceptionFrame);
  if (KdpPrintString(&Output)) {
    Status = STATUS_BREAKPOINT;
  }
  KdExitDebugger(Enable);
  return Status;
}

/* Asks until the answer is there; the answer lies in KdpMessageBuffer. */
static ULONG KdpPromptString(PSTRING Prompt, USHORT MaximumLength)
{
  DBGKD_DEBUG_IO DebugIo;
  STRING Header, Answer;
  ULONG Length = 0;
  KDSTATUS Status;

  Answer.Buffer = KdpMessageBuffer;
  Answer.MaximumLength = KDP_MESSAGE_BUFFER_SIZE;
  do {
    KdpSetDebugIo(&DebugIo, DbgKdGetStringApi, &Header);
    DebugIo.u.GetString.LengthOfPromptString = Prompt->Length;
    DebugIo.u.GetString.LengthOfStringRead = MaximumLength;
    KdSendPacket(PACKET_TYPE_KD_DEBUG_IO, &Header, Prompt, &KdpContext);
    do { /* a person is typing: NT waits as long as it takes */
      Status = KdReceivePacket(PACKET_TYPE_KD_DEBUG_IO, &Header, &Answer, &Length, &KdpContext);
    } while (Status == KDP_PACKET_TIMEOUT);
  } while (Status != KDP_PACKET_RECEIVED);
  return min(Length, (ULONG)MaximumLength);
}

/* Returns the bytes that were put into Response; it gets no terminator, as in NT. */
ULONG KdpPrompt(ULONG64 PromptText, USHORT PromptLength, ULONG64 Response, USHORT MaximumLength,
                KPROCESSOR_MODE PreviousMode, PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  CHAR Buffer[KDP_MAX_TEXT];
  STRING Prompt;
  ULONG Length, Actual = 0;
  BOOLEAN Enable;

  if (!KdDebuggerEnabled || KdDebuggerNotPresent || KdpOwnsMachine()) {
    return 0;
  }
  if (PreviousMode != KernelMode &&
      (Response >= MmUserProbeAddress || Response + MaximumLength > MmUserProbeAddress)) {
    return 0;
  }
  Prompt.Buffer = Buffer;
  Prompt.Length = (USHORT)KdpCaptureBytes(PromptText, Buffer, PromptLength, sizeof(Buffer), PreviousMode);
  Prompt.MaximumLength = sizeof(Buffer);
  KdpLogText(Prompt.Buffer, Prompt.Length);
  Enable = KdEnterDebugger(TrapFrame, ExceptionFrame);
  Length = KdpPromptString(&Prompt, MaximumLength);
  KdpCopyMemoryChunks(Response, KdpMessageBuffer, Length, 0, MMDBG_COPY_WRITE, &Actual);
  Length = min(Length, (ULONG)sizeof(Buffer));
  KdpMoveMemory(Buffer, KdpMessageBuffer, Length);
  KdExitDebugger(Enable);
  KdpLogText(Buffer, Length);
  return Actual;
}
