/*
 * packet.c - KDCOM as the target speaks it: framing, ids, acknowledgements, retries.
 *
 * Two ids run, one per direction; each toggles bit 0 when a data packet has been accepted:
 *
 *            KdSendPacket                                KdReceivePacket
 *   send(CurrentPacketId)                        wait for a leader
 *     wait for an acknowledgement                  ACK      ours: done; another's: ignored
 *       ACK of CurrentPacketId & ~SYNC  -> done    RESEND   the caller sends again
 *       RESEND, RESET                   -> again   RESET    both ids to INITIAL, answered, sent again
 *       time-out                  -> again, fewer  data     acknowledged first, then compared with
 *                                    retries left           RemotePacketId: a duplicate is dropped
 *
 * SYNC is set in the very first id, and again after a debugger was given up: it tells the peer to
 * forget its own ids.  Only prints, load-symbols notices and file opens are ever given up; a state
 * change or a reply waits for its debugger as long as it takes, as NT does.
 *
 * Source of truth: behaviour of NT's kdcom.dll as seen on the wire.
 */
#include "kdcom.h"

/* Until somebody has answered once the waits are short: a machine without a debugger boots on. */
#define ACK_FIRST_CONTACT_MICROSECONDS 150000
#define ACK_MICROSECONDS 250000
#define LEADER_MICROSECONDS 250000
#define BYTE_MICROSECONDS 100000

#define RETRIES_FIRST_CONTACT 5
#define RETRIES_MAXIMUM 20

static ULONG CurrentPacketId = INITIAL_PACKET_ID | SYNC_PACKET_ID;
static ULONG RemotePacketId = INITIAL_PACKET_ID;
static BOOLEAN DebuggerHeard;

static ULONG Sum(const VOID *Buffer, ULONG Length)
{
  const UCHAR *Bytes = Buffer;
  ULONG Total = 0;

  while (Length--) {
    Total += *Bytes++;
  }
  return Total;
}

static VOID SendControlPacket(USHORT PacketType, ULONG PacketId)
{
  KD_PACKET Packet = {PACKET_LEADER_CONTROL, PacketType, 0, PacketId, 0};

  UartBeginPacket();
  UartPutBytes(&Packet, sizeof(Packet));
}

/*
 * Finds four equal leader bytes.  A 'b' just before them is remembered for KdPollBreakIn; a 'b' with
 * silence after it ends the read, so that a stopped target reports its state to a new debugger.
 */
static KDSTATUS ReceiveLeader(ULONG Microseconds, PULONG Leader, PKD_CONTEXT KdContext)
{
  BOOLEAN BreakIn = FALSE;
  UCHAR Previous = 0, Byte;
  ULONG Matched = 0;

  while (Matched < 4) {
    switch (UartGetByte(&Byte, Matched ? BYTE_MICROSECONDS : Microseconds)) {
    case UartNoData:
      if (BreakIn) {
        KdContext->KdpControlCPending = TRUE;
        return KDP_PACKET_RESEND;
      }
      return KDP_PACKET_TIMEOUT;
    case UartError:
      Matched = 0;
      break;
    case UartSuccess:
      if (Byte == PACKET_LEADER_BYTE_DATA || Byte == PACKET_LEADER_BYTE_CONTROL) {
        Matched = Byte == Previous ? Matched + 1 : 1;
      } else {
        BreakIn = Byte == BREAKIN_PACKET_BYTE;
        Matched = 0;
      }
      Previous = Byte;
      break;
    }
  }
  if (BreakIn) {
    KdContext->KdpControlCPending = TRUE;
  }
  *Leader = Previous == PACKET_LEADER_BYTE_DATA ? PACKET_LEADER_DATA : PACKET_LEADER_CONTROL;
  return KDP_PACKET_RECEIVED;
}

static BOOLEAN ReceiveBytes(PVOID Buffer, ULONG Length)
{
  PUCHAR Bytes = Buffer;

  while (Length--) {
    if (UartGetByte(Bytes++, BYTE_MICROSECONDS) != UartSuccess) {
      return FALSE;
    }
  }
  return TRUE;
}

/* Reads Length payload bytes that have no home, adding them to the checksum. */
static BOOLEAN SkipBytes(ULONG Length, PULONG Checksum)
{
  UCHAR Byte;

  while (Length--) {
    if (UartGetByte(&Byte, BYTE_MICROSECONDS) != UartSuccess) {
      return FALSE;
    }
    *Checksum += Byte;
  }
  return TRUE;
}

