/*
 * linux/system.c: see system.h and failure.h.
 *
 * The addon is linked with no library: it takes its symbols, without their versions, from the C library that Node has brought,
 * so that one binary does for old ones and new ones, and for musl. So nothing is used here that has changed since, such as
 * condition variables.
 */

#include "../system.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../failure.h"

/* Nanoseconds by which a sleep of the worker may be longer; the system's own choice is 50,000. */
#define TIMER_SLACK 1000ul

void *system_alloc(size_t bytes) {
  return calloc(1, bytes);
}

void system_free(void *memory) {
  free(memory);
}

uint64_t system_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void system_yield(void) {
  sched_yield();
}

struct worker {
  pthread_t thread;
  _Atomic uint32_t bell; /* a futex: 1 once it has rung */
  void (*body)(struct worker *worker, void *context);
  void *context;
};

static void *run(void *argument) {
  struct worker *worker = argument;
  prctl(PR_SET_TIMERSLACK, TIMER_SLACK, 0ul, 0ul, 0ul);
  worker->body(worker, worker->context);
  return NULL;
}

struct worker *worker_start(void (*body)(struct worker *worker, void *context), void *context) {
  struct worker *worker = system_alloc(sizeof *worker);
  if (worker == NULL) return NULL;
  worker->body = body;
  worker->context = context;
  if (pthread_create(&worker->thread, NULL, run, worker) == 0) return worker;
  system_free(worker);
  return NULL;
}

void worker_sleep(struct worker *worker, uint32_t microseconds) {
  struct timespec time = {(time_t)(microseconds / 1000000u), (long)(microseconds % 1000000u) * 1000};
  syscall(SYS_futex, &worker->bell, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0);
  atomic_store(&worker->bell, 0);
}

void worker_ring(struct worker *worker) {
  atomic_store(&worker->bell, 1);
  syscall(SYS_futex, &worker->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void worker_join(struct worker *worker) {
  pthread_join(worker->thread, NULL);
  system_free(worker);
}

static enum failure_kind kind_of(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
      return FAILURE_DENIED;
    case ENOENT:
    case ENOTDIR:
      return FAILURE_ABSENT;
    case ESRCH:
    case EFAULT:
      return FAILURE_LOST;
    case ENODEV:
    case ENOSYS:
      return FAILURE_UNSUPPORTED;
    default:
      return FAILURE_SYSTEM;
  }
}

struct failure system_failure(const char *what) {
  int error = errno;
  return (struct failure){kind_of(error), (uint32_t)error, what};
}

static size_t append(char *text, size_t bytes, size_t length, const char *more) {
  size_t wanted = strlen(more);
  size_t room = bytes - 1 - length;
  size_t taken = wanted < room ? wanted : room;
  memcpy(text + length, more, taken);
  text[length + taken] = '\0';
  return length + taken;
}

void failure_text(struct failure failure, char *text, size_t bytes) {
  size_t length = append(text, bytes, 0, failure.what);
  if (failure.system_error == 0) return;
  length = append(text, bytes, length, ": ");
  append(text, bytes, length, strerror((int)failure.system_error));
}
