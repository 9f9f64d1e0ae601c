/**
 * Bugchecks: names, and what the four parameters of the common ones mean. In parameters, `~` marks an address worth
 * looking at (an instruction, an object), `#` an NTSTATUS, a bare word a number.
 *
 * Source: Microsoft's bug check code reference (learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-code-reference2),
 * in our own words.
 */

export interface BugcheckParameter {
  readonly meaning: string;
  /** It is an address: a symbol, a structure or memory lies there. */
  readonly isAddress: boolean;
  /** It is an NTSTATUS, perhaps sign-extended. */
  readonly isStatus: boolean;
}

export interface Bugcheck {
  /** `IRQL_NOT_LESS_OR_EQUAL`; `BUGCHECK_0x…` if nobody has told us. */
  readonly name: string;
  /** None, or four. */
  readonly parameters: readonly BugcheckParameter[];
}

type Row = readonly [name: string, ...meanings: string[]];

const irqlAccess = '0 read, 1 write, 2 or 8 execute';
const pageFaultAccess = '0 read, 1 or 2 write, 8 or 16 execute';
const memoryFault: readonly string[] = ['~memory referenced', 'IRQL', irqlAccess, '~instruction'];
const exceptionIn: readonly string[] = [
  '#exception code',
  '~instruction',
  '~exception record',
  '~context record',
];

