/*
 * takeover.h: making the kernel call us where it would call its debugger transport, and giving that back.
 */
#ifndef VMKD_TAKEOVER_H
#define VMKD_TAKEOVER_H

#include "modules.h"

typedef struct _HOOKS {
  KD_SEND_PACKET *SendPacket;
  KD_RECEIVE_PACKET *ReceivePacket;
} HOOKS;

/* FALSE if there is nothing to change, or it cannot be changed; then nothing has been. PASSIVE_LEVEL. */
BOOLEAN TakeoverImports(const TRANSPORT *Transport, const HOOKS *Hooks);

/*
 * Gives everything back, and returns when no processor is in a hook any more. FALSE if somebody has changed after us what we
 * changed, so that the kernel may still call us: then we must stay. May be called again. PASSIVE_LEVEL.
 */
BOOLEAN TakeoverUndo(VOID);

#endif
