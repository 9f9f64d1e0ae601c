/*
 * system.h: the little that is asked of an operating system besides memory: heap, clock, one thread that can be woken.
 */
#ifndef VMKD_SYSTEM_H
#define VMKD_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed; NULL if there is none. Not the C library's, for on Windows there is none. */
void *system_alloc(size_t bytes);
void system_free(void *memory);

/* Microseconds on a clock that is never set. */
uint64_t system_now(void);
/* Lets another thread have the processor. */
void system_yield(void);

/* Tells the processor that this is a loop that waits. */
static inline void system_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/* A thread, and the bell that ends its sleep. */
struct worker;

/* Starts `body`; NULL if the system has no thread to give. */
struct worker *worker_start(void (*body)(struct worker *worker, void *context), void *context);
/* Called by the body: sleeps until the bell rings, or for so long. A ring that came before is not lost. */
void worker_sleep(struct worker *worker, uint32_t microseconds);
void worker_ring(struct worker *worker);
/* Waits for the end of the body, which somebody must have told to end. */
void worker_join(struct worker *worker);

#endif
