/*
 * watch.h: a thread that watches a few words of a window and says so when one of them has changed.
 *
 * It looks all the time for a moment, then lets others have the processor between two looks, then sleeps: the longer
 * nothing has happened, the longer each sleep, so that what comes late is not seen much later than it came.
 *
 *   since the last change, or watch_hurry        0 ── spin ── spin + yield ─────────────────────────▶
 *   between two looks                            pause       yield          sleep: 1/8 of that time, within its bounds
 *
 * Changes that come while one is still being told are told together with it.
 */
#ifndef VMKD_WATCH_H
#define VMKD_WATCH_H

#include "ram.h"

#define WATCH_WORDS_MAX 8u

/* Microseconds. */
struct watch_plan {
  uint32_t spin;
  uint32_t yield;
  uint32_t shortest_sleep;
  uint32_t longest_sleep; /* how late at worst a change is seen */
};

struct watch;

/*
 * Starts to watch the words at `offsets`, of which each is aligned and inside. `notify` is called on the thread; it is not
 * called again before watch_told. The window must stay open until watch_stop. NULL if there is no memory or no thread.
 */
struct watch *watch_start(struct window *window, const uint32_t *offsets, size_t count, struct watch_plan plan,
                          void (*notify)(void *context), void *context);

/* Says that what `notify` told has been heard, before anything is read; returns why the watching ended, if it did. */
struct failure watch_told(struct watch *watch);

/* Something is awaited: looks all the time again for a moment. */
void watch_hurry(struct watch *watch);

/* Ends the thread, at once, and frees the watch. `notify` is not called any more. */
void watch_stop(struct watch *watch);

#endif
