/*
 * kdcom.h - what the three parts of kdcom.dll know of each other.
 *
 *   kdcom.c   exports for start-up and power
 *   packet.c  KdSendPacket and KdReceivePacket: framing, ids, acknowledgements
 *   uart.c    the 16550: bytes with time limits
 *
 * Invariant: everything here runs with interrupts off and the other processors frozen or locked out
 * by the kernel's port lock; nothing allocates, blocks without a limit, or touches paged memory.
 */
#ifndef _KDCOM_H_
#define _KDCOM_H_

#define _KDCOM_
#include "kd.h"

typedef enum _UART_STATUS {
  UartSuccess,
  UartNoData, /* the time limit passed */
  UartError,  /* overrun, parity, framing or break */
} UART_STATUS;

/* Programs the port for BaudRate, 8N1, FIFO on; FALSE when nothing answers at Base. */
BOOLEAN UartInitialize(USHORT Base, ULONG BaudRate);
/* Programs the port again with the values of UartInitialize. */
VOID UartReinitialize(VOID);
/* Waits at most Microseconds for one byte; 0 polls once. */
UART_STATUS UartGetByte(PUCHAR Byte, ULONG Microseconds);
/* Sends Length bytes; gives up silently when the line takes nothing for UART_STUCK_MICROSECONDS. */
VOID UartPutBytes(const VOID *Buffer, ULONG Length);
/* Forgets that the line was stuck: called at the start of each packet. */
VOID UartBeginPacket(VOID);

/* The kernel's view of whether somebody listens; imported as data, as NT's kdcom does. */
__declspec(dllimport) extern BOOLEAN KdDebuggerNotPresent;

#endif
