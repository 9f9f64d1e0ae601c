/**
 * Breakpoints that the target keeps for us: its table of 32, handles 1 to 32.
 *
 *   WriteBreakPoint        16 u64 address   reply: 24 u32 handle
 *   RestoreBreakPoint      16 u32 handle
 *   Write/RestoreBreakPointEx   16 u32 count   20 u32 continueStatus   data: count × {u64 address, u32 handle} / u32 handle
 *   ClearAllInternalBreakpoints  nothing; acknowledged only
 *   Set/GetInternalBreakPoint    16 u64 address   24 u32 flags   28.. u32 calls, max, min, maxCalls, total  (obsolete)
 *   Query/Set/ClearSpecialCall(s)                 (obsolete)
 *   WriteCustomBreakpoint  16 u64 address   24 u64 instruction   32 u32 handle   36 u8 size   37 u8 alignment
 *
 * NT's rules, which the layers above live with: an address already in the table is refused (C0000001), and so is a full
 * table; a breakpoint on an absent page is accepted and set when the page comes; every stop deletes the entries that lie
 * within the reported instruction stream at the program counter, so their handles fail afterwards: expected, no error.
 */

import { hex32, u32, u64, u8, va } from '../../core/layout';
import { defineApi } from './message';

/** Slots in NT's table. */
export const breakpointSlots = 32;

export const writeBreakPoint = defineApi({
  number: 0x3134,
  name: 'WriteBreakPoint',
  request: { address: [16, va] },
  reply: { address: [16, va], handle: [24, u32] },
  repeatable: false,
});

export const restoreBreakPoint = defineApi({
  number: 0x3135,
  name: 'RestoreBreakPoint',
  request: { handle: [16, u32] },
  reply: { handle: [16, u32] },
  // A second time fails, but the breakpoint is as gone as after the first.
  repeatable: true,
});

const many = { count: [16, u32], continueStatus: [20, hex32] } as const;
export const writeBreakPointEx = defineApi({
  number: 0x3147,
  name: 'WriteBreakPointEx',
  request: many,
  reply: many,
  repeatable: false,
});
export const restoreBreakPointEx = defineApi({
  number: 0x3148,
  name: 'RestoreBreakPointEx',
  request: many,
  reply: many,
});

export const clearAllInternalBreakpoints = defineApi({
  number: 0x315a,
  name: 'ClearAllInternalBreakpoints',
  answer: 'acknowledgement',
});

export const setInternalBreakPoint = defineApi({
  number: 0x3142,
  name: 'SetInternalBreakPoint',
  request: { address: [16, va], flags: [24, hex32] },
});

export const getInternalBreakPoint = defineApi({
  number: 0x3143,
  name: 'GetInternalBreakPoint',
  request: { address: [16, va] },
  reply: {
    address: [16, va],
    flags: [24, hex32],
    calls: [28, u32],
    maxCallsPerPeriod: [32, u32],
    minInstructions: [36, u32],
    maxInstructions: [40, u32],
    totalInstructions: [44, u32],
  },
});

export const querySpecialCalls = defineApi({
  number: 0x313f,
  name: 'QuerySpecialCalls',
  reply: { count: [16, u32] },
});
export const setSpecialCall = defineApi({
  number: 0x3140,
  name: 'SetSpecialCall',
  request: { call: [16, va] },
});
export const clearSpecialCalls = defineApi({
  number: 0x3141,
  name: 'ClearSpecialCalls',
  answer: 'acknowledgement',
});

export const writeCustomBreakpoint = defineApi({
  number: 0x315e,
  name: 'WriteCustomBreakpoint',
  request: { address: [16, va], instruction: [24, u64], size: [36, u8], alignment: [37, u8] },
  reply: { handle: [32, u32] },
  repeatable: false,
});
