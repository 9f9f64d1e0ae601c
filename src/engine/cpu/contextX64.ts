/**
 * The CONTEXT of an x64 processor, 1232 bytes (0x4d0), and its KSPECIAL_REGISTERS.
 *
 *   0   P1Home … P6Home              30 u32 ContextFlags  34 u32 MxCsr
 *   38  u16 SegCs Ds Es Fs Gs Ss     44 u32 EFlags        48 Dr0 Dr1 Dr2 Dr3 Dr6 Dr7
 *   78  Rax Rcx Rdx Rbx Rsp Rbp Rsi Rdi R8 … R15           f8 Rip
 *   100 XMM_SAVE_AREA32 (512 bytes)  300 vector registers (26 × 16)   4a0 VectorControl … (offsets in hexadecimal)
 *
 * Source: winnt.h and the layouts seen on the wire.
 */

import { bytes, hex16, hex32, layout, u64, va, type ValuesOf } from '../core/layout';

export const contextSizeX64 = 0x4d0;

/** Bytes up to the floating point: what a debugger needs at each stop. */
export const generalSizeX64 = 0x100;

const generalFields = {
  contextFlags: [0x30, hex32],
  mxCsr: [0x34, hex32],
  cs: [0x38, hex16],
  ds: [0x3a, hex16],
  es: [0x3c, hex16],
  fs: [0x3e, hex16],
  gs: [0x40, hex16],
  ss: [0x42, hex16],
  eflags: [0x44, hex32],
  dr0: [0x48, u64],
  dr1: [0x50, u64],
  dr2: [0x58, u64],
  dr3: [0x60, u64],
  dr6: [0x68, u64],
  dr7: [0x70, u64],
  rax: [0x78, u64],
  rcx: [0x80, u64],
  rdx: [0x88, u64],
  rbx: [0x90, u64],
  rsp: [0x98, u64],
  rbp: [0xa0, u64],
  rsi: [0xa8, u64],
  rdi: [0xb0, u64],
  r8: [0xb8, u64],
  r9: [0xc0, u64],
  r10: [0xc8, u64],
  r11: [0xd0, u64],
  r12: [0xd8, u64],
  r13: [0xe0, u64],
  r14: [0xe8, u64],
  r15: [0xf0, u64],
  rip: [0xf8, va],
} as const;

export const generalX64 = layout(generalSizeX64, generalFields);

export const contextX64 = layout(contextSizeX64, { ...generalFields, floatSave: [0x100, bytes(512)] });

export type ContextX64 = ValuesOf<(typeof contextX64)['fields']>;

/** What newer targets send; older ones stop at 0xd8 (without Xcr0). */
export const specialRegistersSizeX64 = 0xe0;

export const specialRegistersX64 = layout(specialRegistersSizeX64, {
  cr0: [0x00, u64],
  cr2: [0x08, va],
  cr3: [0x10, u64],
  cr4: [0x18, u64],
  dr0: [0x20, va],
  dr1: [0x28, va],
  dr2: [0x30, va],
  dr3: [0x38, va],
  dr6: [0x40, u64],
  dr7: [0x48, u64],
  gdtLimit: [0x56, hex16],
  gdtBase: [0x58, va],
  idtLimit: [0x66, hex16],
  idtBase: [0x68, va],
  tr: [0x70, hex16],
  ldtr: [0x72, hex16],
  mxCsr: [0x74, hex32],
  cr8: [0xa0, u64],
  gsBase: [0xa8, va],
  gsSwap: [0xb0, va],
  star: [0xb8, u64],
  lstar: [0xc0, va],
  cstar: [0xc8, va],
  syscallMask: [0xd0, u64],
});

export type SpecialRegistersX64 = ValuesOf<(typeof specialRegistersX64)['fields']>;
