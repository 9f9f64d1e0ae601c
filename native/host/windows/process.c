/*
 * windows/process.c: RAM in a monitor's process, by ReadProcessMemory. VMware's maps the machine's .vmem file.
 *
 * Invariants: reading asks for no more than the right to read and to query; only a window may write. The privilege to open
 * what belongs to others is used only if it is needed, and given back at once. A handle means the process that it was
 * opened for, also when that has ended and its number is another's.
 */

#include <windows.h>
#include <psapi.h>

#include "../ram.h"
#include "../system.h"
#include "copying.h"

#define READING (PROCESS_VM_READ | PROCESS_QUERY_INFORMATION)
#define WRITING (READING | PROCESS_VM_WRITE | PROCESS_VM_OPERATION)
/* Of a process, in the order of their addresses. */
#define MOST_REGIONS (1u << 22)
#define NAME_UNITS 1024u

struct process_ram {
  struct ram ram;
  HANDLE process;
  uint64_t base;
  WCHAR name[NAME_UNITS];
};

struct process_window {
  struct window window;
  HANDLE process;
  uint64_t pages[WINDOW_PAGES_MAX]; /* addresses */
};

/* Turns SeDebugPrivilege on or back; FALSE if this user does not have it. */
static bool set_debug_privilege(HANDLE token, const TOKEN_PRIVILEGES *to, TOKEN_PRIVILEGES *before) {
  DWORD bytes = sizeof *before;
  return AdjustTokenPrivileges(token, FALSE, (TOKEN_PRIVILEGES *)to, sizeof *before, before, &bytes) &&
         GetLastError() == ERROR_SUCCESS;
}

static struct failure open_privileged(DWORD rights, uint32_t pid, HANDLE *process) {
  HANDLE token;
  TOKEN_PRIVILEGES debug = {.PrivilegeCount = 1, .Privileges = {{.Attributes = SE_PRIVILEGE_ENABLED}}};
  TOKEN_PRIVILEGES before;
  if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &token))
    return system_failure("OpenProcessToken");
  struct failure failure = no_failure();
  if (!LookupPrivilegeValueW(NULL, L"SeDebugPrivilege", &debug.Privileges[0].Luid)) {
    failure = system_failure("LookupPrivilegeValue");
  } else if (!set_debug_privilege(token, &debug, &before)) {
    failure = (struct failure){FAILURE_DENIED, ERROR_ACCESS_DENIED, "OpenProcess, without SeDebugPrivilege"};
  } else {
    *process = OpenProcess(rights, FALSE, pid);
    if (*process == NULL) failure = system_failure("OpenProcess, with SeDebugPrivilege");
    TOKEN_PRIVILEGES ignored;
    if (before.PrivilegeCount > 0) set_debug_privilege(token, &before, &ignored);
  }
  CloseHandle(token);
  return failure;
}

static struct failure open_process(DWORD rights, uint32_t pid, HANDLE *process) {
  *process = OpenProcess(rights, FALSE, pid);
  if (*process != NULL) return no_failure();
  if (GetLastError() == ERROR_ACCESS_DENIED) return open_privileged(rights, pid, process);
  /* So it answers to a number that no process has. */
  if (GetLastError() == ERROR_INVALID_PARAMETER) return failure_of(FAILURE_ABSENT, "there is no such process");
  return system_failure("OpenProcess");
}

static bool has_ended(HANDLE process) {
  DWORD code;
  return GetExitCodeProcess(process, &code) && code != STILL_ACTIVE;
}

/* What a call says of a process that is gone is of all sorts. */
static struct failure judged(HANDLE process, struct failure failure) {
  return has_ended(process) ? failure_of(FAILURE_LOST, "the process has ended") : failure;
}

static struct failure copy(struct ram *ram, const struct piece *pieces, size_t count, uint8_t *into) {
  struct process_ram *from = (struct process_ram *)ram;
  struct failure failure = copy_from(from->process, from->base, pieces, count, into);
  return failed(failure) ? judged(from->process, failure) : failure;
}

static struct failure check(struct ram *ram) {
  struct process_ram *from = (struct process_ram *)ram;
  uint8_t ends[2];
  struct piece pieces[] = {{0, 1}, {ram->size - 1, 1}};
  struct failure failure = judged(from->process, no_failure());
  return failed(failure) || ram->size == 0 ? failure : copy(ram, pieces, 2, ends);
}

static void close_process(struct ram *ram) {
  struct process_ram *from = (struct process_ram *)ram;
  if (from->process != NULL) CloseHandle(from->process);
  system_free(from);
}

static void *address_of(const struct process_window *of, uint32_t offset) {
  return (void *)(uintptr_t)(of->pages[offset / PAGE_BYTES] + offset % PAGE_BYTES);
}

static uint32_t part_of_page(uint32_t offset, uint32_t length) {
  uint32_t rest = PAGE_BYTES - offset % PAGE_BYTES;
  return length < rest ? length : rest;
}

