/*
 * monitor.h: whether this is a virtual machine whose memory a host program can see, and telling VMware's host of us.
 */
#ifndef VMKD_MONITOR_H
#define VMKD_MONITOR_H

#include "types.h"

/* MAILBOX_MONITOR_*; 0 if this is neither VMware nor QEMU. */
ULONG MonitorFind(VOID);

/* Sets VMware's guestinfo.vmkd.mailbox to "PHYSICAL NONCE", both in hexadecimal. FALSE if VMware does not take it. */
BOOLEAN MonitorAnnounce(ULONG64 Physical, ULONG64 Nonce);

#endif
