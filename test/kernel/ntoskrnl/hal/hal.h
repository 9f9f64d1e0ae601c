/*
 * hal.h: what the files of hal/ share.
 */
#ifndef VMK_HAL_H
#define VMK_HAL_H

#include "ki.h"

extern ULONG64 HalpLocalApicPhysical, HalpIoApicPhysical;

/* Counts for 10 ms on the PIT's channel 2 and returns how far *Counter() went. */
ULONG64 HalpMeasure10ms(ULONG64 (*Counter)(VOID));

#endif
