/* copying.h: ReadProcessMemory and WriteProcessMemory, of others and of this process itself. */
#ifndef VMKD_COPYING_H
#define VMKD_COPYING_H

#include <windows.h>

#include "../ram.h"

/* Pieces of the memory at `base` of a process. A page that cannot be read is a failure, in this process too. */
struct failure copy_from(HANDLE process, uint64_t base, const struct piece *pieces, size_t count, uint8_t *into);

#endif
