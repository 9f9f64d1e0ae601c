/*
 * addon_watch.c: from the thread of a watch to JavaScript.
 *
 *   watch's thread ── notify ──▶ thread-safe function ── changed ──▶ watch_told, then the caller's function
 *
 * A watch ends when it is closed or forgotten, and before Node's own end: a hook at the end of the environment, which comes
 * before the thread-safe function's own since it was added later, sees to that. It never keeps Node running.
 */

#include "addon.h"
#include "system.h"
#include "values.h"
#include "watch.h"

/* Microseconds: an hour, so that nothing that is computed with it overflows. */
#define LONGEST_PLAN 3600000000u

struct addon_watch {
  napi_env env;
  napi_threadsafe_function function; /* NULL: Node has done away with it */
  struct held_window *held;
  struct watch *watch; /* NULL: stopped */
  int holders;         /* the handle, and the thread-safe function: either may go first */
};

static void let_go(struct addon_watch *ours) {
  if (--ours->holders == 0) system_free(ours);
}

static void notify(void *context) {
  struct addon_watch *ours = context;
  /* It fails only if Node is about to end; then nobody wants to know. */
  napi_call_threadsafe_function(ours->function, NULL, napi_tsfn_nonblocking);
}

/* On the JavaScript thread. */
static void changed(napi_env env, napi_value callback, void *context, void *data) {
  struct addon_watch *ours = context;
  (void)data;
  if (env == NULL || ours->watch == NULL) return;
  struct failure failure = watch_told(ours->watch);
  napi_value argument = failed(failure) ? failure_value(env, failure) : undefined(env);
  /* What the callback throws becomes Node's uncaught exception, as with any other. */
  if (argument != NULL) napi_call_function(env, undefined(env), callback, 1, &argument, NULL);
}

static void function_is_gone(napi_env env, void *data, void *context) {
  struct addon_watch *ours = data;
  (void)env;
  (void)context;
  ours->function = NULL;
  let_go(ours);
}

static void stop(struct addon_watch *ours) {
  if (ours->watch == NULL) return;
  watch_stop(ours->watch);
  ours->watch = NULL;
  let_window_go(ours->held);
}

static void at_end(void *context) {
  stop(context);
}

static void close_watch(void *thing) {
  struct addon_watch *ours = thing;
  stop(ours);
  napi_remove_env_cleanup_hook(ours->env, at_end, ours);
  if (ours->function != NULL) napi_release_threadsafe_function(ours->function, napi_tsfn_abort);
  let_go(ours);
}

static bool take_words(napi_env env, napi_value value, const struct window *window, uint32_t *offsets, size_t *count) {
  void *elements;
  if (!take_elements(env, value, napi_uint32_array, &elements, count)) return false;
  bool is_good = *count > 0 && *count <= WATCH_WORDS_MAX;
  for (size_t i = 0; is_good && i < *count; i++) {
    offsets[i] = ((const volatile uint32_t *)elements)[i];
    is_good = offsets[i] % 4 == 0 && offsets[i] < window->length;
  }
  if (!is_good) throw_failure(env, failure_of(FAILURE_RANGE, "these are not a few words of the window"));
  return is_good;
}

static bool take_plan(napi_env env, napi_value value, struct watch_plan *plan) {
  void *elements;
  size_t count;
  if (!take_elements(env, value, napi_uint32_array, &elements, &count)) return false;
  uint32_t numbers[4];
  bool is_good = count == 4;
  for (size_t i = 0; is_good && i < 4; i++) {
    numbers[i] = ((const volatile uint32_t *)elements)[i];
    is_good = numbers[i] <= LONGEST_PLAN;
  }
  if (is_good) *plan = (struct watch_plan){numbers[0], numbers[1], numbers[2], numbers[3]};
  if (!is_good) throw_failure(env, failure_of(FAILURE_ARGUMENT, "this is no plan of waiting"));
  return is_good;
}

napi_value watch_words(napi_env env, napi_callback_info info) {
  napi_value arguments[4], name;
  uint32_t offsets[WATCH_WORDS_MAX];
  size_t count;
  struct watch_plan plan;
  if (!take_arguments(env, info, 4, arguments)) return NULL;
  struct held_window *held = take_handle(env, arguments[0], HANDLE_WINDOW);
  if (held == NULL || !take_words(env, arguments[1], held->window, offsets, &count) ||
      !take_plan(env, arguments[2], &plan))
    return NULL;
  struct addon_watch *ours = system_alloc(sizeof *ours);
  if (ours == NULL) return throw_failure(env, failure_of(FAILURE_SYSTEM, "no memory"));
  *ours = (struct addon_watch){.env = env, .held = held, .holders = 1};
  if (napi_create_string_utf8(env, "vmkd watch", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, arguments[3], NULL, name, 0, 1, ours, function_is_gone, ours, changed,
                                      &ours->function) != napi_ok) {
    system_free(ours);
    return throw_failure(env, failure_of(FAILURE_ARGUMENT, "a function is expected"));
  }
  napi_unref_threadsafe_function(env, ours->function);
  /* A watch that cannot be started has the function only, which frees it. */
  ours->watch = watch_start(held->window, offsets, count, plan, notify, ours);
  if (ours->watch == NULL) {
    napi_release_threadsafe_function(ours->function, napi_tsfn_abort);
    return throw_failure(env, failure_of(FAILURE_SYSTEM, "no thread can be started"));
  }
  ours->holders++;
  held->holders++;
  napi_add_env_cleanup_hook(env, at_end, ours);
  return make_handle(env, HANDLE_WATCH, ours, close_watch);
}

napi_value hurry(napi_env env, napi_callback_info info) {
  napi_value argument;
  if (!take_arguments(env, info, 1, &argument)) return NULL;
  struct addon_watch *ours = take_handle(env, argument, HANDLE_WATCH);
  if (ours == NULL) return NULL;
  if (ours->watch != NULL) watch_hurry(ours->watch);
  return undefined(env);
}
