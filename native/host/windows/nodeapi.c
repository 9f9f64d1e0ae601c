/*
 * windows/nodeapi.c: see nodeapi.h. A call of an imported function goes through the variable __imp_NAME, which a linker takes
 * from an import library; here it is ours. A function that is missing in the list does not link.
 */

#include "../nodeapi.h"

#include <windows.h>

#define NODE_API_FUNCTIONS(X)         \
  X(napi_add_env_cleanup_hook)        \
  X(napi_call_function)               \
  X(napi_call_threadsafe_function)    \
  X(napi_create_array)                \
  X(napi_create_bigint_uint64)        \
  X(napi_create_double)               \
  X(napi_create_error)                \
  X(napi_create_external)             \
  X(napi_create_object)               \
  X(napi_create_string_utf16)         \
  X(napi_create_string_utf8)          \
  X(napi_create_threadsafe_function)  \
  X(napi_create_uint32)               \
  X(napi_define_properties)           \
  X(napi_get_cb_info)                 \
  X(napi_get_instance_data)           \
  X(napi_get_typedarray_info)         \
  X(napi_get_undefined)               \
  X(napi_get_value_bigint_uint64)     \
  X(napi_get_value_double)            \
  X(napi_get_value_external)          \
  X(napi_get_value_string_utf16)      \
  X(napi_is_exception_pending)        \
  X(napi_release_threadsafe_function) \
  X(napi_remove_env_cleanup_hook)     \
  X(napi_set_element)                 \
  X(napi_set_instance_data)           \
  X(napi_set_named_property)          \
  X(napi_throw_error)                 \
  X(napi_typeof)                      \
  X(napi_unref_threadsafe_function)

#define VARIABLE(name) FARPROC name##_found __asm__("__imp_" #name);
NODE_API_FUNCTIONS(VARIABLE)

/* Where the linker has a library begin. Without a C library there is nothing to do. */
BOOL WINAPI DllMainCRTStartup(HINSTANCE library, DWORD reason, void *reserved);
BOOL WINAPI DllMainCRTStartup(HINSTANCE library, DWORD reason, void *reserved) {
  (void)library;
  (void)reason;
  (void)reserved;
  return TRUE;
}

static FARPROC find(const char *name) {
  /* The program itself; some builds of Node keep it in a library. */
  FARPROC function = GetProcAddress(GetModuleHandleW(NULL), name);
  HMODULE library = function == NULL ? GetModuleHandleW(L"libnode.dll") : NULL;
  return library == NULL ? function : GetProcAddress(library, name);
}

bool node_api_bind(void) {
  bool is_whole = true;
#define FIND(name)              \
  name##_found = find(#name);   \
  is_whole = is_whole && name##_found != NULL;
  NODE_API_FUNCTIONS(FIND)
  return is_whole;
}
