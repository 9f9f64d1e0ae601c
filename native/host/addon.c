/*
 * addon.c: what vmkd asks of a host that Node does not offer. src/engine/core/nativeHost.ts gives these functions types.
 *
 *   openFile(path): ram                       openProcess(pid): ram
 *   mappings(ram): { address, size, name }[]  useMapping(ram, address: bigint, size: bigint): void
 *   size(ram): number                         check(ram): void
 *   copy(ram, offsets: Float64Array, lengths: Uint32Array, count, into: Uint8Array): void
 *   openWindow(ram, offsets of pages: Float64Array): window
 *   readWindow(window, offset, into: Uint8Array): void
 *   writeWindow(window, offset, bytes: Uint8Array): void
 *   loadWord(window, offset): number          storeWord(window, offset, value): void
 *   awaitWord(window, offset, old, microseconds): number
 *   watch(…), hurry(watch): see addon.h       close(ram | window | watch): void
 *   keepPrivate(name of a pipe): void         Windows only: see pipe.h
 *
 * Invariants: what was closed, or is gone, is an exception, never a crash; nothing here keeps Node from ending.
 */

#include "addon.h"

#include "pipe.h"
#include "system.h"
#include "values.h"

#define PIECES 256u
#define PATH_MAX_UNITS 32768u
#define MAPPINGS_MAX 65536u
/* Microseconds for which JavaScript may stand still. */
#define LONGEST_AWAIT 10000u

static napi_value result(napi_env env, struct failure failure) {
  return failed(failure) ? throw_failure(env, failure) : undefined(env);
}

static void close_ram(void *thing) {
  struct ram *ram = thing;
  ram->ops->close(ram);
}

/* The one argument, to be freed. NULL: an exception is pending. */
static path_char *take_path(napi_env env, napi_callback_info info) {
  napi_value path;
  if (!take_arguments(env, info, 1, &path)) return NULL;
  path_char *text = system_alloc(PATH_MAX_UNITS * sizeof *text);
  if (text == NULL) {
    throw_failure(env, failure_of(FAILURE_SYSTEM, "no memory"));
    return NULL;
  }
  size_t length = 0;
#ifdef _WIN32
  napi_status status = napi_get_value_string_utf16(env, path, (char16_t *)text, PATH_MAX_UNITS, &length);
#else
  napi_status status = napi_get_value_string_utf8(env, path, text, PATH_MAX_UNITS, &length);
#endif
  bool is_path = status == napi_ok && length > 0 && length < PATH_MAX_UNITS - 4;
  for (size_t i = 0; i < length; i++) is_path = is_path && text[i] != 0;
  if (is_path) return text;
  system_free(text);
  throw_failure(env, failure_of(FAILURE_ARGUMENT, "a path is expected"));
  return NULL;
}

static napi_value open_file(napi_env env, napi_callback_info info) {
  path_char *path = take_path(env, info);
  if (path == NULL) return NULL;
  struct ram *ram = NULL;
  struct failure failure = open_file_ram(path, &ram);
  system_free(path);
  return failed(failure) ? throw_failure(env, failure) : make_handle(env, HANDLE_RAM, ram, close_ram);
}

static napi_value keep_private(napi_env env, napi_callback_info info) {
  path_char *path = take_path(env, info);
  if (path == NULL) return NULL;
  struct failure failure = pipe_keep_private(path);
  system_free(path);
  return result(env, failure);
}

static napi_value open_process(napi_env env, napi_callback_info info) {
  napi_value argument;
  uint32_t pid;
  if (!take_arguments(env, info, 1, &argument) || !take_u32(env, argument, &pid)) return NULL;
  struct ram *ram = NULL;
  struct failure failure = open_process_ram(pid, &ram);
  return failed(failure) ? throw_failure(env, failure) : make_handle(env, HANDLE_RAM, ram, close_ram);
}

