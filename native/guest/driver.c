/*
 * driver.c: vmkd.sys comes and goes. docs/guest-module.md lists how loading can fail, and what to do.
 *
 *   DriverEntry   monitor? KD on? ─▶ mailbox ─▶ kernel and kdcom ─▶ takeover ─▶ does the kernel call us? ─▶ announce
 *   Unload        undo the takeover ─▶ State LEAVING ─▶ the host lets go, or has been silent long ─▶ free the mailbox
 *
 * Invariants: a load that fails leaves nothing behind but, if the mailbox could be made, one page that says why. The
 * mailbox's pages are given back only when the host cannot write to them any more.
 */
#include "crc.h"
#include "hook.h"
#include "monitor.h"

#define MODULE_BUILD 1u
#define POOL_TAG 0x646B6D76u /* 'vmkd' */
#define MS (-10000)          /* of KeDelayExecutionThread */

#define FIRST_CALL_MS 1000u /* the kernel polls at each clock tick */
#define CALIBRATION_MS 40u
#define ASSUMED_TICKS_PER_MS 4000000u /* if the clock says nonsense: a fast processor's, so that waits come out too long */
#define LEAVE_MS 10000u
#define LEAVE_SILENCE_MS 3000u

static MAILBOX *Mailbox;

static VOID Say(PCSTR What, NTSTATUS Status)
{
  DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "vmkd: not loaded, status %08x: %s\n", (ULONG)Status, What);
}

static VOID Sleep(ULONG Milliseconds)
{
  LARGE_INTEGER Interval;

  Interval.QuadPart = (LONG64)Milliseconds * MS;
  KeDelayExecutionThread(0, FALSE, &Interval);
}

static ULONG64 ReadTime(const volatile SYSTEM_TIME *Time)
{
  LONG High;
  ULONG Low;

  do {
    High = Time->High1Time;
    Low = Time->LowPart;
  } while (High != Time->High2Time);
  return (ULONG64)(ULONG)High << 32 | Low;
}

/* Another one at each load: what a stale mailbox in old memory is told from a new one by. */
static ULONG64 MakeNonce(VOID)
{
  ULONG64 Mix = LinkTicks() ^ ReadTime(&SharedData->SystemTimeUtc) << 20 ^ ReadTime(&SharedData->InterruptTime) << 44;

  Mix = (Mix ^ Mix >> 30) * 0xBF58476D1CE4E5B9u;
  Mix = (Mix ^ Mix >> 27) * 0x94D049BB133111EBu;
  return (Mix ^ Mix >> 31) | 1;
}

static MAILBOX *AllocatePages(ULONG Count)
{
  int Pool = (NtBuildNumber & 0xFFFF) >= WINDOWS_8_BUILD ? NON_PAGED_POOL_NX : NON_PAGED_POOL;
  ULONG Bytes = Count * MAILBOX_PAGE_BYTES;
  UCHAR *Pages = ExAllocatePoolWithTag(Pool, Bytes, POOL_TAG);

  if (!Pages) return 0;
  if ((ULONG_PTR)Pages & (MAILBOX_PAGE_BYTES - 1)) { /* the pool gives whole pages whole; but who knows */
    ExFreePoolWithTag(Pages, POOL_TAG);
    return 0;
  }
  for (ULONG I = 0; I < Bytes; I++) ((volatile UCHAR *)Pages)[I] = 0;
  return (MAILBOX *)Pages;
}

/* Fills in all but the magic; the frames are wherever the pool's pages happen to be. */
static VOID Describe(MAILBOX *Box, ULONG PageCount, ULONG Monitor)
{
  MAILBOX_HEADER *Header = &Box->Header;

  Header->Version = MAILBOX_VERSION;
  Header->PageCount = PageCount;
  Header->Nonce = MakeNonce();
  Header->SlotCount = MAILBOX_SLOT_COUNT;
  Header->SlotBytes = MAILBOX_SLOT_BYTES;
  Header->Machine = sizeof(PVOID) == 8 ? 0x8664 : 0x14C;
  Header->ModuleBuild = MODULE_BUILD;
  Header->LoadTime = ReadTime(&SharedData->SystemTimeUtc);
  for (ULONG I = 0; I < PageCount; I++)
    Box->Frames[I] = (ULONG64)MmGetPhysicalAddress((UCHAR *)Box + I * MAILBOX_PAGE_BYTES).QuadPart / MAILBOX_PAGE_BYTES;
  Box->Guest.Nonce = Header->Nonce;
  Box->Guest.Monitor = Monitor;
}

