/*
 * types.h: NT's words for integers and strings, of the same size under every compiler that builds these files: for
 * Windows x64 and x86, and for the host that tests the portable ones (link.c, ring.c, crc.c, pe.c, modulelist.c).
 */
#ifndef VMKD_TYPES_H
#define VMKD_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef void VOID, *PVOID;
typedef char CHAR, *PCHAR;
typedef const char *PCSTR;
typedef uint8_t UCHAR, *PUCHAR, BOOLEAN, *PBOOLEAN;
typedef uint16_t USHORT, *PUSHORT, WCHAR;
typedef int32_t LONG, NTSTATUS;
typedef uint32_t ULONG, *PULONG;
typedef int64_t LONG64;
typedef uint64_t ULONG64, *PULONG64;
typedef uintptr_t ULONG_PTR, SIZE_T;

#define TRUE 1
#define FALSE 0

/* Counted text, as the kernel hands it to its transport. */
typedef struct _STRING {
  USHORT Length;
  USHORT MaximumLength;
  PCHAR Buffer;
} STRING, *PSTRING;

#define C_ASSERT(condition) _Static_assert(condition, #condition)

#endif