/** By code. A name alone, or a name and four meanings. */
export const bugcheckTable: Readonly<Record<number, Row>> = {
  0x01: ['APC_INDEX_MISMATCH', '~system call', 'APC index', 'call type', ''],
  0x05: ['INVALID_PROCESS_ATTACH_ATTEMPT'],
  0x0a: ['IRQL_NOT_LESS_OR_EQUAL', ...memoryFault],
  0x12: ['TRAP_CAUSE_UNKNOWN'],
  0x18: ['REFERENCE_BY_POINTER', 'object type', '~object', 'kind of fault', 'count'],
  0x19: ['BAD_POOL_HEADER', 'kind of corruption', '~pool entry', '', ''],
  0x1a: ['MEMORY_MANAGEMENT', 'kind of fault', '', '', ''],
  0x1e: [
    'KMODE_EXCEPTION_NOT_HANDLED',
    '#exception code',
    '~instruction',
    'exception parameter 0',
    'exception parameter 1',
  ],
  0x20: ['KERNEL_APC_PENDING_DURING_EXIT'],
  0x23: ['FAT_FILE_SYSTEM'],
  0x24: ['NTFS_FILE_SYSTEM', 'place in the source', '~exception record', '~context record', ''],
  0x2e: ['DATA_BUS_ERROR'],
  0x31: ['PHASE0_INITIALIZATION_FAILED'],
  0x32: ['PHASE1_INITIALIZATION_FAILED'],
  0x34: ['CACHE_MANAGER'],
  0x35: ['NO_MORE_IRP_STACK_LOCATIONS', '~IRP', '', '', ''],
  0x36: ['DEVICE_REFERENCE_COUNT_NOT_ZERO'],
  0x39: ['SYSTEM_EXIT_OWNED_MUTEX'],
  0x3b: ['SYSTEM_SERVICE_EXCEPTION', '#exception code', '~instruction', '~context record', ''],
  0x3d: ['INTERRUPT_EXCEPTION_NOT_HANDLED', '~exception record', '~context record', '', ''],
  0x3f: ['NO_MORE_SYSTEM_PTES'],
  0x41: ['MUST_SUCCEED_POOL_EMPTY'],
  0x44: ['MULTIPLE_IRP_COMPLETE_REQUESTS', '~IRP', '', '', ''],
  0x48: ['CANCEL_STATE_IN_COMPLETED_IRP'],
  0x4a: ['IRQL_GT_ZERO_AT_SYSTEM_SERVICE', '~system call', 'IRQL', '', ''],
  0x4c: ['FATAL_UNHANDLED_HARD_ERROR'],
  0x4d: ['NO_PAGES_AVAILABLE'],
  0x4e: ['PFN_LIST_CORRUPT'],
  0x50: [
    'PAGE_FAULT_IN_NONPAGED_AREA',
    '~memory referenced',
    pageFaultAccess,
    '~instruction',
    'kind of fault',
  ],
  0x51: ['REGISTRY_ERROR'],
  0x58: ['FTDISK_INTERNAL_ERROR'],
  0x5c: ['HAL_INITIALIZATION_FAILED'],
  0x5d: ['UNSUPPORTED_PROCESSOR'],
  0x67: ['CONFIG_INITIALIZATION_FAILED'],
  0x6b: ['PROCESS1_INITIALIZATION_FAILED'],
  0x6f: ['SESSION3_INITIALIZATION_FAILED'],
  0x73: ['CONFIG_LIST_FAILED'],
  0x74: ['BAD_SYSTEM_CONFIG_INFO'],
  0x76: ['PROCESS_HAS_LOCKED_PAGES', '', '~process', 'locked pages', '~driver’s stack or 0'],
  0x77: ['KERNEL_STACK_INPAGE_ERROR', '#status', '#I/O status', 'page file', 'offset'],
  0x7a: [
    'KERNEL_DATA_INPAGE_ERROR',
    'lock type or PTE',
    '#status',
    'process or PTE contents',
    '~memory referenced',
  ],
  0x7b: ['INACCESSIBLE_BOOT_DEVICE', '~device or name', '', '', ''],
  0x7c: ['BUGCODE_NDIS_DRIVER', 'kind of fault', '', '', ''],
  0x7e: ['SYSTEM_THREAD_EXCEPTION_NOT_HANDLED', ...exceptionIn],
  0x7f: ['UNEXPECTED_KERNEL_MODE_TRAP', 'trap number', '', '', ''],
  0x80: ['NMI_HARDWARE_FAILURE'],
  0x81: ['SPIN_LOCK_INIT_FAILURE'],
  0x8e: ['KERNEL_MODE_EXCEPTION_NOT_HANDLED', '#exception code', '~instruction', '~trap frame', ''],
  0x92: ['UP_DRIVER_ON_MP_SYSTEM'],
  0x93: ['INVALID_KERNEL_HANDLE'],
  0x94: ['KERNEL_STACK_LOCKED_AT_EXIT'],
  0x96: ['INVALID_WORK_QUEUE_ITEM'],
  0x97: ['BOUND_IMAGE_UNSUPPORTED'],
  0x9c: ['MACHINE_CHECK_EXCEPTION', 'bank', '~MCA_EXCEPTION', 'status, high', 'status, low'],
  0x9f: ['DRIVER_POWER_STATE_FAILURE', 'kind of fault', '~device object', '~power data', '~IRP'],
  0xa0: ['INTERNAL_POWER_ERROR'],
  0xa5: ['ACPI_BIOS_ERROR'],
  0xb8: ['ATTEMPTED_SWITCH_FROM_DPC', '~old thread', '~new thread', '~stack', ''],
  0xbe: ['ATTEMPTED_WRITE_TO_READONLY_MEMORY', '~memory referenced', 'PTE', '~trap frame', 'kind of fault'],
  0xc1: ['SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION', '~memory freed', '', '', 'kind of fault'],
  0xc2: ['BAD_POOL_CALLER', 'kind of fault', '', '', '~pool memory'],
  0xc4: ['DRIVER_VERIFIER_DETECTED_VIOLATION', 'kind of violation', '', '', ''],
  0xc5: ['DRIVER_CORRUPTED_EXPOOL', ...memoryFault],
  0xc6: ['DRIVER_CAUGHT_MODIFYING_FREED_POOL', ...memoryFault],
  0xc7: ['TIMER_OR_DPC_INVALID'],
  0xc8: ['IRQL_UNEXPECTED_VALUE'],
  0xc9: ['DRIVER_VERIFIER_IOMANAGER_VIOLATION', 'kind of violation', '', '', ''],
  0xca: ['PNP_DETECTED_FATAL_ERROR'],
  0xcb: ['DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS'],
  0xcc: ['PAGE_FAULT_IN_FREED_SPECIAL_POOL', '~memory referenced', pageFaultAccess, '~instruction', ''],
  0xce: [
    'DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS',
    '~memory referenced',
    pageFaultAccess,
    '~instruction',
    '',
  ],
  0xcf: ['TERMINAL_SERVER_DRIVER_MADE_INCORRECT_MEMORY_REFERENCE'],
  0xd0: ['DRIVER_CORRUPTED_MMPOOL', ...memoryFault],
  0xd1: ['DRIVER_IRQL_NOT_LESS_OR_EQUAL', ...memoryFault],
  0xd3: ['DRIVER_PORTION_MUST_BE_NONPAGED', ...memoryFault],
  0xd5: [
    'DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL',
    '~memory referenced',
    pageFaultAccess,
    '~instruction',
    '',
  ],
  0xd6: [
    'DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION',
    '~memory referenced',
    pageFaultAccess,
    '~instruction',
    '',
  ],
  0xd8: ['DRIVER_USED_EXCESSIVE_PTES'],
  0xda: ['SYSTEM_PTE_MISUSE'],
  0xdb: ['DRIVER_CORRUPTED_SYSPTES'],
  0xde: ['POOL_CORRUPTION_IN_FILE_AREA'],
  0xe1: ['WORKER_THREAD_RETURNED_AT_BAD_IRQL', '~worker routine', 'IRQL', '~work item', ''],
  0xe2: ['MANUALLY_INITIATED_CRASH'],
  0xe3: ['RESOURCE_NOT_OWNED', '~resource', '~thread', '~owner table', ''],
  0xe4: ['WORKER_INVALID'],
  0xe6: ['DRIVER_VERIFIER_DMA_VIOLATION'],
  0xea: ['THREAD_STUCK_IN_DEVICE_DRIVER', '~thread', '', '~driver name', ''],
  0xef: ['CRITICAL_PROCESS_DIED', '~process', '0 process, 1 thread', '', ''],
  0xf4: ['CRITICAL_OBJECT_TERMINATION', '3 process, 6 thread', '~object', '~image name', '~message'],
  0xf7: ['DRIVER_OVERRAN_STACK_BUFFER', 'cookie found', 'cookie expected', 'its complement', ''],
  0xfc: ['ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY', '~memory executed', 'PTE', '~trap frame', ''],
  0xfe: ['BUGCODE_USB_DRIVER'],
  0x101: ['CLOCK_WATCHDOG_TIMEOUT', 'interval in ticks', '', '~PRCB that hangs', 'processor'],
  0x109: ['CRITICAL_STRUCTURE_CORRUPTION', '', '', '~what changed', 'kind of structure'],
  0x10d: ['WDF_VIOLATION', 'kind of violation', '', '', ''],
  0x10e: ['VIDEO_MEMORY_MANAGEMENT_INTERNAL'],
  0x113: ['VIDEO_DXGKRNL_FATAL_ERROR'],
  0x116: ['VIDEO_TDR_FAILURE', '~recovery context', '~driver', '#status', ''],
  0x119: ['VIDEO_SCHEDULER_INTERNAL_ERROR'],
  0x11a: ['EM_INITIALIZATION_FAILURE'],
  0x122: ['WHEA_INTERNAL_ERROR'],
  0x124: ['WHEA_UNCORRECTABLE_ERROR', 'source', '~WHEA_ERROR_RECORD', 'status, high', 'status, low'],
  0x133: [
    'DPC_WATCHDOG_VIOLATION',
    '0 one DPC, 1 DPCs or IRQL',
    'ticks taken',
    'ticks allowed',
    '~DPC_WATCHDOG_GLOBAL_TRIAGE_BLOCK',
  ],
  0x135: ['REGISTRY_FILTER_DRIVER_EXCEPTION'],
  0x139: [
    'KERNEL_SECURITY_CHECK_FAILURE',
    'kind of corruption (3: list entry)',
    '~trap frame',
    '~exception record',
    '',
  ],
  0x13a: ['KERNEL_MODE_HEAP_CORRUPTION', 'kind of corruption', '~heap', '~block', ''],
  0x144: ['BUGCODE_USB3_DRIVER'],
  0x154: ['UNEXPECTED_STORE_EXCEPTION'],
  0x18b: ['SECURE_KERNEL_ERROR'],
  0x1ca: ['SYNTHETIC_WATCHDOG_TIMEOUT'],
  0xdeaddead: ['MANUALLY_INITIATED_CRASH1'],
  0xc000021a: ['WINLOGON_FATAL_ERROR', '~message', '#status', '', ''],
  0xc0000221: ['STATUS_IMAGE_CHECKSUM_MISMATCH'],
};