/* From now on the host may find it. */
static VOID Show(MAILBOX *Box, ULONG State, NTSTATUS Status)
{
  MAILBOX_HEADER *Header = &Box->Header;
  volatile UCHAR *Magic = Header->Magic;

  Box->Guest.Status = Status;
  Box->Guest.State = State;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (ULONG I = 0; I < sizeof(Header->Magic); I++) Magic[I] = (UCHAR)MAILBOX_MAGIC[I];
  Header->Checksum = CrcAdd(0, Header, offsetof(MAILBOX_HEADER, Checksum));
  Header->Checksum = CrcAdd(Header->Checksum, Box->Frames, Header->PageCount * sizeof(ULONG64));
}

static VOID Hide(MAILBOX *Box)
{
  for (ULONG I = 0; I < sizeof(Box->Header.Magic); I++) ((volatile UCHAR *)Box->Header.Magic)[I] = 0;
  Box->Header.Nonce = 0;
  Box->Guest.Nonce = 0;
}

/* One page that stays for good and tells the host why the load failed. */
static VOID LeaveNotice(ULONG Monitor, NTSTATUS Status)
{
  MAILBOX *Notice = AllocatePages(1);

  if (!Notice) return;
  Describe(Notice, 1, Monitor);
  Show(Notice, MAILBOX_STATE_FAILED, Status);
}

static NTSTATUS Fail(ULONG Monitor, NTSTATUS Status, PCSTR Why)
{
  Say(Why, Status);
  LeaveNotice(Monitor, Status);
  return Status;
}

/* Waits for the kernel's first poll, and finds out on the way how fast the time-stamp counter runs. */
static BOOLEAN KernelCallsUs(VOID)
{
  ULONG64 Time = ReadTime(&SharedData->InterruptTime), Ticks = LinkTicks();
  ULONG Milliseconds = 0;

  for (ULONG Turns = 0; Turns < FIRST_CALL_MS; Turns++) { /* bounded, should the clock stand still */
    if (Milliseconds >= FIRST_CALL_MS || (HookLink.Polls && Milliseconds >= CALIBRATION_MS)) break;
    Sleep(5);
    /* In 32 bits: no compiler of x86 then calls for help. */
    Milliseconds = (ULONG)(ReadTime(&SharedData->InterruptTime) - Time) / 10000u;
  }
  Ticks = LinkTicks() - Ticks;
  if (Milliseconds >= CALIBRATION_MS && (ULONG)(Ticks >> 10) / Milliseconds)
    HookLink.TicksPerMillisecond = (ULONG64)((ULONG)(Ticks >> 10) / Milliseconds) << 10;
  return HookLink.Polls != 0;
}

/* The host writes nothing any more when it has let go; or when it is dead, as far as one can see. */
static BOOLEAN HostLetsGo(VOID)
{
  volatile MAILBOX_HOST *Host = &Mailbox->Host;
  ULONG Beat = Host->Beat, Silence = 0;

  for (ULONG Waited = 0; Waited < LEAVE_MS; Waited += 10) {
    if (Host->Epoch == 0) return TRUE;
    Sleep(10);
    Silence = Host->Beat == Beat ? Silence + 10 : 0;
    Beat = Host->Beat;
    Mailbox->Guest.Beat = ++HookLink.Beat;
    if (Silence >= LEAVE_SILENCE_MS) return TRUE;
  }
  return FALSE;
}

static VOID CloseMailbox(VOID)
{
  LinkLeave(&HookLink, MAILBOX_LEFT_UNLOAD);
  Mailbox->Guest.State = MAILBOX_STATE_LEAVING;
  if (!HostLetsGo()) return; /* it may write yet: those pages stay ours */
  Hide(Mailbox);
  ExFreePoolWithTag(Mailbox, POOL_TAG);
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
  (void)DriverObject;
  if (!TakeoverUndo()) {
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL,
               "vmkd: another driver has taken over KD after us; waiting for it to give that back\n");
    do Sleep(1000);
    while (!TakeoverUndo());
  }
  CloseMailbox();
}

