/*
 * shapes.h: the data types of vmkdemo.sys, chosen to be worth looking at in a debugger: nested structs, unions,
 * bitfields, enums, linked lists, function pointers, arrays of arrays, and one struct with more than a hundred members.
 */
#ifndef VMK_SHAPES_H
#define VMK_SHAPES_H

#include "ddk.h"

#define VMKDEMO_EXPORT __declspec(dllexport)

typedef enum _VMK_COLOUR { VmkRed = 1, VmkGreen = 2, VmkBlue = 4, VmkNoColour = -1 } VMK_COLOUR;

typedef union _VMK_VALUE {
  ULONG64 Quad;
  struct {
    ULONG Low;
    ULONG High;
  };
  UCHAR Bytes[8];
  float Single;
  double Double;
} VMK_VALUE;

typedef struct _VMK_FLAGS {
  ULONG Ready : 1;
  ULONG Busy : 1;
  ULONG Priority : 5;
  LONG Signed : 6;
  ULONG : 3;
  ULONG Tail : 16;
  ULONG64 Wide : 40;
  ULONG64 Rest : 24;
} VMK_FLAGS;

typedef struct _VMK_POINT {
  LONG X, Y;
} VMK_POINT;

typedef ULONG VMK_TRANSFORM(ULONG Value);

typedef struct _VMK_NODE {
  LIST_ENTRY Link;
  ULONG Id;
  VMK_COLOUR Colour;
  VMK_VALUE Value;
  VMK_FLAGS Flags;
  VMK_POINT Corners[4];
  VMK_TRANSFORM *Transform;
  CHAR Name[16];
  WCHAR WideName[16];
} VMK_NODE, *PVMK_NODE;

typedef struct _VMK_TREE {
  struct _VMK_TREE *Left, *Right;
  ULONG Key;
} VMK_TREE, *PVMK_TREE;

#define TEN(p) ULONG p##0, p##1, p##2, p##3, p##4, p##5, p##6, p##7, p##8, p##9;
typedef struct _VMK_LARGE {
  ULONG Size;
  TEN(Alpha) TEN(Bravo) TEN(Charlie) TEN(Delta) TEN(Echo) TEN(Foxtrot) TEN(Golf) TEN(Hotel) TEN(India) TEN(Juliett)
  TEN(Kilo) TEN(Lima)
  VMK_NODE Node;
  VMK_FLAGS Flags[3];
  double Matrix[3][4];
  PVOID Self;
} VMK_LARGE, *PVMK_LARGE;

typedef struct _VMK_EXTENSION {
  PDEVICE_OBJECT DeviceObject;
  LIST_ENTRY Nodes;
  ULONG NodeCount;
  VMK_LARGE Large;
  ULONG Requests;
} VMK_EXTENSION, *PVMK_EXTENSION;

/* work.c */
VMKDEMO_EXPORT ULONG VmkDemoWork(ULONG Value);
VMKDEMO_EXPORT ULONG VmkDemoFibonacci(ULONG N);
VMKDEMO_EXPORT extern ULONG64 VmkDemoCounter;
VMKDEMO_EXPORT extern volatile ULONG64 VmkDemoWatched;
VMKDEMO_EXPORT extern ULONG64 VmkDemoWorkCalls;
VMKDEMO_EXPORT extern VMK_LARGE VmkDemoLarge;
VMKDEMO_EXPORT extern LIST_ENTRY VmkDemoNodes;
VOID VmkBuildNodes(VOID);

/* inlines.c, optimised */
VMKDEMO_EXPORT ULONG VmkDemoChecksum(const UCHAR *Bytes, ULONG Length);
VMKDEMO_EXPORT extern volatile LONG VmkDemoSharedCounter;
VMKDEMO_EXPORT LONG VmkDemoShared(volatile ULONG *PerProcessor);
extern const GUID VmkDemoInterface;

/* driver.c */
VMKDEMO_EXPORT extern volatile LONG VmkDemoHammer[4];

/* floating.c */
VMKDEMO_EXPORT double VmkDemoFloat(ULONG Terms);
VMKDEMO_EXPORT extern double VmkDemoPi;

/* frames.c, optimised, with SSE */
VMKDEMO_EXPORT ULONG VmkDemoFrames(ULONG Round);
extern volatile ULONG VmkDemoFramesResult;

/* paged.c */
VMKDEMO_EXPORT ULONG VmkDemoPaged(ULONG Value);
extern ULONG VmkPagedCalls;

#endif
