/* linux/pipe.c: see pipe.h. A Unix socket is a file, and has a file's mode. */

#include "../pipe.h"

struct failure pipe_keep_private(const path_char *path) {
  (void)path;
  return failure_of(FAILURE_UNSUPPORTED, "there are no named pipes here");
}
