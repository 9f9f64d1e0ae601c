/*
 * linux/process.c: RAM in a monitor's process, by process_vm_readv.
 *
 * A process is known by its folder in /proc, which is held open: when the process is gone that folder is empty, and stays
 * so when its number is given to another. Each copy looks there after it was made.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../ram.h"
#include "../system.h"

#define VECTORS 256u
#define FEW_VECTORS 32u
/* A guest may change a word faster than anybody can read it twice. */
#define MOST_TRIES 8

struct process {
  pid_t pid;
  int folder;
};

struct process_ram {
  struct ram ram;
  struct process process;
  uint64_t base;
  struct iovec vectors[VECTORS];
};

struct process_window {
  struct window window;
  struct process process;
  uint64_t pages[WINDOW_PAGES_MAX]; /* addresses */
};

typedef ssize_t transfer_call(pid_t pid, const struct iovec *local, unsigned long locals, const struct iovec *remote,
                              unsigned long remotes, unsigned long flags);

static struct failure open_process(pid_t pid, struct process *process) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d", (int)pid);
  process->pid = pid;
  process->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return process->folder < 0 ? system_failure("open /proc") : no_failure();
}

static struct failure check_alive(const struct process *process) {
  if (faccessat(process->folder, "maps", F_OK, 0) == 0) return no_failure();
  return failure_of(FAILURE_LOST, "the process has ended");
}

/* Moves the bytes of all vectors, which it uses up. */
static struct failure transfer(const struct process *process, transfer_call *call, const char *name, uint8_t *local,
                               struct iovec *remote, size_t count) {
  while (count > 0) {
    size_t rest = 0;
    for (size_t i = 0; i < count; i++) rest += remote[i].iov_len;
    struct iovec ours = {local, rest};
    ssize_t moved = call(process->pid, &ours, 1, remote, count, 0);
    if (moved < 0) return system_failure(name);
    if (moved == 0) return failure_of(FAILURE_LOST, "a part of the mapping is gone");
    local += moved;
    size_t used = (size_t)moved;
    while (count > 0 && used >= remote->iov_len) {
      used -= remote->iov_len;
      remote++;
      count--;
    }
    if (count > 0) {
      remote->iov_base = (uint8_t *)remote->iov_base + used;
      remote->iov_len -= used;
    }
  }
  return no_failure();
}

static void *pointer(uint64_t address) {
  return (void *)(uintptr_t)address;
}

static struct failure copy(struct ram *ram, const struct piece *pieces, size_t count, uint8_t *into) {
  struct process_ram *from = (struct process_ram *)ram;
  for (size_t done = 0; done < count;) {
    size_t batch = 0;
    uint8_t *start = into;
    for (; batch < VECTORS && done < count; batch++, done++) {
      from->vectors[batch] = (struct iovec){pointer(from->base + pieces[done].offset), pieces[done].length};
      into += pieces[done].length;
    }
    struct failure failure =
        transfer(&from->process, process_vm_readv, "process_vm_readv", start, from->vectors, batch);
    if (failed(failure)) return failure;
  }
  return check_alive(&from->process);
}

static struct failure check(struct ram *ram) {
  struct process_ram *from = (struct process_ram *)ram;
  uint8_t ends[2];
  if (ram->size == 0) return check_alive(&from->process);
  struct piece pieces[] = {{0, 1}, {ram->size - 1, 1}};
  return copy(ram, pieces, 2, ends);
}

static void close_process(struct ram *ram) {
  struct process_ram *from = (struct process_ram *)ram;
  if (from->process.folder >= 0) close(from->process.folder);
  system_free(from);
}

static struct failure move(struct process_window *of, transfer_call *call, const char *name, uint32_t offset,
                           uint8_t *local, uint32_t length) {
  while (length > 0) {
    struct iovec vectors[FEW_VECTORS];
    uint8_t *start = local;
    size_t count = 0;
    for (; count < FEW_VECTORS && length > 0; count++) {
      uint32_t within = offset % PAGE_BYTES;
      uint32_t part = PAGE_BYTES - within < length ? PAGE_BYTES - within : length;
      vectors[count] = (struct iovec){pointer(of->pages[offset / PAGE_BYTES] + within), part};
      local += part;
      offset += part;
      length -= part;
    }
    struct failure failure = transfer(&of->process, call, name, start, vectors, count);
    if (failed(failure)) return failure;
  }
  return check_alive(&of->process);
}

