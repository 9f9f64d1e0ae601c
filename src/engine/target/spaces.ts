/**
 * Memory beyond that of the process which stopped: physical memory, and the address space of any process, translated here.
 *
 *   user half     ─▶ page tables of that process ─▶ physical memory
 *   kernel half   ─▶ memory of the stop: it is everybody's, but for what a session has of its own
 *
 * Invariants: what is not there is absent, never somebody else's; it is read only, for KD writes into the process that stopped.
 */

import { plus, type PhysicalAddress, type VirtualAddress } from '../core/addresses';
import { inSpace, pagingOf, type Paging } from '../memory/paging';
import { pageSize } from '../memory/physicalMemory';
import { walkTables, type EntryReader, type TableWalk } from '../memory/tableWalk';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { TargetProcessor } from './target';

export interface PhysicalReader {
  /** @returns Fewer bytes where there is no RAM. @throws target and link errors */
  readPartial(address: PhysicalAddress, length: number): Promise<Uint8Array>;
}

const highestBit = 1n << 63n;

/** The paging of a processor, in another address space if that is given. @throws target-unsupported on x86 */
export async function pagingIn(
  processor: TargetProcessor,
  directoryTableBase?: bigint,
): Promise<Paging | undefined> {
  const paging = pagingOf(await processor.special(), true);
  return paging && directoryTableBase !== undefined ? inSpace(paging, directoryTableBase) : paging;
}

/** @throws what the memory throws */
export function walkIn(
  physical: PhysicalReader,
  paging: Paging,
  address: VirtualAddress,
): Promise<TableWalk> {
  return walkTables(entriesOf(physical), paging, address);
}

const entriesOf =
  (physical: PhysicalReader): EntryReader =>
  async (address, size) => {
    const bytes = await physical.readPartial(address, size);
    if (bytes.length < size) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, size);
    return size === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
  };

/** Guest RAM gives a range whole or not at all: page by page, so that what is there before a hole is seen. @throws as `readPartial` */
export const readPhysical = (
  physical: PhysicalReader,
  address: PhysicalAddress,
  length: number,
): Promise<Uint8Array> => pageByPage(address, length, (at, wanted) => physical.readPartial(at, wanted));

/** @param read Gives a part of a page; fewer bytes than are wanted end it. */
async function pageByPage<A extends PhysicalAddress | VirtualAddress>(
  address: A,
  length: number,
  read: (at: A, wanted: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let done = 0; done < length;) {
    const at = plus(address, done);
    const wanted = Math.min(length - done, pageSize - Number(at % BigInt(pageSize)));
    const piece = await read(at, wanted);
    pieces.push(piece);
    if (piece.length < wanted) break;
    done += wanted;
  }
  return Buffer.concat(pieces);
}

const nothing = new Uint8Array();

export class SpaceMemory implements VirtualMemory {
  /** Entries that were read: neighbouring pages share all but their last. */
  readonly #entries = new Map<bigint, Promise<bigint | undefined>>();

  constructor(
    private readonly physical: PhysicalReader,
    private readonly paging: Paging,
    private readonly kernelHalf: VirtualMemory,
  ) {}

  async readPartial(address: VirtualAddress, length: number): Promise<Uint8Array> {
    if (address >= highestBit) return this.kernelHalf.readPartial(address, length);
    return pageByPage(address, length, async (at, wanted) => {
      const walk = await walkTables((entry, size) => this.#entry(entry, size), this.paging, at);
      return walk.kind === 'unmapped' ? nothing : this.physical.readPartial(walk.address, wanted);
    });
  }

  #entry(address: PhysicalAddress, size: 4 | 8): Promise<bigint | undefined> {
    const known = this.#entries.get(address);
    if (known !== undefined) return known;
    const entry = entriesOf(this.physical)(address, size);
    this.#entries.set(address, entry);
    return entry;
  }
}
