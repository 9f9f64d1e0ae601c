/*
 * windows/file.c: RAM in a file that the monitor maps.
 *
 * Windows does not let anybody cut a file short that is mapped. But its disk may fail or go away, and then a page of the
 * mapping cannot be had; ReadProcessMemory, of ourselves, makes an error of that. The few pages of a window are touched as
 * they are: a guest whose own memory cannot be had does not live on either.
 */

#include <windows.h>

#include "../mapped_window.h"
#include "../ram.h"
#include "../system.h"
#include "copying.h"

struct file_ram {
  struct ram ram;
  HANDLE file;
  HANDLE section;
  const uint8_t *view;
};

static struct failure check(struct ram *ram) {
  struct file_ram *file = (struct file_ram *)ram;
  LARGE_INTEGER size;
  if (!GetFileSizeEx(file->file, &size)) return system_failure("GetFileSizeEx");
  return (uint64_t)size.QuadPart < ram->size ? failure_of(FAILURE_LOST, "the file was cut short") : no_failure();
}

static struct failure copy(struct ram *ram, const struct piece *pieces, size_t count, uint8_t *into) {
  struct file_ram *file = (struct file_ram *)ram;
  return copy_from(GetCurrentProcess(), (uintptr_t)file->view, pieces, count, into);
}

/* A view begins at a multiple of the system's granularity, so each page has one of its own that begins before it. */
struct views {
  size_t count;
  void *starts[WINDOW_PAGES_MAX];
};

static bool is_never_lost(void *owner) {
  (void)owner;
  return false;
}

static void unmap_views(void *owner) {
  struct views *views = owner;
  for (size_t i = 0; i < views->count; i++) UnmapViewOfFile(views->starts[i]);
  system_free(views);
}

static struct failure map_pages(HANDLE section, const uint64_t *pages, size_t count, struct views *views,
                                struct mapped_window *window) {
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  for (size_t i = 0; i < count; i++) {
    uint64_t within = pages[i] % system.dwAllocationGranularity;
    uint64_t start = pages[i] - within;
    uint8_t *view = MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, (DWORD)(start >> 32), (DWORD)start,
                                  (SIZE_T)within + PAGE_BYTES);
    if (view == NULL) return system_failure("MapViewOfFile");
    views->starts[views->count++] = view;
    window->pages[i] = view + within;
  }
  return no_failure();
}

static struct failure map_window(HANDLE file, const uint64_t *pages, size_t count, struct window **opened) {
  HANDLE section = CreateFileMappingW(file, NULL, PAGE_READWRITE, 0, 0, NULL);
  if (section == NULL) return system_failure("CreateFileMapping");
  struct mapped_window *window = system_alloc(sizeof *window);
  struct views *views = system_alloc(sizeof *views);
  struct failure failure = window == NULL || views == NULL ? failure_of(FAILURE_SYSTEM, "no memory")
                                                           : map_pages(section, pages, count, views, window);
  CloseHandle(section);
  if (failed(failure)) {
    if (views != NULL) unmap_views(views);
    system_free(window);
    return failure;
  }
  window->owner = views;
  window->is_lost = is_never_lost;
  window->unmap = unmap_views;
  mapped_window_init(window, count);
  *opened = &window->window;
  return failure;
}

static struct failure open_window(struct ram *ram, const uint64_t *pages, size_t count, struct window **opened) {
  struct file_ram *file = (struct file_ram *)ram;
  HANDLE writable = ReOpenFile(file->file, GENERIC_READ | GENERIC_WRITE,
                               FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, 0);
  if (writable == INVALID_HANDLE_VALUE) return system_failure("open for writing");
  struct failure failure = map_window(writable, pages, count, opened);
  CloseHandle(writable);
  return failure;
}

static void close_file(struct ram *ram) {
  struct file_ram *file = (struct file_ram *)ram;
  if (file->view != NULL) UnmapViewOfFile(file->view);
  if (file->section != NULL) CloseHandle(file->section);
  if (file->file != INVALID_HANDLE_VALUE) CloseHandle(file->file);
  system_free(file);
}

static struct failure map_all(struct file_ram *file, const WCHAR *path) {
  LARGE_INTEGER size;
  file->file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                           OPEN_EXISTING, 0, NULL);
  if (file->file == INVALID_HANDLE_VALUE) return system_failure("CreateFile");
  if (GetFileType(file->file) != FILE_TYPE_DISK) return failure_of(FAILURE_UNSUPPORTED, "it is not a regular file");
  if (!GetFileSizeEx(file->file, &size)) return system_failure("GetFileSizeEx");
  if (size.QuadPart == 0) return failure_of(FAILURE_LOST, "it is empty");
  file->section = CreateFileMappingW(file->file, NULL, PAGE_READONLY, 0, 0, NULL);
  if (file->section == NULL) return system_failure("CreateFileMapping");
  file->view = MapViewOfFile(file->section, FILE_MAP_READ, 0, 0, 0);
  if (file->view == NULL) return system_failure("MapViewOfFile");
  file->ram.size = (uint64_t)size.QuadPart;
  return no_failure();
}

struct failure open_file_ram(const WCHAR *path, struct ram **ram) {
  static const struct ram_ops ops = {copy, check, open_window, close_file, NULL, NULL};
  struct file_ram *file = system_alloc(sizeof *file);
  if (file == NULL) return failure_of(FAILURE_SYSTEM, "no memory");
  file->ram.ops = &ops;
  file->file = INVALID_HANDLE_VALUE;
  struct failure failure = map_all(file, path);
  if (failed(failure)) {
    close_file(&file->ram);
    return failure;
  }
  *ram = &file->ram;
  return failure;
}
