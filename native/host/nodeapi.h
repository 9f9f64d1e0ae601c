/*
 * nodeapi.h: Node-API, and how its functions are found.
 *
 * On Linux the loader finds them in the program that loads us. On Windows an import names the file that it comes from, and
 * that is node.exe for some, and Code.exe or another for others. So windows/nodeapi.c looks them up in whatever program
 * runs, and puts them where calls of imported functions look: into variables named __imp_….
 */
#ifndef VMKD_NODEAPI_H
#define VMKD_NODEAPI_H

#define NAPI_VERSION 8
#define BUILDING_NODE_EXTENSION /* they are imported */
#include <node_api.h>
#include <stdbool.h>

/* FALSE if this program has not all of it; then nothing may be called. */
bool node_api_bind(void);

#endif
