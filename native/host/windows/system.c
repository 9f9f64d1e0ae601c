/* windows/system.c: see system.h and failure.h. There is no C library; what compilers ask for comes from ntdll. */

#include "../system.h"

#include <windows.h>

#include "../failure.h"

/* Since Windows 10 1803; without it a sleep lasts until the next tick of the clock, up to 16 ms. */
#define HIGH_RESOLUTION 2u

void *system_alloc(size_t bytes) {
  return HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, bytes);
}

void system_free(void *memory) {
  if (memory != NULL) HeapFree(GetProcessHeap(), 0, memory);
}

uint64_t system_now(void) {
  LARGE_INTEGER frequency, count;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&count);
  uint64_t ticks = (uint64_t)count.QuadPart;
  uint64_t per_second = (uint64_t)frequency.QuadPart;
  return ticks / per_second * 1000000u + ticks % per_second * 1000000u / per_second;
}

void system_yield(void) {
  SwitchToThread();
}

struct worker {
  HANDLE thread;
  HANDLE bell;
  HANDLE timer;
  void (*body)(struct worker *worker, void *context);
  void *context;
};

static DWORD WINAPI run(void *argument) {
  struct worker *worker = argument;
  worker->body(worker, worker->context);
  return 0;
}

static void free_worker(struct worker *worker) {
  if (worker->thread != NULL) CloseHandle(worker->thread);
  if (worker->bell != NULL) CloseHandle(worker->bell);
  if (worker->timer != NULL) CloseHandle(worker->timer);
  system_free(worker);
}

struct worker *worker_start(void (*body)(struct worker *worker, void *context), void *context) {
  struct worker *worker = system_alloc(sizeof *worker);
  if (worker == NULL) return NULL;
  worker->body = body;
  worker->context = context;
  worker->bell = CreateEventW(NULL, FALSE, FALSE, NULL);
  worker->timer = CreateWaitableTimerExW(NULL, NULL, HIGH_RESOLUTION, TIMER_ALL_ACCESS);
  if (worker->timer == NULL) worker->timer = CreateWaitableTimerExW(NULL, NULL, 0, TIMER_ALL_ACCESS);
  if (worker->bell != NULL && worker->timer != NULL) worker->thread = CreateThread(NULL, 0, run, worker, 0, NULL);
  if (worker->thread != NULL) return worker;
  free_worker(worker);
  return NULL;
}

void worker_sleep(struct worker *worker, uint32_t microseconds) {
  HANDLE handles[] = {worker->bell, worker->timer};
  /* Negative: from now on, in 100 ns. */
  LARGE_INTEGER due = {.QuadPart = -10 * (LONGLONG)microseconds};
  DWORD count = SetWaitableTimer(worker->timer, &due, 0, NULL, NULL, FALSE) ? 2 : 1;
  WaitForMultipleObjects(count, handles, FALSE, microseconds / 1000 + 1);
}

void worker_ring(struct worker *worker) {
  SetEvent(worker->bell);
}

void worker_join(struct worker *worker) {
  WaitForSingleObject(worker->thread, INFINITE);
  free_worker(worker);
}

static enum failure_kind kind_of(DWORD error) {
  switch (error) {
    case ERROR_ACCESS_DENIED:
    case ERROR_PRIVILEGE_NOT_HELD:
    case ERROR_SHARING_VIOLATION:
      return FAILURE_DENIED;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
      return FAILURE_ABSENT;
    case ERROR_PARTIAL_COPY:
    case ERROR_NOACCESS:
      return FAILURE_LOST;
    case ERROR_CALL_NOT_IMPLEMENTED:
    case ERROR_NOT_SUPPORTED:
      return FAILURE_UNSUPPORTED;
    default:
      return FAILURE_SYSTEM;
  }
}

struct failure system_failure(const char *what) {
  DWORD error = GetLastError();
  return (struct failure){kind_of(error), error, what};
}

static size_t append(char *text, size_t bytes, size_t length, const char *more) {
  while (*more != '\0' && length + 1 < bytes) text[length++] = *more++;
  text[length] = '\0';
  return length;
}

void failure_text(struct failure failure, char *text, size_t bytes) {
  size_t length = append(text, bytes, 0, failure.what);
  if (failure.system_error == 0) return;
  WCHAR wide[160];
  char said[sizeof wide / sizeof *wide * 3 + 1];
  DWORD count = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, failure.system_error, 0,
                               wide, sizeof wide / sizeof *wide, NULL);
  while (count > 0 && (wide[count - 1] <= L' ' || wide[count - 1] == L'.')) count--;
  int said_length =
      count == 0 ? 0 : WideCharToMultiByte(CP_UTF8, 0, wide, (int)count, said, sizeof said - 1, NULL, NULL);
  said[said_length] = '\0';
  char number[] = " (Windows error 0000000000)";
  char *digit = number + sizeof number - 2;
  uint32_t rest = failure.system_error;
  for (int i = 0; i < 10; i++, rest /= 10) *--digit = (char)('0' + rest % 10);
  while (*digit == '0') digit++;
  length = append(text, bytes, length, said_length > 0 ? ": " : "");
  length = append(text, bytes, length, said);
  length = append(text, bytes, length, " (Windows error ");
  append(text, bytes, length, digit);
}
