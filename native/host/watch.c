/* watch.c: see watch.h. */

#include "watch.h"

#include <stdatomic.h>

#include "system.h"

#define SHARE_OF_IDLE 8

struct watch {
  struct window *window;
  struct watch_plan plan;
  void (*notify)(void *context);
  void *context;
  struct worker *worker;
  size_t count;
  uint32_t offsets[WATCH_WORDS_MAX];
  uint32_t seen[WATCH_WORDS_MAX];
  _Atomic uint64_t since; /* of the last change, or hurry */
  atomic_bool is_told;    /* and not yet heard */
  atomic_bool has_ended;  /* `failure` says why */
  atomic_bool is_stopped;
  struct failure failure;
};

static void tell(struct watch *watch) {
  if (!atomic_exchange(&watch->is_told, true)) watch->notify(watch->context);
}

static struct failure look(struct watch *watch, bool *is_changed) {
  *is_changed = false;
  for (size_t i = 0; i < watch->count; i++) {
    uint32_t value;
    struct failure failure = watch->window->ops->load(watch->window, watch->offsets[i], &value);
    if (failed(failure)) return failure;
    if (value == watch->seen[i]) continue;
    watch->seen[i] = value;
    *is_changed = true;
  }
  return no_failure();
}

static void wait(const struct watch_plan *plan, struct worker *worker, uint64_t idle) {
  if (idle < plan->spin) {
    system_pause();
  } else if (idle < (uint64_t)plan->spin + plan->yield) {
    system_yield();
  } else {
    uint64_t sleep = idle / SHARE_OF_IDLE;
    if (sleep < plan->shortest_sleep) sleep = plan->shortest_sleep;
    if (sleep > plan->longest_sleep) sleep = plan->longest_sleep;
    worker_sleep(worker, (uint32_t)sleep);
  }
}

static void run(struct worker *worker, void *context) {
  struct watch *watch = context;
  while (!atomic_load(&watch->is_stopped)) {
    bool is_changed;
    struct failure failure = look(watch, &is_changed);
    if (failed(failure)) {
      watch->failure = failure;
      atomic_store(&watch->has_ended, true);
      /* Whoever has been told of a change, and not heard it yet, finds this as well. */
      tell(watch);
      return;
    }
    uint64_t now = system_now();
    if (is_changed) {
      atomic_store(&watch->since, now);
      tell(watch);
    }
    uint64_t since = atomic_load(&watch->since);
    wait(&watch->plan, worker, now > since ? now - since : 0);
  }
}

struct watch *watch_start(struct window *window, const uint32_t *offsets, size_t count, struct watch_plan plan,
                          void (*notify)(void *context), void *context) {
  struct watch *watch = system_alloc(sizeof *watch);
  if (watch == NULL) return NULL;
  watch->window = window;
  watch->plan = plan;
  watch->notify = notify;
  watch->context = context;
  watch->count = count;
  for (size_t i = 0; i < count; i++) watch->offsets[i] = offsets[i];
  /* What is there now is known to whoever asks; a window that is lost is told of by the thread. */
  bool is_changed;
  (void)look(watch, &is_changed);
  atomic_store(&watch->since, system_now());
  watch->worker = worker_start(run, watch);
  if (watch->worker != NULL) return watch;
  system_free(watch);
  return NULL;
}

struct failure watch_told(struct watch *watch) {
  atomic_store(&watch->is_told, false);
  return atomic_load(&watch->has_ended) ? watch->failure : no_failure();
}

void watch_hurry(struct watch *watch) {
  atomic_store(&watch->since, system_now());
  worker_ring(watch->worker);
}

void watch_stop(struct watch *watch) {
  atomic_store(&watch->is_stopped, true);
  worker_ring(watch->worker);
  worker_join(watch->worker);
  system_free(watch);
}
