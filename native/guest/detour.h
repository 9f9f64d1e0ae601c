/*
 * detour.h: the bytes that turn a function's beginning into a jump elsewhere, and a copy of what they replace that can be
 * run in another place. Nothing is written here but the caller's buffers.
 */
#ifndef VMKD_DETOUR_H
#define VMKD_DETOUR_H

#include "types.h"

#define DETOUR_JUMP_BYTES 14u    /* the longest jump */
#define DETOUR_LONGEST_START 28u /* what a jump can replace: the last instruction may begin in its last byte */

/* A jump from From to To, as short as it can be: 5 bytes, or 14. Returns its length. */
ULONG DetourJump(UCHAR Jump[DETOUR_JUMP_BYTES], ULONG64 From, ULONG64 To, BOOLEAN Is64);

/*
 * Copies the first whole instructions of a function, Needed bytes at least, so that they do at CopyAddress what they do at
 * Address. Length: how many bytes at Code may be read. Returns how many were copied; 0 if they cannot be, because one of
 * them is not known here, jumps, or reaches for data that is too far away from the copy.
 */
ULONG DetourCopy(const UCHAR *Code, ULONG Length, ULONG64 Address, ULONG Needed, UCHAR Copy[DETOUR_LONGEST_START],
                 ULONG64 CopyAddress, BOOLEAN Is64);

#endif