/* The rest of a data packet.  Wanted packets fill the two buffers, others are read and thrown away. */
static BOOLEAN ReceivePayload(const KD_PACKET *Packet, BOOLEAN Wanted, PSTRING MessageHeader,
                              PSTRING MessageData, PULONG DataLength)
{
  ULONG Checksum = 0, Rest = Packet->ByteCount;
  UCHAR Trailer;

  if (Packet->ByteCount > PACKET_MAX_SIZE) {
    return FALSE;
  }
  if (Wanted) {
    ULONG Data;

    if (Packet->ByteCount < MessageHeader->MaximumLength) {
      return FALSE;
    }
    Data = Packet->ByteCount - MessageHeader->MaximumLength;
    if (Data > (MessageData ? MessageData->MaximumLength : 0u)) {
      return FALSE;
    }
    if (!ReceiveBytes(MessageHeader->Buffer, MessageHeader->MaximumLength)) {
      return FALSE;
    }
    MessageHeader->Length = MessageHeader->MaximumLength;
    Checksum = Sum(MessageHeader->Buffer, MessageHeader->Length);
    if (Data) {
      if (!ReceiveBytes(MessageData->Buffer, Data)) {
        return FALSE;
      }
      Checksum += Sum(MessageData->Buffer, Data);
    }
    if (MessageData) {
      MessageData->Length = (USHORT)Data;
    }
    if (DataLength) {
      *DataLength = Data;
    }
    Rest = 0;
  }
  return SkipBytes(Rest, &Checksum) && ReceiveBytes(&Trailer, 1) && Trailer == PACKET_TRAILING_BYTE &&
         Checksum == Packet->Checksum;
}

static VOID HeardDebugger(PKD_CONTEXT KdContext)
{
  DebuggerHeard = TRUE;
  KdDebuggerNotPresent = FALSE;
  KdContext->KdpDefaultRetries = RETRIES_MAXIMUM;
}

static VOID GiveUpDebugger(PKD_CONTEXT KdContext)
{
  DebuggerHeard = FALSE;
  KdDebuggerNotPresent = TRUE;
  KdContext->KdpDefaultRetries = RETRIES_FIRST_CONTACT;
  CurrentPacketId = INITIAL_PACKET_ID | SYNC_PACKET_ID;
  RemotePacketId = INITIAL_PACKET_ID;
}

static KDSTATUS PollBreakIn(VOID)
{
  UCHAR Byte;

  return UartGetByte(&Byte, 0) == UartSuccess && Byte == BREAKIN_PACKET_BYTE ? KDP_PACKET_RECEIVED
                                                                             : KDP_PACKET_TIMEOUT;
}

