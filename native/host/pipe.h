/*
 * pipe.h: who may open a named pipe that this process serves.
 */
#ifndef VMKD_PIPE_H
#define VMKD_PIPE_H

#include "failure.h"
#include "ram.h"

/*
 * From now on only this process's user, and the system, may open the pipe. Others that have opened it before keep it.
 * `path` is the whole name, \\.\pipe\…, of a pipe of which this process serves the first instance: all instances of a
 * pipe share its security. Elsewhere than on Windows it is unsupported.
 */
struct failure pipe_keep_private(const path_char *path);

#endif
