/* addon.h: what the parts of the addon, all of them on the JavaScript thread, share. */
#ifndef VMKD_ADDON_H
#define VMKD_ADDON_H

#include "nodeapi.h"
#include "ram.h"

/* A window that stays open until all who hold it have let go. */
struct held_window {
  struct window *window;
  size_t holders;
};

void let_window_go(void *held);

/* watch(window, offsets: Uint32Array, plan: Uint32Array of spin, yield, shortest and longest sleep, changed): watch */
napi_value watch_words(napi_env env, napi_callback_info info);
/* hurry(watch): void */
napi_value hurry(napi_env env, napi_callback_info info);

#endif