struct mapping_list {
  napi_env env;
  napi_value array;
  uint32_t count;
};

static bool add_mapping(void *context, const struct mapping *mapping) {
  struct mapping_list *list = context;
  napi_value entry, address, size, name;
  bool is_added = napi_create_object(list->env, &entry) == napi_ok &&
                  napi_create_bigint_uint64(list->env, mapping->base, &address) == napi_ok &&
                  napi_create_bigint_uint64(list->env, mapping->size, &size) == napi_ok &&
                  napi_create_string_utf16(list->env, mapping->name, mapping->name_length, &name) == napi_ok &&
                  napi_set_named_property(list->env, entry, "address", address) == napi_ok &&
                  napi_set_named_property(list->env, entry, "size", size) == napi_ok &&
                  napi_set_named_property(list->env, entry, "name", name) == napi_ok &&
                  napi_set_element(list->env, list->array, list->count, entry) == napi_ok;
  return is_added && ++list->count < MAPPINGS_MAX;
}

static napi_value mappings(napi_env env, napi_callback_info info) {
  napi_value argument;
  if (!take_arguments(env, info, 1, &argument)) return NULL;
  struct ram *ram = take_handle(env, argument, HANDLE_RAM);
  if (ram == NULL) return NULL;
  struct mapping_list list = {.env = env};
  if (napi_create_array(env, &list.array) != napi_ok) return NULL;
  struct failure failure = ram->ops->each_mapping == NULL
                               ? failure_of(FAILURE_UNSUPPORTED, "its mappings cannot be had here")
                               : ram->ops->each_mapping(ram, add_mapping, &list);
  return failed(failure) ? throw_failure(env, failure) : list.array;
}

static napi_value choose_mapping(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  uint64_t address, size;
  if (!take_arguments(env, info, 3, arguments)) return NULL;
  struct ram *ram = take_handle(env, arguments[0], HANDLE_RAM);
  if (ram == NULL || !take_u64(env, arguments[1], &address) || !take_u64(env, arguments[2], &size)) return NULL;
  return result(env, ram->ops->use_mapping == NULL ? failure_of(FAILURE_ARGUMENT, "a process is expected")
                                                   : ram->ops->use_mapping(ram, address, size));
}

static napi_value size_of(napi_env env, napi_callback_info info) {
  napi_value argument, value;
  if (!take_arguments(env, info, 1, &argument)) return NULL;
  struct ram *ram = take_handle(env, argument, HANDLE_RAM);
  return ram != NULL && napi_create_double(env, (double)ram->size, &value) == napi_ok ? value : NULL;
}

static napi_value check(napi_env env, napi_callback_info info) {
  napi_value argument;
  if (!take_arguments(env, info, 1, &argument)) return NULL;
  struct ram *ram = take_handle(env, argument, HANDLE_RAM);
  return ram == NULL ? NULL : result(env, ram->ops->check(ram));
}

static struct failure copy_ranges(struct ram *ram, struct ranges ranges, uint8_t *into, struct piece *pieces) {
  for (;;) {
    size_t count;
    uint64_t bytes;
    if (!ranges_take(&ranges, pieces, PIECES, &count, &bytes))
      return failure_of(FAILURE_RANGE, "a range does not lie inside, or has no room");
    if (count == 0) return no_failure();
    struct failure failure = ram->ops->copy(ram, pieces, count, into);
    if (failed(failure)) return failure;
    into += bytes;
  }
}