static struct failure read_window(struct window *window, uint32_t offset, uint8_t *into, uint32_t length) {
  struct process_window *of = (struct process_window *)window;
  while (length > 0) {
    uint32_t part = part_of_page(offset, length);
    if (!ReadProcessMemory(of->process, address_of(of, offset), into, part, NULL))
      return judged(of->process, system_failure("ReadProcessMemory"));
    into += part;
    offset += part;
    length -= part;
  }
  return no_failure();
}

static struct failure write_window(struct window *window, uint32_t offset, const uint8_t *bytes, uint32_t length) {
  struct process_window *of = (struct process_window *)window;
  while (length > 0) {
    uint32_t part = part_of_page(offset, length);
    if (!WriteProcessMemory(of->process, address_of(of, offset), bytes, part, NULL))
      return judged(of->process, system_failure("WriteProcessMemory"));
    bytes += part;
    offset += part;
    length -= part;
  }
  return no_failure();
}

/* Windows copies an aligned word by one instruction. */
static struct failure load_word(struct window *window, uint32_t offset, uint32_t *value) {
  return read_window(window, offset, (uint8_t *)value, sizeof *value);
}

static struct failure store_word(struct window *window, uint32_t offset, uint32_t value) {
  return write_window(window, offset, (const uint8_t *)&value, sizeof value);
}

static void close_window(struct window *window) {
  struct process_window *of = (struct process_window *)window;
  CloseHandle(of->process);
  system_free(of);
}

static struct failure open_window(struct ram *ram, const uint64_t *pages, size_t count, struct window **opened) {
  static const struct window_ops ops = {read_window, write_window, load_word, store_word, close_window};
  struct process_ram *from = (struct process_ram *)ram;
  struct failure failure = check(ram);
  if (failed(failure)) return failure;
  HANDLE process;
  /* While our handle is open its number is nobody else's. */
  failure = open_process(WRITING, GetProcessId(from->process), &process);
  if (failed(failure)) return failure;
  struct process_window *window = system_alloc(sizeof *window);
  if (window == NULL) {
    CloseHandle(process);
    return failure_of(FAILURE_SYSTEM, "no memory");
  }
  window->window = (struct window){&ops, (uint32_t)(count * PAGE_BYTES)};
  window->process = process;
  for (size_t i = 0; i < count; i++) window->pages[i] = from->base + pages[i];
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

static bool is_file_memory(const MEMORY_BASIC_INFORMATION *region) {
  return region->State == MEM_COMMIT && region->Type == MEM_MAPPED &&
         (region->Protect & (PAGE_READWRITE | PAGE_EXECUTE_READWRITE)) != 0 && (region->Protect & PAGE_GUARD) == 0;
}

/* The regions of one view, which differ in their protection or in nothing at all, are one mapping. */
static bool belongs_to(const MEMORY_BASIC_INFORMATION *region, const struct mapping *mapping, uint64_t view) {
  return mapping->size > 0 && (uintptr_t)region->AllocationBase == view &&
         (uintptr_t)region->BaseAddress == mapping->base + mapping->size;
}

static struct failure each_mapping(struct ram *ram, bool (*found)(void *context, const struct mapping *mapping),
                            void *context) {
  struct process_ram *from = (struct process_ram *)ram;
  struct mapping mapping = {0};
  uint64_t view = 0;
  uintptr_t address = 0;
  for (uint32_t i = 0; i < MOST_REGIONS; i++) {
    MEMORY_BASIC_INFORMATION region;
    bool is_region = VirtualQueryEx(from->process, (const void *)address, &region, sizeof region) == sizeof region;
    bool is_wanted = is_region && is_file_memory(&region);
    if (is_wanted && belongs_to(&region, &mapping, view)) {
      mapping.size += region.RegionSize;
    } else {
      if (mapping.size > 0 && !found(context, &mapping)) return no_failure();
      mapping.size = 0;
      DWORD length =
          is_wanted ? K32GetMappedFileNameW(from->process, region.BaseAddress, from->name, NAME_UNITS) : 0;
      if (length > 0)
        mapping = (struct mapping){(uintptr_t)region.BaseAddress, region.RegionSize, from->name, length};
      view = (uintptr_t)region.AllocationBase;
    }
    /* Behind the last address there is nothing to query. */
    if (!is_region || (uintptr_t)region.BaseAddress + region.RegionSize <= address) break;
    address = (uintptr_t)region.BaseAddress + region.RegionSize;
  }
  return judged(from->process, no_failure());
}

struct failure open_process_ram(uint32_t pid, struct ram **ram) {
  static const struct ram_ops ops = {copy, check, open_window, close_process, use_mapping, each_mapping};
  struct process_ram *from = system_alloc(sizeof *from);
  if (from == NULL) return failure_of(FAILURE_SYSTEM, "no memory");
  from->ram.ops = &ops;
  struct failure failure = open_process(READING, pid, &from->process);
  /* Somebody's handle keeps the number of one that has ended. */
  if (!failed(failure) && has_ended(from->process)) failure = failure_of(FAILURE_ABSENT, "there is no such process");
  if (failed(failure)) {
    close_process(&from->ram);
    return failure;
  }
  *ram = &from->ram;
  return failure;
}