/** M variants report the same with another tail: 0x1000007E is 0x7E. */
const minidumpVariant = 0x10000000;

export function bugcheckOf(code: number): Bugcheck {
  const row = bugcheckTable[code] ?? (code >>> 28 === 1 ? bugcheckTable[code - minidumpVariant] : undefined);
  if (row === undefined) return { name: `BUGCHECK_0x${code.toString(16).toUpperCase()}`, parameters: [] };
  const [name, ...meanings] = row;
  return {
    name,
    parameters: meanings.map((text) => ({
      meaning: text.replace(/^[~#]/, ''),
      isAddress: text.startsWith('~'),
      isStatus: text.startsWith('#'),
    })),
  };
}

/** Which parameter says how memory was accessed, from 0; -1 if none does. */
export const accessParameter = (code: number): number =>
  bugcheckOf(code).parameters.findIndex(
    ({ meaning }) => meaning === irqlAccess || meaning === pageFaultAccess,
  );

/** Of the bugchecks that report an access to memory: what was tried. */
export function accessOf(
  code: number,
  parameters: readonly bigint[],
): 'read' | 'write' | 'execute' | undefined {
  const which = accessParameter(code);
  const value = parameters[which];
  if (value === undefined) return undefined;
  const execute = bugcheckOf(code).parameters[which]!.meaning === irqlAccess ? 0xan : 0x18n;
  if ((value & execute) !== 0n) return 'execute';
  return value === 0n ? 'read' : 'write';
}
