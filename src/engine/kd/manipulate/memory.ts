/**
 * Memory: virtual and physical reads and writes, search, fill, query.
 *
 *   Read/WriteVirtualMemory   16 u64 address   24 u32 count   28 u32 actual      data: what was read / is to be written
 *   Read/WritePhysicalMemory  the same; field 28 of the request is the cache flag
 *   SearchMemory              16 u64 start, in the reply: where found   24 u64 length   32 u32 patternLength   data: pattern
 *   FillMemory                16 u64 address   24 u32 length, in the reply: filled   28 u16 flags   30 u16 patternLength
 *   QueryMemory               16 u64 address   32 u32 space   36 u32 flags
 *
 * Reads may be short: across a page that is absent the reply has status C0000001, `actual` > 0 and the bytes before it.
 */

import { hex32, layout, pa, u16, u32, u64, va } from '../../core/layout';
import { defineApi } from './message';

const virtualRange = { address: [16, va], count: [24, u32] } as const;
const physicalRange = { address: [16, pa], count: [24, u32] } as const;
const actual = { actual: [28, u32] } as const;

/** For field 28 of physical accesses. */
export const CacheFlags = { Default: 0, Cached: 1, Uncached: 2, WriteCombined: 3 } as const;

export const readVirtualMemory = defineApi({
  number: 0x3130,
  name: 'ReadVirtualMemory',
  request: virtualRange,
  reply: { ...virtualRange, ...actual },
});

export const writeVirtualMemory = defineApi({
  number: 0x3131,
  name: 'WriteVirtualMemory',
  request: virtualRange,
  reply: { ...virtualRange, ...actual },
});

export const readPhysicalMemory = defineApi({
  number: 0x313d,
  name: 'ReadPhysicalMemory',
  request: { ...physicalRange, cacheFlag: [28, u32] },
  reply: { ...physicalRange, ...actual },
});

export const writePhysicalMemory = defineApi({
  number: 0x313e,
  name: 'WritePhysicalMemory',
  request: { ...physicalRange, cacheFlag: [28, u32] },
  reply: { ...physicalRange, ...actual },
});

export const searchMemory = defineApi({
  number: 0x3156,
  name: 'SearchMemory',
  request: { start: [16, va], length: [24, u64], patternLength: [32, u32] },
  reply: { found: [16, va] },
});

export const FillFlags = { Virtual: 1, Physical: 2 } as const;

export const fillMemory = defineApi({
  number: 0x315b,
  name: 'FillMemory',
  request: { address: [16, u64], length: [24, u32], flags: [28, u16], patternLength: [30, u16] },
  reply: { filled: [24, u32] },
});

/** `space` of the reply: 0 process, 1 session, 2 kernel; `flags`: 1 readable, 2 writable, 4 executable, 8 fixed. */
export const queryMemory = defineApi({
  number: 0x315c,
  name: 'QueryMemory',
  request: { address: [16, va], space: [32, u32] },
  reply: { address: [16, va], space: [32, u32], flags: [36, hex32] },
});

export const pageIn = defineApi({
  number: 0x3151,
  name: 'PageIn',
  request: { address: [16, va], continueStatus: [24, hex32] },
  reply: { continueStatus: [24, hex32] },
  repeatable: false,
});

export const checkLowMemory = defineApi({ number: 0x3159, name: 'CheckLowMemory' });

/** The prefix that all virtual accesses share: for servers that answer reads by themselves. */
export const virtualAccess = layout(32, { ...virtualRange, ...actual });
