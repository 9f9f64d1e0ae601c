/*
 * linux/file.c: RAM in a file that the monitor maps, or in a memfd of it.
 *
 * Short pieces are copied out of a mapping, which costs no system call. Long ones are read: a mapping has the system make a
 * page for every hole of the file (tmpfs gives each one memory), so that a search through all of RAM would use it all up.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../mapped_window.h"
#include "../ram.h"
#include "../system.h"
#include "guard.h"

/* Bytes of a piece that is read. */
#define LONG_PIECE (1u << 20)

struct file_ram {
  struct ram ram;
  int file;
  uint8_t *map;
  struct guard *guard;
};

static struct failure cut_short(void) {
  return failure_of(FAILURE_LOST, "the file was cut short");
}

/* The file's size; the position means nothing, for nobody else has this descriptor. */
static struct failure check(struct ram *ram) {
  struct file_ram *file = (struct file_ram *)ram;
  off_t size = lseek(file->file, 0, SEEK_END);
  if (size < 0) return system_failure("lseek");
  return (uint64_t)size < ram->size || guard_is_lost(file->guard) ? cut_short() : no_failure();
}

static struct failure read_piece(int file, uint64_t offset, uint8_t *into, uint64_t length) {
  while (length > 0) {
    ssize_t count = pread(file, into, length < LONG_PIECE ? (size_t)length : LONG_PIECE, (off_t)offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure("pread");
    if (count == 0) return cut_short();
    into += count;
    offset += (uint64_t)count;
    length -= (uint64_t)count;
  }
  return no_failure();
}

static struct failure copy(struct ram *ram, const struct piece *pieces, size_t count, uint8_t *into) {
  struct file_ram *file = (struct file_ram *)ram;
  for (size_t i = 0; i < count; i++) {
    if (pieces[i].length < LONG_PIECE) {
      memcpy(into, file->map + pieces[i].offset, pieces[i].length);
    } else {
      struct failure failure = read_piece(file->file, pieces[i].offset, into, pieces[i].length);
      if (failed(failure)) return failure;
    }
    into += pieces[i].length;
  }
  /* Afterwards, so that a cut in the midst is seen too. */
  return check(ram);
}

struct area {
  uint8_t *start;
  size_t length;
  struct guard *guard;
};

static bool area_is_lost(void *owner) {
  return guard_is_lost(((struct area *)owner)->guard);
}

static void unmap_area(void *owner) {
  struct area *area = owner;
  guard_remove(area->guard);
  if (area->start != NULL) munmap(area->start, area->length);
  system_free(area);
}

/* One area, so that one guard does; page after page of the file is put into it. */
static struct failure map_pages(int file, const uint64_t *pages, size_t count, struct area *area,
                                struct mapped_window *window) {
  area->length = count * PAGE_BYTES;
  void *start = mmap(NULL, area->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return system_failure("mmap");
  area->start = start;
  area->guard = guard_add(area->start, area->length);
  if (area->guard == NULL) return failure_of(FAILURE_SYSTEM, "too many mappings are guarded");
  for (size_t i = 0; i < count; i++) {
    window->pages[i] = area->start + i * PAGE_BYTES;
    void *page = mmap(window->pages[i], PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, (off_t)pages[i]);
    if (page == MAP_FAILED) return system_failure("mmap");
  }
  return no_failure();
}

/* The very file that is open, whatever has become of its name. */
static int open_for_writing(int file) {
  char name[] = "/proc/self/fd/0000000000";
  char *digit = name + sizeof name - 1;
  for (unsigned int rest = (unsigned int)file, i = 0; i < 10; i++, rest /= 10) *--digit = (char)('0' + rest % 10);
  char *first = digit;
  while (*first == '0' && first[1] != '\0') first++;
  memmove(digit, first, strlen(first) + 1);
  return open(name, O_RDWR | O_CLOEXEC);
}

static struct failure open_window(struct ram *ram, const uint64_t *pages, size_t count, struct window **opened) {
  struct file_ram *file = (struct file_ram *)ram;
  struct failure failure = check(ram);
  if (failed(failure)) return failure;
  int writable = open_for_writing(file->file);
  if (writable < 0) return system_failure("open for writing");
  struct mapped_window *window = system_alloc(sizeof *window);
  struct area *area = system_alloc(sizeof *area);
  if (window == NULL || area == NULL) {
    failure = failure_of(FAILURE_SYSTEM, "no memory");
    system_free(area);
  } else {
    failure = map_pages(writable, pages, count, area, window);
    if (failed(failure)) unmap_area(area);
  }
  close(writable);
  if (failed(failure)) {
    system_free(window);
    return failure;
  }
  window->owner = area;
  window->is_lost = area_is_lost;
  window->unmap = unmap_area;
  mapped_window_init(window, count);
  *opened = &window->window;
  return no_failure();
}

static void close_file(struct ram *ram) {
  struct file_ram *file = (struct file_ram *)ram;
  guard_remove(file->guard);
  if (file->map != NULL) munmap(file->map, ram->size);
  if (file->file >= 0) close(file->file);
  system_free(file);
}

static struct failure map_all(struct file_ram *file, const char *path) {
  /* Nothing waits for the other end of a pipe. */
  file->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file->file < 0) return system_failure("open");
  /* Not fstat: older C libraries have no such symbol. */
  struct stat facts;
  if (syscall(SYS_fstat, file->file, &facts) != 0) return system_failure("fstat");
  if (!S_ISREG(facts.st_mode)) return failure_of(FAILURE_UNSUPPORTED, "it is not a regular file");
  /* Of huge pages no single small one can be mapped, nor be replaced by the guard. */
  struct statfs system;
  if (fstatfs(file->file, &system) != 0) return system_failure("fstatfs");
  if ((unsigned long)system.f_type == HUGETLBFS_MAGIC) return failure_of(FAILURE_UNSUPPORTED, "its pages are huge");
  if (facts.st_size == 0) return failure_of(FAILURE_LOST, "it is empty");
  void *map = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, file->file, 0);
  if (map == MAP_FAILED) return system_failure("mmap");
  file->map = map;
  file->ram.size = (uint64_t)facts.st_size;
  uint64_t guarded = (file->ram.size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
  file->guard = guard_add(file->map, guarded);
  return file->guard == NULL ? failure_of(FAILURE_SYSTEM, "too many mappings are guarded") : no_failure();
}

struct failure open_file_ram(const char *path, struct ram **ram) {
  static const struct ram_ops ops = {copy, check, open_window, close_file, NULL, NULL};
  struct file_ram *file = system_alloc(sizeof *file);
  if (file == NULL) return failure_of(FAILURE_SYSTEM, "no memory");
  file->ram.ops = &ops;
  struct failure failure = map_all(file, path);
  if (failed(failure)) {
    close_file(&file->ram);
    return failure;
  }
  *ram = &file->ram;
  return failure;
}
