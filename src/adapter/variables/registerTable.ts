/**
 * The registers of an x64 processor as they are shown: in groups, each with its width, what its bits mean, and where the
 * engine has it. What KD does not hand out (the upper halves of the AVX registers) is not here.
 *
 * Source: Intel SDM volume 1 (flags, x87, SSE) and volume 3 (control registers, MSRs).
 */

import type { SpecialRegistersX64 } from '../../engine/cpu/contextX64';
import type { GeneralContext } from '../../engine/target/target';

/** Names of the fields of a structure that hold numbers. */
type NumericKeys<T> = { [K in keyof T]: T[K] extends bigint | number ? K : never }[keyof T];

export type RegisterHome =
  | { readonly from: 'context'; readonly field: NumericKeys<GeneralContext> }
  | { readonly from: 'special'; readonly field: NumericKeys<SpecialRegistersX64> };

export interface RegisterBits {
  readonly name: string;
  /** From the lowest. */
  readonly position: number;
  readonly length: number;
  readonly meaning: string;
}

export interface RegisterRow {
  readonly name: string;
  /** Of its value. */
  readonly bits: number;
  readonly home: RegisterHome;
  readonly parts?: readonly RegisterBits[];
  /** Its value may point somewhere. */
  readonly isAddress?: boolean;
}

export interface RegisterGroup {
  readonly name: string;
  readonly rows: readonly RegisterRow[];
}

const bit = (position: number, name: string, meaning: string): RegisterBits => ({
  name,
  position,
  length: 1,
  meaning,
});

const context = (field: NumericKeys<GeneralContext>, bits = 64, isAddress = true): RegisterRow => ({
  name: field.toLowerCase(),
  bits,
  home: { from: 'context', field },
  isAddress,
});

const special = (
  name: string,
  field: NumericKeys<SpecialRegistersX64>,
  bits = 64,
  isAddress = false,
): RegisterRow => ({ name, bits, home: { from: 'special', field }, isAddress });

const flags: readonly RegisterBits[] = [
  bit(0, 'cf', 'carry'),
  bit(2, 'pf', 'parity'),
  bit(4, 'af', 'auxiliary carry'),
  bit(6, 'zf', 'zero'),
  bit(7, 'sf', 'sign'),
  bit(8, 'tf', 'trap: single step'),
  bit(9, 'if', 'interrupts enabled'),
  bit(10, 'df', 'direction: down'),
  bit(11, 'of', 'overflow'),
  { name: 'iopl', position: 12, length: 2, meaning: 'I/O privilege level' },
  bit(14, 'nt', 'nested task'),
  bit(16, 'rf', 'resume: no debug fault'),
  bit(17, 'vm', 'virtual-8086 mode'),
  bit(18, 'ac', 'alignment check, access control'),
  bit(19, 'vif', 'virtual interrupt flag'),
  bit(20, 'vip', 'virtual interrupt pending'),
  bit(21, 'id', 'CPUID available'),
];

const cr0: readonly RegisterBits[] = [
  bit(0, 'pe', 'protected mode'),
  bit(1, 'mp', 'monitor coprocessor'),
  bit(2, 'em', 'emulate coprocessor'),
  bit(3, 'ts', 'task switched'),
  bit(4, 'et', 'extension type'),
  bit(5, 'ne', 'numeric error'),
  bit(16, 'wp', 'write protect'),
  bit(18, 'am', 'alignment mask'),
  bit(29, 'nw', 'not write-through'),
  bit(30, 'cd', 'cache disable'),
  bit(31, 'pg', 'paging'),
];

const cr4: readonly RegisterBits[] = [
  bit(0, 'vme', 'virtual-8086 extensions'),
  bit(1, 'pvi', 'protected-mode virtual interrupts'),
  bit(2, 'tsd', 'time stamp disable'),
  bit(3, 'de', 'debugging extensions'),
  bit(4, 'pse', 'page size extensions'),
  bit(5, 'pae', 'physical address extension'),
  bit(6, 'mce', 'machine check enable'),
  bit(7, 'pge', 'global pages'),
  bit(8, 'pce', 'performance counters'),
  bit(9, 'osfxsr', 'FXSAVE and SSE'),
  bit(10, 'osxmmexcpt', 'SSE exceptions'),
  bit(11, 'umip', 'user-mode instruction prevention'),
  bit(12, 'la57', '57-bit linear addresses'),
  bit(13, 'vmxe', 'VMX'),
  bit(14, 'smxe', 'SMX'),
  bit(16, 'fsgsbase', 'RDFSBASE and kin'),
  bit(17, 'pcide', 'process-context identifiers'),
  bit(18, 'osxsave', 'XSAVE'),
  bit(20, 'smep', 'no execution of user pages'),
  bit(21, 'smap', 'no access to user pages'),
  bit(22, 'pke', 'protection keys'),
  bit(23, 'cet', 'control-flow enforcement'),
];