static struct failure read_window(struct window *window, uint32_t offset, uint8_t *into, uint32_t length) {
  return move((struct process_window *)window, process_vm_readv, "process_vm_readv", offset, into, length);
}

/* Before as well as after: what is written into a stranger's memory cannot be taken back. */
static struct failure write_window(struct window *window, uint32_t offset, const uint8_t *bytes, uint32_t length) {
  struct process_window *of = (struct process_window *)window;
  struct failure failure = check_alive(&of->process);
  if (failed(failure)) return failure;
  return move(of, process_vm_writev, "process_vm_writev", offset, (uint8_t *)(uintptr_t)bytes, length);
}

/*
 * Linux copies eight aligned bytes by one instruction, fewer byte by byte where the processor is not good at it. Two
 * reads that agree show that nobody was in the midst of writing.
 */
static struct failure load_word(struct window *window, uint32_t offset, uint32_t *value) {
  uint32_t pair[2];
  struct failure failure = read_window(window, offset & ~7u, (uint8_t *)pair, sizeof pair);
  *value = pair[offset / 4 % 2];
  for (int tries = 0; !failed(failure) && tries < MOST_TRIES; tries++) {
    failure = read_window(window, offset & ~7u, (uint8_t *)pair, sizeof pair);
    if (pair[offset / 4 % 2] == *value) break;
    *value = pair[offset / 4 % 2];
  }
  return failure;
}

/* With its neighbour, which is the host's too (guestRam.ts says so), for the same reason. */
static struct failure store_word(struct window *window, uint32_t offset, uint32_t value) {
  uint32_t pair[2];
  struct failure failure = read_window(window, offset & ~7u, (uint8_t *)pair, sizeof pair);
  if (failed(failure)) return failure;
  pair[offset / 4 % 2] = value;
  return write_window(window, offset & ~7u, (const uint8_t *)pair, sizeof pair);
}

static void close_window(struct window *window) {
  struct process_window *of = (struct process_window *)window;
  if (of->process.folder >= 0) close(of->process.folder);
  system_free(of);
}

static struct failure open_window(struct ram *ram, const uint64_t *pages, size_t count, struct window **opened) {
  static const struct window_ops ops = {read_window, write_window, load_word, store_word, close_window};
  struct process_ram *from = (struct process_ram *)ram;
  struct failure failure = check(ram);
  if (failed(failure)) return failure;
  struct process_window *window = system_alloc(sizeof *window);
  if (window == NULL) return failure_of(FAILURE_SYSTEM, "no memory");
  window->window = (struct window){&ops, (uint32_t)(count * PAGE_BYTES)};
  for (size_t i = 0; i < count; i++) window->pages[i] = from->base + pages[i];
  window->process.pid = from->process.pid;
  window->process.folder = fcntl(from->process.folder, F_DUPFD_CLOEXEC, 0);
  if (window->process.folder < 0) {
    failure = system_failure("fcntl");
    close_window(&window->window);
    return failure;
  }
  *opened = &window->window;
  return failure;
}

static struct failure use_mapping(struct ram *ram, uint64_t base, uint64_t size) {
  struct process_ram *from = (struct process_ram *)ram;
  if (size == 0 || size > UINT64_MAX - base) return failure_of(FAILURE_ARGUMENT, "no part of a process");
  from->base = base;
  ram->size = size;
  return check(ram);
}

struct failure open_process_ram(uint32_t pid, struct ram **ram) {
  static const struct ram_ops ops = {copy, check, open_window, close_process, use_mapping, NULL};
  if (pid == 0 || pid > INT32_MAX) return failure_of(FAILURE_ARGUMENT, "no number of a process");
  struct process_ram *from = system_alloc(sizeof *from);
  if (from == NULL) return failure_of(FAILURE_SYSTEM, "no memory");
  from->ram.ops = &ops;
  struct failure failure = open_process((pid_t)pid, &from->process);
  if (failed(failure)) {
    close_process(&from->ram);
    return failure;
  }
  *ram = &from->ram;
  return failure;
}
