/* guard.c: see guard.h. */

#include "guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "../ram.h"

#define GUARDS 256

/* Free while `end` is 0. `start` is written before `end`, and read after it. */
struct guard {
  _Atomic uintptr_t start;
  _Atomic uintptr_t end;
  atomic_bool lost;
};

static struct guard guards[GUARDS];
static struct sigaction before;
static pthread_mutex_t changes = PTHREAD_MUTEX_INITIALIZER;
static bool is_installed; /* under `changes` */

static bool mend(uintptr_t address) {
  for (size_t i = 0; i < GUARDS; i++) {
    struct guard *guard = &guards[i];
    uintptr_t end = atomic_load_explicit(&guard->end, memory_order_acquire);
    uintptr_t start = atomic_load_explicit(&guard->start, memory_order_relaxed);
    if (address < start || address >= end) continue;
    uintptr_t page = address & ~(uintptr_t)(PAGE_BYTES - 1);
    atomic_store(&guard->lost, true);
    return mmap((void *)page, end - page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
                -1, 0) != MAP_FAILED;
  }
  return false;
}

static void on_bus_error(int signal, siginfo_t *info, void *context) {
  int error = errno;
  bool is_mended = mend((uintptr_t)info->si_addr);
  errno = error;
  if (is_mended) return;
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    /* The instruction runs again, and the process ends where it would have ended without us. */
    sigaction(SIGBUS, &before, NULL);
  }
}

static bool install(void) {
  if (is_installed) return true;
  struct sigaction ours = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigemptyset(&ours.sa_mask);
  is_installed = sigaction(SIGBUS, NULL, &before) == 0 && sigaction(SIGBUS, &ours, NULL) == 0;
  return is_installed;
}

struct guard *guard_add(const uint8_t *start, size_t length) {
  struct guard *found = NULL;
  pthread_mutex_lock(&changes);
  for (size_t i = 0; install() && i < GUARDS && found == NULL; i++) {
    struct guard *guard = &guards[i];
    if (atomic_load(&guard->end) != 0) continue;
    atomic_store(&guard->lost, false);
    atomic_store_explicit(&guard->start, (uintptr_t)start, memory_order_relaxed);
    atomic_store_explicit(&guard->end, (uintptr_t)start + length, memory_order_release);
    found = guard;
  }
  pthread_mutex_unlock(&changes);
  return found;
}

bool guard_is_lost(const struct guard *guard) {
  return atomic_load(&guard->lost);
}

void guard_remove(struct guard *guard) {
  if (guard != NULL) atomic_store_explicit(&guard->end, 0, memory_order_release);
}
