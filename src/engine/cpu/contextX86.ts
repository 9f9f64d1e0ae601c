/**
 * The CONTEXT of an x86 processor, 716 bytes (0x2cc).
 *
 *   0 ContextFlags   4 Dr0 Dr1 Dr2 Dr3 Dr6 Dr7   1c floating point (112 bytes)   8c SegGs Fs Es Ds
 *   9c Edi Esi Ebx Edx Ecx Eax Ebp Eip SegCs EFlags Esp SegSs   cc extended registers (512 bytes)
 *
 * Source: winnt.h.
 */

import { hex32, layout, type ValuesOf } from '../core/layout';

export const contextSizeX86 = 0x2cc;

export const contextX86 = layout(contextSizeX86, {
  contextFlags: [0x00, hex32],
  dr0: [0x04, hex32],
  dr1: [0x08, hex32],
  dr2: [0x0c, hex32],
  dr3: [0x10, hex32],
  dr6: [0x14, hex32],
  dr7: [0x18, hex32],
  gs: [0x8c, hex32],
  fs: [0x90, hex32],
  es: [0x94, hex32],
  ds: [0x98, hex32],
  edi: [0x9c, hex32],
  esi: [0xa0, hex32],
  ebx: [0xa4, hex32],
  edx: [0xa8, hex32],
  ecx: [0xac, hex32],
  eax: [0xb0, hex32],
  ebp: [0xb4, hex32],
  eip: [0xb8, hex32],
  cs: [0xbc, hex32],
  eflags: [0xc0, hex32],
  esp: [0xc4, hex32],
  ss: [0xc8, hex32],
});

export type ContextX86 = ValuesOf<(typeof contextX86)['fields']>;
