/*
 * values.h: from JavaScript's values to C's, and back. Whatever is not as it must be becomes an exception; FALSE or NULL
 * says that one is pending.
 */
#ifndef VMKD_VALUES_H
#define VMKD_VALUES_H

#include "failure.h"
#include "nodeapi.h"

/* An exception whose `code` is the kind of the failure: 'lost', 'denied' … @returns NULL */
napi_value throw_failure(napi_env env, struct failure failure);

/* The same as a value. */
napi_value failure_value(napi_env env, struct failure failure);

napi_value undefined(napi_env env);

/* Exactly so many arguments. */
bool take_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments);

bool take_u32(napi_env env, napi_value value, uint32_t *number);
bool take_u64(napi_env env, napi_value value, uint64_t *number);

/* The elements of a typed array of that type, for as long as the call lasts. */
bool take_elements(napi_env env, napi_value value, napi_typedarray_type type, void **elements, size_t *count);

/* What JavaScript holds of ours. */
enum handle_kind { HANDLE_RAM, HANDLE_WINDOW, HANDLE_WATCH };

/* `close` is called once, by close_handle or when nobody has the handle any more; NULL if there is no memory. */
napi_value make_handle(napi_env env, enum handle_kind kind, void *thing, void (*close)(void *thing));

/* What a handle of that kind stands for; a closed one is an exception. */
void *take_handle(napi_env env, napi_value value, enum handle_kind kind);

/* Of any kind. A second close does nothing. */
bool close_handle(napi_env env, napi_value value);

#endif
