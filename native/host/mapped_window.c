/* mapped_window.c: see mapped_window.h. The guest may change its pages at any time: bytes are copied, never looked at. */

#include "mapped_window.h"

#include <stdatomic.h>
#include <string.h>

#include "system.h"

static struct failure outcome(const struct mapped_window *mapped) {
  return mapped->is_lost(mapped->owner) ? failure_of(FAILURE_LOST, "the file was cut short") : no_failure();
}

static uint32_t part_of_page(uint32_t offset, uint32_t length) {
  uint32_t rest = PAGE_BYTES - offset % PAGE_BYTES;
  return length < rest ? length : rest;
}

static uint8_t *at(const struct mapped_window *mapped, uint32_t offset) {
  return mapped->pages[offset / PAGE_BYTES] + offset % PAGE_BYTES;
}

static struct failure read_window(struct window *window, uint32_t offset, uint8_t *into, uint32_t length) {
  struct mapped_window *mapped = (struct mapped_window *)window;
  while (length > 0) {
    uint32_t part = part_of_page(offset, length);
    memcpy(into, at(mapped, offset), part);
    into += part;
    offset += part;
    length -= part;
  }
  return outcome(mapped);
}

static struct failure write_window(struct window *window, uint32_t offset, const uint8_t *bytes, uint32_t length) {
  struct mapped_window *mapped = (struct mapped_window *)window;
  while (length > 0) {
    uint32_t part = part_of_page(offset, length);
    memcpy(at(mapped, offset), bytes, part);
    bytes += part;
    offset += part;
    length -= part;
  }
  return outcome(mapped);
}

static _Atomic uint32_t *word_at(const struct mapped_window *mapped, uint32_t offset) {
  return (_Atomic uint32_t *)(void *)at(mapped, offset);
}

static struct failure load_word(struct window *window, uint32_t offset, uint32_t *value) {
  struct mapped_window *mapped = (struct mapped_window *)window;
  *value = atomic_load_explicit(word_at(mapped, offset), memory_order_acquire);
  return outcome(mapped);
}

static struct failure store_word(struct window *window, uint32_t offset, uint32_t value) {
  struct mapped_window *mapped = (struct mapped_window *)window;
  atomic_store_explicit(word_at(mapped, offset), value, memory_order_release);
  return outcome(mapped);
}

static void close_window(struct window *window) {
  struct mapped_window *mapped = (struct mapped_window *)window;
  mapped->unmap(mapped->owner);
  system_free(mapped);
}

void mapped_window_init(struct mapped_window *mapped, size_t count) {
  static const struct window_ops ops = {read_window, write_window, load_word, store_word, close_window};
  mapped->window.ops = &ops;
  mapped->window.length = (uint32_t)(count * PAGE_BYTES);
  mapped->count = count;
}
