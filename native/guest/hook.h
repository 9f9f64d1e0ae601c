/*
 * hook.h: what the kernel calls in place of kdcom's KdSendPacket and KdReceivePacket.
 */
#ifndef VMKD_HOOK_H
#define VMKD_HOOK_H

#include "link.h"
#include "takeover.h"

extern LINK HookLink;

/* What to call when there is no host. Before the takeover. */
VOID HookInitialize(const CALLS *Originals);

KD_SEND_PACKET HookSendPacket;
KD_RECEIVE_PACKET HookReceivePacket;

#endif