static napi_value copy(napi_env env, napi_callback_info info) {
  napi_value arguments[5];
  void *offsets, *lengths, *into, *pieces;
  size_t offset_count, length_count, room;
  uint32_t count;
  if (!take_arguments(env, info, 5, arguments)) return NULL;
  struct ram *ram = take_handle(env, arguments[0], HANDLE_RAM);
  if (ram == NULL || !take_elements(env, arguments[1], napi_float64_array, &offsets, &offset_count) ||
      !take_elements(env, arguments[2], napi_uint32_array, &lengths, &length_count) ||
      !take_u32(env, arguments[3], &count) || !take_elements(env, arguments[4], napi_uint8_array, &into, &room) ||
      napi_get_instance_data(env, &pieces) != napi_ok)
    return NULL;
  if (count > offset_count || count > length_count)
    return throw_failure(env, failure_of(FAILURE_ARGUMENT, "there are fewer ranges than that"));
  struct ranges ranges = {offsets, lengths, count, ram->size, room};
  return result(env, copy_ranges(ram, ranges, into, pieces));
}

void let_window_go(void *thing) {
  struct held_window *held = thing;
  if (--held->holders > 0) return;
  held->window->ops->close(held->window);
  system_free(held);
}

/* The offsets of pages, each of them checked. */
static bool take_pages(napi_env env, napi_value value, const struct ram *ram, uint64_t **pages, size_t *count) {
  void *given;
  if (!take_elements(env, value, napi_float64_array, &given, count)) return false;
  uint64_t *offsets = *count == 0 || *count > WINDOW_PAGES_MAX ? NULL : system_alloc(*count * sizeof *offsets);
  bool is_good = offsets != NULL;
  for (size_t i = 0; is_good && i < *count; i++) {
    uint32_t length = PAGE_BYTES;
    struct ranges one = {(const double *)given + i, &length, 1, ram->size, PAGE_BYTES};
    struct piece piece;
    size_t taken;
    uint64_t bytes;
    is_good = ranges_take(&one, &piece, 1, &taken, &bytes) && piece.offset % PAGE_BYTES == 0;
    if (is_good) offsets[i] = piece.offset;
  }
  if (is_good) {
    *pages = offsets;
    return true;
  }
  system_free(offsets);
  throw_failure(env, failure_of(FAILURE_RANGE, "these are not the pages of a window"));
  return false;
}

static napi_value open_window(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  uint64_t *pages;
  size_t count;
  if (!take_arguments(env, info, 2, arguments)) return NULL;
  struct ram *ram = take_handle(env, arguments[0], HANDLE_RAM);
  if (ram == NULL || !take_pages(env, arguments[1], ram, &pages, &count)) return NULL;
  struct held_window *held = system_alloc(sizeof *held);
  struct failure failure = held == NULL ? failure_of(FAILURE_SYSTEM, "no memory")
                                        : ram->ops->open_window(ram, pages, count, &held->window);
  system_free(pages);
  if (failed(failure)) {
    system_free(held);
    return throw_failure(env, failure);
  }
  held->holders = 1;
  return make_handle(env, HANDLE_WINDOW, held, let_window_go);
}

/* The first two of `count` arguments: a window, and an offset in it. */
static struct window *take_place(napi_env env, napi_callback_info info, size_t count, napi_value *arguments,
                                 uint32_t *offset) {
  if (!take_arguments(env, info, count, arguments)) return NULL;
  struct held_window *held = take_handle(env, arguments[0], HANDLE_WINDOW);
  return held != NULL && take_u32(env, arguments[1], offset) ? held->window : NULL;
}

static bool take_part(napi_env env, const struct window *window, uint32_t offset, napi_value value, uint8_t **bytes,
                      uint32_t *length) {
  void *data;
  size_t count;
  if (!take_elements(env, value, napi_uint8_array, &data, &count)) return false;
  if (offset > window->length || count > window->length - offset) {
    throw_failure(env, failure_of(FAILURE_RANGE, "it does not lie inside the window"));
    return false;
  }
  *bytes = data;
  *length = (uint32_t)count;
  return true;
}

static napi_value read_window(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  uint32_t offset, length;
  uint8_t *into;
  struct window *window = take_place(env, info, 3, arguments, &offset);
  if (window == NULL || !take_part(env, window, offset, arguments[2], &into, &length)) return NULL;
  return result(env, window->ops->read(window, offset, into, length));
}

