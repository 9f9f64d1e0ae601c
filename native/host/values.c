/* values.c: see values.h. */

#include "values.h"

#include "system.h"

struct handle {
  enum handle_kind kind;
  void *thing; /* NULL: closed */
  void (*close)(void *thing);
};

static const char *code_of(enum failure_kind kind) {
  switch (kind) {
    case FAILURE_NONE:
    case FAILURE_ARGUMENT:
      break;
    case FAILURE_RANGE:
      return "range";
    case FAILURE_LOST:
      return "lost";
    case FAILURE_DENIED:
      return "denied";
    case FAILURE_ABSENT:
      return "absent";
    case FAILURE_UNSUPPORTED:
      return "unsupported";
    case FAILURE_SYSTEM:
      return "system";
  }
  return "argument";
}

napi_value throw_failure(napi_env env, struct failure failure) {
  char text[256];
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  if (is_pending) return NULL;
  failure_text(failure, text, sizeof text);
  napi_throw_error(env, code_of(failure.kind), text);
  return NULL;
}

napi_value failure_value(napi_env env, struct failure failure) {
  char text[256];
  napi_value code, message, error;
  failure_text(failure, text, sizeof text);
  if (napi_create_string_utf8(env, code_of(failure.kind), NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) != napi_ok ||
      napi_create_error(env, code, message, &error) != napi_ok)
    return NULL;
  return error;
}

static bool complain(napi_env env, const char *what) {
  throw_failure(env, failure_of(FAILURE_ARGUMENT, what));
  return false;
}

napi_value undefined(napi_env env) {
  napi_value value = NULL;
  napi_get_undefined(env, &value);
  return value;
}

bool take_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, arguments, NULL, NULL) == napi_ok && given == count) return true;
  return complain(env, "another number of arguments is expected");
}

bool take_u32(napi_env env, napi_value value, uint32_t *number) {
  double given;
  if (napi_get_value_double(env, value, &given) != napi_ok || !(given >= 0 && given <= UINT32_MAX))
    return complain(env, "a number from 0 to 2^32 - 1 is expected");
  *number = (uint32_t)given;
  return (double)*number == given || complain(env, "a whole number is expected");
}

bool take_u64(napi_env env, napi_value value, uint64_t *number) {
  bool is_exact = false;
  if (napi_get_value_bigint_uint64(env, value, number, &is_exact) == napi_ok && is_exact) return true;
  return complain(env, "a bigint from 0 to 2^64 - 1 is expected");
}

bool take_elements(napi_env env, napi_value value, napi_typedarray_type type, void **elements, size_t *count) {
  napi_typedarray_type given;
  if (napi_get_typedarray_info(env, value, &given, count, elements, NULL, NULL) == napi_ok && given == type) return true;
  return complain(env, "a typed array of another sort is expected");
}

static void close_thing(struct handle *handle) {
  void *thing = handle->thing;
  handle->thing = NULL;
  if (thing != NULL) handle->close(thing);
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  close_thing(data);
  system_free(data);
}

napi_value make_handle(napi_env env, enum handle_kind kind, void *thing, void (*close)(void *thing)) {
  napi_value value;
  struct handle *handle = system_alloc(sizeof *handle);
  if (handle != NULL) {
    *handle = (struct handle){kind, thing, close};
    if (napi_create_external(env, handle, finalize, NULL, &value) == napi_ok) return value;
    system_free(handle);
  }
  close(thing);
  return throw_failure(env, failure_of(FAILURE_SYSTEM, "no memory"));
}

static struct handle *handle_of(napi_env env, napi_value value) {
  napi_valuetype type;
  void *data;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external &&
      napi_get_value_external(env, value, &data) == napi_ok)
    return data;
  complain(env, "a handle is expected");
  return NULL;
}

void *take_handle(napi_env env, napi_value value, enum handle_kind kind) {
  struct handle *handle = handle_of(env, value);
  if (handle == NULL) return NULL;
  if (handle->kind != kind) {
    complain(env, "a handle of another kind is expected");
  } else if (handle->thing == NULL) {
    throw_failure(env, failure_of(FAILURE_LOST, "it was closed"));
  } else {
    return handle->thing;
  }
  return NULL;
}

bool close_handle(napi_env env, napi_value value) {
  struct handle *handle = handle_of(env, value);
  if (handle == NULL) return false;
  close_thing(handle);
  return true;
}
