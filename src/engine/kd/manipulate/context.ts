/**
 * Registers: the CONTEXT of a processor, whole or in pieces, and control space (special registers).
 *
 *   GetContext          16 u32 flags (unused)                        reply data: CONTEXT (x64 1232, x86 716 bytes)
 *   SetContext          16 u32 flags (unused; those inside count)    data: CONTEXT
 *   GetContextEx        16 u32 offset   20 u32 count   24 u32 copied   reply data: that part of CONTEXT
 *   SetContextEx        16 u32 offset   20 u32 count   24 u32 total in the request, copied in the reply; data: that part.
 *                       Staged by the target, and taken over once offset + count reaches the total.
 *   Read/WriteControlSpace   16 u64 base   24 u32 count   28 u32 actual
 *       x64: base selects 0 pointer to KPCR, 1 to KPRCB, 2 KSPECIAL_REGISTERS, 3 pointer to the current KTHREAD
 *       x86: base is a byte offset into KPROCESSOR_STATE: CONTEXT (0x2cc bytes), then KSPECIAL_REGISTERS
 *
 * NT refuses SetContext unless the context was read in the same stop.
 */

import { hex32, u32, u64 } from '../../core/layout';
import { defineApi } from './message';

export const getContext = defineApi({ number: 0x3132, name: 'GetContext', request: { flags: [16, hex32] } });

export const setContext = defineApi({ number: 0x3133, name: 'SetContext', request: { flags: [16, hex32] } });

const piece = { offset: [16, u32], count: [20, u32] } as const;

export const getContextEx = defineApi({
  number: 0x315f,
  name: 'GetContextEx',
  request: piece,
  reply: { ...piece, copied: [24, u32] },
});

export const setContextEx = defineApi({
  number: 0x3160,
  name: 'SetContextEx',
  request: { ...piece, total: [24, u32] },
  reply: { ...piece, copied: [24, u32] },
});

/** `base` of control space on x64. */
export const ControlSpace = { Kpcr: 0n, Kprcb: 1n, SpecialRegisters: 2n, Kthread: 3n } as const;
/** Where KSPECIAL_REGISTERS begin in the control space of x86. */
export const specialRegistersBaseX86 = 0x2ccn;

const controlRange = { base: [16, u64], count: [24, u32] } as const;

export const readControlSpace = defineApi({
  number: 0x3137,
  name: 'ReadControlSpace',
  request: controlRange,
  reply: { ...controlRange, actual: [28, u32] },
});

export const writeControlSpace = defineApi({
  number: 0x3138,
  name: 'WriteControlSpace',
  request: controlRange,
  reply: { ...controlRange, actual: [28, u32] },
});
