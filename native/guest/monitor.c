/*
 * monitor.c: CPUID's hypervisor leaf, and VMware's backdoor: IN from port 5658 with a magic number in EAX.
 *
 *                     in: EAX 564D5868  EBX argument  CX command  DX 5658     out
 *   version           command 0A                                             EBX 564D5868
 *   GuestRPC          command 1E, what to do in ECX's upper half, the channel in EDX's upper half
 *     open            0   EBX 'RPCI' | flags                                 ECX bit 16: done   EDX upper half: channel
 *     send length     1   EBX bytes                                          ECX bit 16: done
 *     send            2   EBX four bytes                                     ECX bit 16: done
 *     close           6                                                      ECX bit 16: done
 *
 * On bare metal, where nothing answers at that port, IN in ring 0 reads ones and changes no other register. VMware asks
 * for channel cookies in ESI and EDI. QEMU knows the version command alone.
 * Source: VMware's open-vm-tools, as documentation. Only the version command could be tried where this was written.
 */
#include "monitor.h"
#include "mailbox.h"

#define BACKDOOR_MAGIC 0x564D5868u
#define BACKDOOR_PORT 0x5658u
#define COMMAND_VERSION 10u
#define COMMAND_MESSAGE 30u
#define MESSAGE_OPEN 0u
#define MESSAGE_SEND_LENGTH 1u
#define MESSAGE_SEND 2u
#define MESSAGE_CLOSE 6u
#define MESSAGE_DONE 0x10000u
#define RPCI_WITH_COOKIE (0x49435052u | 0x80000000u)

typedef struct _REGISTERS {
  ULONG Eax, Ebx, Ecx, Edx, Esi, Edi;
} REGISTERS;

static VOID Cpuid(ULONG Leaf, REGISTERS *R)
{
  __asm__ volatile("cpuid" : "=a"(R->Eax), "=b"(R->Ebx), "=c"(R->Ecx), "=d"(R->Edx) : "a"(Leaf), "c"(0));
}

static VOID Backdoor(REGISTERS *R)
{
  R->Eax = BACKDOOR_MAGIC;
  R->Edx = (R->Edx & 0xFFFF0000u) | BACKDOOR_PORT;
  __asm__ volatile("inl %%dx, %%eax"
                   : "+a"(R->Eax), "+b"(R->Ebx), "+c"(R->Ecx), "+d"(R->Edx), "+S"(R->Esi), "+D"(R->Edi)
                   :
                   : "memory");
}

static BOOLEAN IsSignature(const REGISTERS *R, PCSTR Signature)
{
  const UCHAR *S = (const UCHAR *)Signature;
  ULONG Words[3] = {R->Ebx, R->Ecx, R->Edx};

  for (ULONG I = 0; I < 12; I++)
    if ((Words[I / 4] >> I % 4 * 8 & 0xFF) != S[I]) return FALSE;
  return TRUE;
}

ULONG MonitorFind(VOID)
{
  REGISTERS Features, Vendor = {0}, Version = {.Ebx = ~BACKDOOR_MAGIC, .Ecx = COMMAND_VERSION};

  Cpuid(1, &Features);
  if (Features.Ecx >> 31 & 1) Cpuid(0x40000000, &Vendor);
  if (IsSignature(&Vendor, "VMwareVMware")) return MAILBOX_MONITOR_VMWARE;
  if (IsSignature(&Vendor, "TCGTCGTCGTCG") || IsSignature(&Vendor, "KVMKVMKVM\0\0\0")) return MAILBOX_MONITOR_QEMU;
  Backdoor(&Version); /* VMware may be told to hide from CPUID */
  return Version.Ebx == BACKDOOR_MAGIC ? MAILBOX_MONITOR_VMWARE : 0;
}

static BOOLEAN Message(REGISTERS *Channel, ULONG What, ULONG Argument)
{
  REGISTERS R = *Channel;

  R.Ebx = Argument;
  R.Ecx = What << 16 | COMMAND_MESSAGE;
  Backdoor(&R);
  if (!(R.Ecx & MESSAGE_DONE)) return FALSE;
  if (What == MESSAGE_OPEN) {
    Channel->Edx = R.Edx & 0xFFFF0000u;
    Channel->Esi = R.Esi;
    Channel->Edi = R.Edi;
  }
  return TRUE;
}

static ULONG Append(PCHAR Text, ULONG At, PCSTR More)
{
  while (*More) Text[At++] = *More++;
  return At;
}

static ULONG AppendHex(PCHAR Text, ULONG At, ULONG64 Value)
{
  for (ULONG I = 0; I < 16; I++) Text[At++] = "0123456789abcdef"[(ULONG)(Value >> (60 - I * 4)) & 15];
  return At;
}

BOOLEAN MonitorAnnounce(ULONG64 Physical, ULONG64 Nonce)
{
  REGISTERS Channel = {0};
  CHAR Text[80] = {0};
  BOOLEAN Sent;
  ULONG Length;

  Length = Append(Text, 0, "info-set guestinfo.vmkd.mailbox ");
  Length = AppendHex(Text, Length, Physical);
  Length = Append(Text, Length, " ");
  Length = AppendHex(Text, Length, Nonce);
  if (!Message(&Channel, MESSAGE_OPEN, RPCI_WITH_COOKIE)) return FALSE;
  Sent = Message(&Channel, MESSAGE_SEND_LENGTH, Length);
  for (ULONG I = 0; Sent && I < Length; I += 4) {
    const UCHAR *Four = (const UCHAR *)Text + I;

    Sent = Message(&Channel, MESSAGE_SEND, Four[0] | Four[1] << 8 | Four[2] << 16 | (ULONG)Four[3] << 24);
  }
  Message(&Channel, MESSAGE_CLOSE, 0);
  return Sent;
}