/* With memory integrity on, the hypervisor lets nobody write to the kernel's images, by whatever mapping. */
static BOOLEAN ImagesAreSealed(VOID)
{
  SYSTEM_CODE_INTEGRITY Integrity = {sizeof(Integrity), 0};

  return NT_SUCCESS(ZwQuerySystemInformation(SYSTEM_CODE_INTEGRITY_INFORMATION, &Integrity, sizeof(Integrity), 0)) &&
         (Integrity.Options & CODE_INTEGRITY_HVCI);
}

/* The gentle way first; but only whether the kernel then calls us shows that it was one. */
static NTSTATUS TakeOver(const TRANSPORT *Transport)
{
  CALLS Hooks = {HookSendPacket, HookReceivePacket}, Originals = {Transport->SendPacket, Transport->ReceivePacket};
  BOOLEAN Changed = FALSE;

  HookInitialize(&Originals);
  if (TakeoverImports(Transport, &Hooks)) {
    Mailbox->Guest.Takeover = MAILBOX_TAKEOVER_IMPORTS;
    if (KernelCallsUs()) return STATUS_SUCCESS;
    Changed = TRUE;
    while (!TakeoverUndo()) Sleep(100);
  }
  if (TakeoverEntries(Transport, &Hooks, HookInitialize)) {
    Mailbox->Guest.Takeover = MAILBOX_TAKEOVER_ENTRIES;
    if (KernelCallsUs()) return STATUS_SUCCESS;
    Changed = TRUE;
    while (!TakeoverUndo()) Sleep(100);
  }
  return Changed ? STATUS_NOT_FOUND : STATUS_ACCESS_DENIED;
}

static NTSTATUS Start(ULONG Monitor)
{
  TRANSPORT Transport;
  NTSTATUS Status = ModulesFindTransport(&Transport);

  if (Status == STATUS_DLL_NOT_FOUND) return Fail(Monitor, Status, "no module is kdcom, the kernel's debugger transport");
  if (Status == STATUS_ENTRYPOINT_NOT_FOUND) return Fail(Monitor, Status, "kdcom lacks KdSendPacket or KdReceivePacket");
  if (!NT_SUCCESS(Status)) return Fail(Monitor, Status, "no memory for the list of modules");
  if (ImagesAreSealed()) return Fail(Monitor, STATUS_ACCESS_DENIED, "memory integrity (HVCI) is on");
  LinkInitialize(&HookLink, Mailbox, ASSUMED_TICKS_PER_MS);
  Status = TakeOver(&Transport);
  if (Status == STATUS_ACCESS_DENIED) return Fail(Monitor, Status, "the kernel's way to kdcom cannot be changed");
  if (Status == STATUS_NOT_FOUND) return Fail(Monitor, Status, "the kernel does not call what was put in kdcom's place");
  return STATUS_SUCCESS;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
  ULONG Monitor = MonitorFind();
  ULONG64 Physical;
  NTSTATUS Status;

  (void)RegistryPath;
  if (!Monitor) {
    Say("this is no virtual machine of VMware or QEMU", STATUS_NOT_SUPPORTED);
    return STATUS_NOT_SUPPORTED;
  }
  CrcInitialize();
  if (!KdDebuggerEnabled)
    return Fail(Monitor, STATUS_DEBUGGER_INACTIVE, "kernel debugging is off: bcdedit /debug on, and reboot");
  Mailbox = AllocatePages(MAILBOX_PAGES);
  if (!Mailbox) {
    Say("no memory for the mailbox", STATUS_INSUFFICIENT_RESOURCES);
    return STATUS_INSUFFICIENT_RESOURCES;
  }
  Describe(Mailbox, MAILBOX_PAGES, Monitor);
  Status = Start(Monitor);
  if (!NT_SUCCESS(Status)) {
    ExFreePoolWithTag(Mailbox, POOL_TAG);
    return Status;
  }
  Show(Mailbox, MAILBOX_STATE_READY, STATUS_SUCCESS);
  DriverObject->DriverUnload = Unload;
  Physical = Mailbox->Frames[0] * MAILBOX_PAGE_BYTES;
  if (Monitor == MAILBOX_MONITOR_VMWARE) MonitorAnnounce(Physical, HookLink.Nonce);
  DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "vmkd: mailbox at %08x`%08x, nonce %08x`%08x\n",
             (ULONG)(Physical >> 32), (ULONG)Physical, (ULONG)(HookLink.Nonce >> 32), (ULONG)HookLink.Nonce);
  return STATUS_SUCCESS;
}
