/*
 * crc.h: CRC-32 as zlib and PNG have it (reflected, polynomial 04C11DB7), over parts that follow each other.
 */
#ifndef VMKD_CRC_H
#define VMKD_CRC_H

#include "types.h"

/* Makes the table; once, before the first use. */
VOID CrcInitialize(VOID);

/* Crc is 0 for the first part, then what the last call returned. */
ULONG CrcAdd(ULONG Crc, const VOID *Bytes, ULONG Length);

#endif
