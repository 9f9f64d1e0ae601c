/* windows/copying.c: see copying.h. */

#include "copying.h"

struct failure copy_from(HANDLE process, uint64_t base, const struct piece *pieces, size_t count, uint8_t *into) {
  for (size_t i = 0; i < count; i++) {
    SIZE_T read = 0;
    const void *from = (const void *)(uintptr_t)(base + pieces[i].offset);
    if (!ReadProcessMemory(process, from, into, pieces[i].length, &read)) return system_failure("ReadProcessMemory");
    if (read != pieces[i].length) return failure_of(FAILURE_LOST, "a part of the mapping is gone");
    into += pieces[i].length;
  }
  return no_failure();
}
