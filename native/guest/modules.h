/*
 * modules.h: finding the kernel and its debugger transport among the loaded modules, by what they are.
 */
#ifndef VMKD_MODULES_H
#define VMKD_MODULES_H

#include "nt.h"
#include "pe.h"

typedef struct _TRANSPORT {
  PE_IMAGE Kernel;
  PE_IMAGE Kdcom;
  KD_SEND_PACKET *SendPacket;
  KD_RECEIVE_PACKET *ReceivePacket;
} TRANSPORT;

/*
 * STATUS_DLL_NOT_FOUND: no module is, or stands in for, kdcom. STATUS_ENTRYPOINT_NOT_FOUND: one is, but lacks an export.
 * STATUS_INSUFFICIENT_RESOURCES: no memory for the list. PASSIVE_LEVEL.
 */
NTSTATUS ModulesFindTransport(TRANSPORT *Transport);

#endif
