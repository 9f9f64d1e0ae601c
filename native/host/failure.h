/*
 * failure.h: what a function says about how it went. Nothing here throws, prints, or keeps an error aside.
 */
#ifndef VMKD_FAILURE_H
#define VMKD_FAILURE_H

#include <stddef.h>
#include <stdint.h>

enum failure_kind {
  FAILURE_NONE,
  FAILURE_ARGUMENT,    /* the caller's own mistake */
  FAILURE_RANGE,       /* not inside the memory or the window */
  FAILURE_LOST,        /* it was there: the file was cut short, the process is gone */
  FAILURE_DENIED,      /* the system does not let us */
  FAILURE_ABSENT,      /* there is no such file or process */
  FAILURE_UNSUPPORTED, /* this system, or this sort of file, cannot */
  FAILURE_SYSTEM       /* whatever else the system says */
};

struct failure {
  enum failure_kind kind;
  uint32_t system_error; /* errno or GetLastError(); 0 if there is none */
  const char *what;      /* what was tried, or what happened; a literal */
};

static inline struct failure no_failure(void) {
  return (struct failure){FAILURE_NONE, 0, ""};
}

static inline struct failure failure_of(enum failure_kind kind, const char *what) {
  return (struct failure){kind, 0, what};
}

static inline int failed(struct failure failure) {
  return failure.kind != FAILURE_NONE;
}

/* The system's last error, sorted; `what` is the call that failed. */
struct failure system_failure(const char *what);

/* A sentence in UTF-8, cut to fit and always ended. */
void failure_text(struct failure failure, char *text, size_t bytes);

#endif
