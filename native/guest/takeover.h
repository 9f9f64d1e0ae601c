/*
 * takeover.h: making the kernel call us where it would call its debugger transport, and giving that back.
 *
 *   imports   the kernel's two import slots for kdcom's functions get other addresses. No code is touched; but kernels from
 *             Windows 10 1809 on may have rewritten their calls into direct ones when they booted, and then use no slot
 *   entries   the first instructions of kdcom's functions become a jump. What they did is done by a copy elsewhere
 *
 * All at PASSIVE_LEVEL. In either case the kernel calls its transport with interrupts off: a processor that takes an
 * interrupt is in no hook.
 */
#ifndef VMKD_TAKEOVER_H
#define VMKD_TAKEOVER_H

#include "modules.h"

typedef struct _CALLS {
  KD_SEND_PACKET *SendPacket;
  KD_RECEIVE_PACKET *ReceivePacket;
} CALLS;

/* FALSE if there is nothing to change, or it cannot be changed; then nothing has been. */
BOOLEAN TakeoverImports(const TRANSPORT *Transport, const CALLS *Hooks);

/* The same. Originals gets what to call in kdcom's stead, before the hooks are called. */
BOOLEAN TakeoverEntries(const TRANSPORT *Transport, const CALLS *Hooks, VOID (*Ready)(const CALLS *Originals));

/*
 * Gives everything back, and returns when no processor is in a hook any more. FALSE if somebody has changed after us what we
 * changed, so that the kernel may still call us: then we must stay. May be called again.
 */
BOOLEAN TakeoverUndo(VOID);

/* For TakeoverUndo. */
BOOLEAN ImportsUndo(VOID);
BOOLEAN EntriesUndo(VOID);

#endif
