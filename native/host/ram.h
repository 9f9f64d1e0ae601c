/*
 * ram.h: a machine's memory as this host holds it, in a file or in the monitor's process, and the few of its pages that may
 * be written.
 *
 *   struct ram      offsets 0 … size: the bytes of the file, or of one mapping in the process. Only ever read.
 *   struct window   whole pages of it, in any order, seen as one area. The only thing that is written.
 *
 * Invariants: who calls has checked every offset and length (ranges.h does) against `size` and `length`; a window lives on
 * when its ram is closed. A ram is used by one thread; a window's functions, but for close, by any.
 */
#ifndef VMKD_RAM_H
#define VMKD_RAM_H

#include <stdbool.h>

#include "failure.h"
#include "ranges.h"

#define PAGE_BYTES 4096u
#define WINDOW_PAGES_MAX 1024u

struct ram;
struct window;

/* A part of a process's memory that is a file's, and may be written there. */
struct mapping {
  uint64_t base;
  uint64_t size;
  const uint16_t *name; /* UTF-16, as the system names it, for as long as the call lasts */
  size_t name_length;
};

struct ram_ops {
  /* Copies the pieces, one behind the other. After a failure `into` holds anything. */
  struct failure (*copy)(struct ram *ram, const struct piece *pieces, size_t count, uint8_t *into);
  /* Whether all of it is still there. */
  struct failure (*check)(struct ram *ram);
  /* `pages`: their offsets, each a multiple of PAGE_BYTES. */
  struct failure (*open_window)(struct ram *ram, const uint64_t *pages, size_t count, struct window **window);
  void (*close)(struct ram *ram);
  /* Of a process; NULL elsewhere. From now on the ram is [base, base + size) of it. */
  struct failure (*use_mapping)(struct ram *ram, uint64_t base, uint64_t size);
  /* Of a process on Windows; NULL elsewhere. Calls `found` for each mapping until it returns false. */
  struct failure (*each_mapping)(struct ram *ram, bool (*found)(void *context, const struct mapping *mapping),
                                 void *context);
};

struct ram {
  const struct ram_ops *ops;
  uint64_t size;
};

struct window_ops {
  struct failure (*read)(struct window *window, uint32_t offset, uint8_t *into, uint32_t length);
  struct failure (*write)(struct window *window, uint32_t offset, const uint8_t *bytes, uint32_t length);
  /* One aligned word. What is written after a store, or read after a load, is so for the guest too. */
  struct failure (*load)(struct window *window, uint32_t offset, uint32_t *value);
  struct failure (*store)(struct window *window, uint32_t offset, uint32_t value);
  void (*close)(struct window *window);
};

struct window {
  const struct window_ops *ops;
  uint32_t length;
};

#ifdef _WIN32
typedef wchar_t path_char;
#else
typedef char path_char;
#endif

/* A regular file, all of it. */
struct failure open_file_ram(const path_char *path, struct ram **ram);

/*
 * The memory of a process, of which nothing can be read before use_mapping has said which part is the machine's. What
 * answers to this number later, when the process is gone, is not read.
 */
struct failure open_process_ram(uint32_t pid, struct ram **ram);

#endif