static napi_value write_window(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  uint32_t offset, length;
  uint8_t *bytes;
  struct window *window = take_place(env, info, 3, arguments, &offset);
  if (window == NULL || !take_part(env, window, offset, arguments[2], &bytes, &length)) return NULL;
  return result(env, window->ops->write(window, offset, bytes, length));
}

static bool check_word(napi_env env, const struct window *window, uint32_t offset) {
  if (offset % 4 == 0 && offset < window->length) return true;
  throw_failure(env, failure_of(FAILURE_RANGE, "it is no word of the window"));
  return false;
}

static napi_value number(napi_env env, struct failure failure, uint32_t value) {
  napi_value made = NULL;
  if (failed(failure)) return throw_failure(env, failure);
  return napi_create_uint32(env, value, &made) == napi_ok ? made : NULL;
}

static napi_value load_word(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  uint32_t offset, value = 0;
  struct window *window = take_place(env, info, 2, arguments, &offset);
  if (window == NULL || !check_word(env, window, offset)) return NULL;
  struct failure failure = window->ops->load(window, offset, &value);
  return number(env, failure, value);
}

static napi_value store_word(napi_env env, napi_callback_info info) {
  napi_value arguments[3];
  uint32_t offset, value;
  struct window *window = take_place(env, info, 3, arguments, &offset);
  if (window == NULL || !check_word(env, window, offset) || !take_u32(env, arguments[2], &value)) return NULL;
  return result(env, window->ops->store(window, offset, value));
}

/* Stands still until the word is no longer `old`, but not for long. */
static napi_value await_word(napi_env env, napi_callback_info info) {
  napi_value arguments[4];
  uint32_t offset, old, limit, value = 0;
  struct window *window = take_place(env, info, 4, arguments, &offset);
  if (window == NULL || !check_word(env, window, offset) || !take_u32(env, arguments[2], &old) ||
      !take_u32(env, arguments[3], &limit))
    return NULL;
  if (limit > LONGEST_AWAIT) limit = LONGEST_AWAIT;
  uint64_t start = system_now();
  for (;;) {
    struct failure failure = window->ops->load(window, offset, &value);
    if (failed(failure) || value != old || system_now() - start >= limit) return number(env, failure, value);
    system_pause();
  }
}

static napi_value close(napi_env env, napi_callback_info info) {
  napi_value argument;
  return take_arguments(env, info, 1, &argument) && close_handle(env, argument) ? undefined(env) : NULL;
}

static void free_pieces(napi_env env, void *pieces, void *hint) {
  (void)env;
  (void)hint;
  system_free(pieces);
}

static const struct {
  const char *name;
  napi_callback function;
} functions[] = {
    {"openFile", open_file},
    {"keepPrivate", keep_private},
    {"openProcess", open_process},
    {"mappings", mappings},
    {"useMapping", choose_mapping},
    {"size", size_of},
    {"check", check},
    {"copy", copy},
    {"openWindow", open_window},
    {"readWindow", read_window},
    {"writeWindow", write_window},
    {"loadWord", load_word},
    {"storeWord", store_word},
    {"awaitWord", await_word},
    {"watch", watch_words},
    {"hurry", hurry},
    {"close", close},
};

NAPI_MODULE_INIT() {
  if (!node_api_bind()) return NULL;
  struct piece *pieces = system_alloc(PIECES * sizeof *pieces);
  if (pieces == NULL) return throw_failure(env, failure_of(FAILURE_SYSTEM, "no memory"));
  if (napi_set_instance_data(env, pieces, free_pieces, NULL) != napi_ok) return NULL;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_property_descriptor property = {
        .utf8name = functions[i].name,
        .method = functions[i].function,
        .attributes = napi_enumerable,
    };
    if (napi_define_properties(env, exports, 1, &property) != napi_ok) return NULL;
  }
  return exports;
}