const dr6: readonly RegisterBits[] = [
  bit(0, 'b0', 'slot 0 hit'),
  bit(1, 'b1', 'slot 1 hit'),
  bit(2, 'b2', 'slot 2 hit'),
  bit(3, 'b3', 'slot 3 hit'),
  bit(13, 'bd', 'debug register access'),
  bit(14, 'bs', 'single step'),
  bit(15, 'bt', 'task switch'),
];

const dr7: readonly RegisterBits[] = [0, 1, 2, 3].flatMap((slot) => [
  { name: `l${slot}`, position: slot * 2, length: 1, meaning: `slot ${slot} on, locally` },
  { name: `g${slot}`, position: slot * 2 + 1, length: 1, meaning: `slot ${slot} on, globally` },
  { name: `rw${slot}`, position: 16 + slot * 4, length: 2, meaning: '0 execute, 1 write, 3 read or write' },
  { name: `len${slot}`, position: 18 + slot * 4, length: 2, meaning: '0: 1 byte, 1: 2, 3: 4, 2: 8' },
]);

export const registerGroups: readonly RegisterGroup[] = [
  {
    name: 'General',
    rows: [
      ...(['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp'] as const).map((name) => context(name)),
      ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip'] as const).map((name) =>
        context(name),
      ),
    ],
  },
  { name: 'Flags', rows: [{ ...context('eflags', 32, false), parts: flags }] },
  {
    name: 'Segments',
    rows: (['cs', 'ds', 'es', 'fs', 'gs', 'ss'] as const).map((name) => context(name, 16, false)),
  },
  {
    name: 'Control',
    rows: [
      { ...special('cr0', 'cr0'), parts: cr0 },
      special('cr2', 'cr2', 64, true),
      special('cr3', 'cr3'),
      { ...special('cr4', 'cr4'), parts: cr4 },
      special('cr8', 'cr8'),
    ],
  },
  {
    name: 'Debug',
    rows: [
      ...(['dr0', 'dr1', 'dr2', 'dr3'] as const).map((name) => special(name, name, 64, true)),
      { ...special('dr6', 'dr6'), parts: dr6 },
      { ...special('dr7', 'dr7'), parts: dr7 },
    ],
  },
  {
    name: 'Tables',
    rows: [
      special('gdtr', 'gdtBase', 64, true),
      special('gdtl', 'gdtLimit', 16),
      special('idtr', 'idtBase', 64, true),
      special('idtl', 'idtLimit', 16),
      special('tr', 'tr', 16),
      special('ldtr', 'ldtr', 16),
    ],
  },
];

export interface MsrRow {
  readonly name: string;
  readonly index: number;
  readonly isAddress?: boolean;
  readonly parts?: readonly RegisterBits[];
}

/** Those that kernels use; each costs a request, so they are read one at a time, when somebody looks. */
export const msrTable: readonly MsrRow[] = [
  {
    name: 'efer',
    index: 0xc0000080,
    parts: [
      bit(0, 'sce', 'SYSCALL'),
      bit(8, 'lme', 'long mode enable'),
      bit(10, 'lma', 'long mode active'),
      bit(11, 'nxe', 'no-execute pages'),
      bit(12, 'svme', 'SVM'),
    ],
  },
  { name: 'star', index: 0xc0000081 },
  { name: 'lstar', index: 0xc0000082, isAddress: true },
  { name: 'cstar', index: 0xc0000083, isAddress: true },
  { name: 'fmask', index: 0xc0000084 },
  { name: 'fs_base', index: 0xc0000100, isAddress: true },
  { name: 'gs_base', index: 0xc0000101, isAddress: true },
  { name: 'kernel_gs_base', index: 0xc0000102, isAddress: true },
  { name: 'tsc_aux', index: 0xc0000103 },
  { name: 'apic_base', index: 0x1b, isAddress: true },
  { name: 'tsc', index: 0x10 },
  { name: 'pat', index: 0x277 },
  { name: 'debugctl', index: 0x1d9 },
  { name: 'sysenter_cs', index: 0x174 },
  { name: 'sysenter_esp', index: 0x175, isAddress: true },
  { name: 'sysenter_eip', index: 0x176, isAddress: true },
];
