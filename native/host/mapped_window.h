/*
 * mapped_window.h: a window whose pages are mapped into this process, so that a word is read and written by one instruction.
 */
#ifndef VMKD_MAPPED_WINDOW_H
#define VMKD_MAPPED_WINDOW_H

#include "ram.h"

struct mapped_window {
  struct window window;
  /* The system's own, for `lost` and `unmap`. */
  void *owner;
  bool (*is_lost)(void *owner);
  void (*unmap)(void *owner);
  size_t count;
  uint8_t *pages[WINDOW_PAGES_MAX];
};

/* `pages` is filled in by the caller; so is `owner` and its functions. */
void mapped_window_init(struct mapped_window *window, size_t count);

#endif
