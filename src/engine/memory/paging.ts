/**
 * How a processor translates addresses, by its control registers. Source: Intel SDM volume 3, chapter 4.
 *
 *   mode       levels, by the bits of the address that select an entry        entry   large pages
 *   5-level    56─48   47─39   38─30   29─21   20─12                         8       1 GiB, 2 MiB
 *   4-level            47─39   38─30   29─21   20─12                         8       1 GiB, 2 MiB
 *   PAE                        31─30   29─21   20─12                         8       2 MiB
 *   32-bit                             31─22   21─12                         4       4 MiB, with CR4.PSE
 */

export type PagingMode = '5-level' | '4-level' | 'PAE' | '32-bit';

export interface Paging {
  readonly mode: PagingMode;
  /** Physical address of the top table. */
  readonly root: number;
  /** 4 MiB pages of 32-bit paging; the other modes always have theirs. */
  readonly pse: boolean;
}

export interface PagingRegisters {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
}

const cr0Paging = 1n << 31n;
const cr4Pse = 1n << 4n;
const cr4Pae = 1n << 5n;
const cr4FiveLevels = 1n << 12n;

const rootMasks: Record<PagingMode, bigint> = {
  '5-level': 0x000f_ffff_ffff_f000n,
  '4-level': 0x000f_ffff_ffff_f000n,
  PAE: 0xffff_ffe0n,
  '32-bit': 0xffff_f000n,
};

/** @param long Whether the target runs in 64-bit mode. @returns undefined if paging is off */
export function pagingOf({ cr0, cr3, cr4 }: PagingRegisters, long: boolean): Paging | undefined {
  if ((cr0 & cr0Paging) === 0n) return undefined;
  const has = (bit: bigint): boolean => (cr4 & bit) !== 0n;
  const mode = long ? (has(cr4FiveLevels) ? '5-level' : '4-level') : has(cr4Pae) ? 'PAE' : '32-bit';
  return { mode, root: Number(cr3 & rootMasks[mode]), pse: has(cr4Pse) };
}

/** The same mode, another address space. @param directoryTableBase As NT keeps it, with flags. */
export const inSpace = (paging: Paging, directoryTableBase: bigint): Paging => ({
  ...paging,
  root: Number(directoryTableBase & rootMasks[paging.mode]),
});

/** One level of tables. An entry maps 2^`shift` pages. */
export interface Level {
  readonly shift: number;
  readonly entries: number;
  /** Whether an entry may map a large page itself. */
  readonly large: 'never' | 'always' | 'pse';
}

const level = (shift: number, entries: number, large: Level['large'] = 'never'): Level => ({
  shift,
  entries,
  large,
});
const lower = [level(18, 512, 'always'), level(9, 512, 'always'), level(0, 512)];

export interface ModeShape {
  readonly levels: readonly Level[];
  /** Bytes. */
  readonly entrySize: 4 | 8;
  /** Bits of an address that are translated; those above are copies of the highest. */
  readonly addressBits: number;
}

export const modeShapes: Record<PagingMode, ModeShape> = {
  '5-level': { levels: [level(36, 512), level(27, 512), ...lower], entrySize: 8, addressBits: 57 },
  '4-level': { levels: [level(27, 512), ...lower], entrySize: 8, addressBits: 48 },
  PAE: { levels: [level(18, 4), level(9, 512, 'always'), level(0, 512)], entrySize: 8, addressBits: 32 },
  '32-bit': { levels: [level(10, 1024, 'pse'), level(0, 1024)], entrySize: 4, addressBits: 32 },
};
