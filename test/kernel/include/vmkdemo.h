/*
 * vmkdemo.h: what vmkdemo.sys says to those who ask by device control.
 */
#ifndef VMK_VMKDEMO_H
#define VMK_VMKDEMO_H

#include "io.h"

#define IOCTL_VMKDEMO_COUNTERS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct _VMKDEMO_COUNTERS {
  ULONG64 Counter;
  ULONG64 WorkCalls;
  LONG SharedCounter;
  ULONG PerProcessor[4];
  ULONG PagedCalls;
} VMKDEMO_COUNTERS, *PVMKDEMO_COUNTERS;

#endif