KDSTATUS KdReceivePacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData, PULONG DataLength,
                         PKD_CONTEXT KdContext)
{
  BOOLEAN AwaitingAck = PacketType == PACKET_TYPE_KD_ACKNOWLEDGE;
  ULONG Limit = !AwaitingAck    ? LEADER_MICROSECONDS
                : DebuggerHeard ? ACK_MICROSECONDS
                                : ACK_FIRST_CONTACT_MICROSECONDS;

  if (PacketType == PACKET_TYPE_KD_POLL_BREAKIN) {
    return PollBreakIn();
  }

  for (;;) {
    KD_PACKET Packet;
    BOOLEAN Wanted;
    KDSTATUS Status = ReceiveLeader(Limit, &Packet.PacketLeader, KdContext);

    if (Status != KDP_PACKET_RECEIVED) {
      return Status;
    }
    if (!ReceiveBytes(&Packet.PacketType, sizeof(Packet) - sizeof(Packet.PacketLeader))) {
      if (Packet.PacketLeader == PACKET_LEADER_DATA) {
        SendControlPacket(PACKET_TYPE_KD_RESEND, 0);
      }
      continue;
    }

    if (Packet.PacketLeader == PACKET_LEADER_CONTROL) {
      switch (Packet.PacketType) {
      case PACKET_TYPE_KD_ACKNOWLEDGE:
        if (AwaitingAck && Packet.PacketId == (CurrentPacketId & ~SYNC_PACKET_ID)) {
          CurrentPacketId ^= 1;
          HeardDebugger(KdContext);
          return KDP_PACKET_RECEIVED;
        }
        break; /* of a packet long past */
      case PACKET_TYPE_KD_RESET:
        CurrentPacketId = INITIAL_PACKET_ID;
        RemotePacketId = INITIAL_PACKET_ID;
        SendControlPacket(PACKET_TYPE_KD_RESET, 0);
        HeardDebugger(KdContext);
        return KDP_PACKET_RESEND;
      case PACKET_TYPE_KD_RESEND:
        return KDP_PACKET_RESEND;
      default:
        break;
      }
      continue;
    }

    Wanted = !AwaitingAck && Packet.PacketType == PacketType;
    if (!ReceivePayload(&Packet, Wanted, MessageHeader, MessageData, DataLength)) {
      SendControlPacket(PACKET_TYPE_KD_RESEND, 0);
      continue;
    }
    if (AwaitingAck && Packet.PacketId == RemotePacketId) {
      /* The peer went on, so it has our packet; ask for its own again, which has no buffer here. */
      SendControlPacket(PACKET_TYPE_KD_RESEND, 0);
      CurrentPacketId ^= 1;
      HeardDebugger(KdContext);
      return KDP_PACKET_RECEIVED;
    }
    /* As NT: acknowledged whatever its type, and dropped if it is not the awaited one; its id may come again. */
    SendControlPacket(PACKET_TYPE_KD_ACKNOWLEDGE, Packet.PacketId);
    if (Wanted && Packet.PacketId == RemotePacketId) {
      RemotePacketId ^= 1;
      HeardDebugger(KdContext);
      return KDP_PACKET_RECEIVED;
    }
  }
}

/* Whether the packet is one that the machine can live without: see the head of this file. */
static BOOLEAN MayBeAbandoned(ULONG PacketType, const STRING *MessageHeader)
{
  ULONG First;

  if (MessageHeader->Length < sizeof(First)) {
    return FALSE;
  }
  First = *(const ULONG *)MessageHeader->Buffer;
  switch (PacketType) {
  case PACKET_TYPE_KD_DEBUG_IO:
    return First == DbgKdPrintStringApi;
  case PACKET_TYPE_KD_STATE_CHANGE64:
    return First == DbgKdLoadSymbolsStateChange;
  case PACKET_TYPE_KD_FILE_IO:
    return First == DbgKdCreateFileApi;
  default:
    return FALSE;
  }
}

VOID KdSendPacket(ULONG PacketType, PSTRING MessageHeader, PSTRING MessageData, PKD_CONTEXT KdContext)
{
  static const UCHAR Trailer = PACKET_TRAILING_BYTE;
  ULONG Retries = KdContext->KdpDefaultRetries;
  ULONG DataLength = MessageData ? MessageData->Length : 0;
  KD_PACKET Packet;
  KDSTATUS Status;

  if (MessageHeader->Length + DataLength > PACKET_MAX_SIZE) {
    DataLength = PACKET_MAX_SIZE - MessageHeader->Length;
  }
  Packet.PacketLeader = PACKET_LEADER_DATA;
  Packet.PacketType = (USHORT)PacketType;
  Packet.ByteCount = (USHORT)(MessageHeader->Length + DataLength);
  Packet.Checksum = Sum(MessageHeader->Buffer, MessageHeader->Length);
  if (DataLength) {
    Packet.Checksum += Sum(MessageData->Buffer, DataLength);
  }

  do {
    if (Retries == 0 && MayBeAbandoned(PacketType, MessageHeader)) {
      GiveUpDebugger(KdContext);
      return;
    }
    Packet.PacketId = CurrentPacketId; /* a RESET on the way has changed it */
    UartBeginPacket();
    UartPutBytes(&Packet, sizeof(Packet));
    UartPutBytes(MessageHeader->Buffer, MessageHeader->Length);
    if (DataLength) {
      UartPutBytes(MessageData->Buffer, DataLength);
    }
    UartPutBytes(&Trailer, sizeof(Trailer));

    Status = KdReceivePacket(PACKET_TYPE_KD_ACKNOWLEDGE, NULL, NULL, NULL, KdContext);
    if (Status == KDP_PACKET_TIMEOUT && Retries > 0) {
      Retries--;
    }
  } while (Status != KDP_PACKET_RECEIVED);
  CurrentPacketId &= ~SYNC_PACKET_ID;
}
