/**
 * Translation of one address, entry by entry, with what each says: for people who want to see it, and for address spaces whose
 * memory is only read a little at a time. Slow and exact; `pageTables.ts` is the fast one.
 *
 *   CR3 ─▶ PML4E ─▶ PDPTE ─▶ PDE ─▶ PTE ─▶ page
 *
 * Invariant: at most as many entries as the mode has levels, whatever they point at.
 */

import { physicalAddress, type PhysicalAddress, type VirtualAddress } from '../core/addresses';
import { modeShapes, type Level, type Paging, type PagingMode } from './paging';
import { pageSize } from './physicalMemory';
import { isPrototype, isTransition } from './softwareEntries';

export interface TableEntry {
  /** As Intel calls it: `PML4E`, `PTE`. */
  readonly name: string;
  readonly address: PhysicalAddress;
  readonly value: bigint;
}

export type TableWalk = {
  /** From the top table on. */
  readonly entries: readonly TableEntry[];
} & (
  | { readonly kind: 'mapped'; readonly address: PhysicalAddress; readonly pageBytes: number }
  /** `why`: a sentence about the last entry. */
  | { readonly kind: 'unmapped'; readonly why: string }
);

/** Little-endian. Undefined: nothing can be read there. */
export type EntryReader = (address: PhysicalAddress, size: 4 | 8) => Promise<bigint | undefined>;

const names: Record<PagingMode, readonly string[]> = {
  '5-level': ['PML5E', 'PML4E', 'PDPTE', 'PDE', 'PTE'],
  '4-level': ['PML4E', 'PDPTE', 'PDE', 'PTE'],
  PAE: ['PDPTE', 'PDE', 'PTE'],
  '32-bit': ['PDE', 'PTE'],
};

const present = 1n;
const large = 0x80n;
const frameMask = 0x000f_ffff_ffff_f000n;

/** @throws what `read` throws */
export async function walkTables(
  read: EntryReader,
  paging: Paging,
  address: VirtualAddress,
): Promise<TableWalk> {
  const { levels, entrySize, addressBits } = modeShapes[paging.mode];
  const entries: TableEntry[] = [];
  const unmapped = (why: string): TableWalk => ({ kind: 'unmapped', entries, why });
  const canonical = BigInt.asUintN(64, BigInt.asIntN(addressBits, address));
  if (addressBits > 32 && canonical !== address) return unmapped('The address is not canonical.');
  const within = BigInt.asUintN(addressBits, address);
  let table = BigInt(paging.root);
  for (const [depth, level] of levels.entries()) {
    const shift = BigInt(level.shift + 12);
    const index = (within >> shift) % BigInt(level.entries);
    const at = physicalAddress(table + index * BigInt(entrySize));
    const value = await read(at, entrySize);
    const name = names[paging.mode][depth]!;
    if (value === undefined) return unmapped(`The ${name} cannot be read: there is no RAM.`);
    entries.push({ name, address: at, value });
    if ((value & present) === 0n) return unmapped(absence(name, value, level));
    if (level.shift === 0 || isLarge(value, level, paging)) {
      const pageBytes = 2 ** level.shift * pageSize;
      const mask = BigInt(pageBytes - 1);
      const base = entrySize === 4 && level.shift > 0 ? pseBase(value) : value & frameMask & ~mask;
      return { kind: 'mapped', entries, address: physicalAddress(base + (within & mask)), pageBytes };
    }
    if (level.large === 'never' && (value & large) !== 0n)
      return unmapped(`The ${name} breaks the rules of the processor: it cannot be a large page.`);
    table = value & (entrySize === 4 ? 0xffff_f000n : frameMask);
  }
  return unmapped('The tables have no page.');
}

const isLarge = (value: bigint, { large: kind }: Level, { pse }: Paging): boolean =>
  (value & large) !== 0n && (kind === 'always' || (kind === 'pse' && pse));

/** Bits 20─13 of such an entry are bits 39─32 of the address. */
const pseBase = (value: bigint): bigint => (value & 0xffc0_0000n) | (((value >> 13n) & 0xffn) << 32n);

/** What NT writes into entries that are not present. */
function absence(name: string, value: bigint, level: Level): string {
  if (value === 0n) return `The ${name} is zero: nobody has this page.`;
  const low = Number(value & 0xffff_ffffn);
  if (isTransition(low)) return `The ${name} is in transition: its page is on a list, and still in memory.`;
  if (level.shift === 0 && isPrototype(low)) return `The ${name} points to a prototype: the page is shared.`;
  return `The ${name} is not present: its page is in a page file, or not made yet.`;
}

const flagBits: readonly (readonly [bit: bigint, set: string, clear?: string])[] = [
  [1n << 1n, 'writable', 'read-only'],
  [1n << 2n, 'user', 'kernel'],
  [1n << 3n, 'write-through'],
  [1n << 4n, 'not cached'],
  [1n << 5n, 'accessed'],
  [1n << 6n, 'dirty'],
  [1n << 8n, 'global'],
  [1n << 63n, 'no execute'],
];

/** What an entry that is present says of its page. */
export const entryFlags = ({ value }: TableEntry): string[] =>
  (value & present) === 0n
    ? ['not present']
    : flagBits.flatMap(([bit, set, clear]) =>
        (value & bit) !== 0n ? [set] : clear === undefined ? [] : [clear],
      );
