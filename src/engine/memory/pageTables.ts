/**
 * Translation of virtual pages by the target's own page tables, as its processor does it, and a little further: pages that NT
 * has taken out of a working set and that are in memory still.
 *
 *   page number ─▶ entries, from the top table down ─▶ frame, and how many frames behind it belong to the next pages
 *
 * Tables are read a page at a time and kept until `forget`. Numbers of pages and frames are plain numbers, for a large read
 * translates thousands of them; a miss is a negative one.
 *
 * Invariants: a walk has at most as many steps as the mode has levels, whatever tables point at, and one more such walk for
 * a prototype; a frame that is returned is there, with all that `span` counts.
 */

import { pageFrame, type VirtualAddress } from '../core/addresses';
import { modeShapes, type Level, type ModeShape, type Paging } from './paging';
import { pageSize, rangeAt, type PhysicalMemory } from './physicalMemory';
import {
  isPrototype,
  isTransition,
  prototypeAt,
  transitionFrame,
  type SoftwareEntries,
} from './softwareEntries';

/** Why a page has no frame here. */
export const Miss = {
  /** Its entry, or one above it, is zero: nobody has this page. */
  absent: -1,
  /** In a page file, or not made yet: an entry that is not zero says so. */
  notPresent: -2,
  /** No RAM: a device's, or beyond what is here. Somebody else may know. */
  elsewhere: -3,
  /** An entry breaks the rules of the processor. */
  malformed: -4,
} as const;

/** 16 MiB of tables; more are read again. */
const mostTables = 4096;

/** Tables as they were read: shared by all address spaces of a stop. Their memory is used again after `forget`. */
export class TablePages {
  /** Counts how often all was forgotten: a view of before may have become another table since. */
  generation = 0;
  readonly #slots: { readonly bytes: Uint8Array; readonly view: DataView }[] = [];
  readonly #pages = new Map<number, DataView>();

  constructor(readonly memory: PhysicalMemory) {}

  /** Valid until `generation` changes. Undefined: no RAM is there. @throws what the memory throws */
  at(frame: number): DataView | undefined {
    const known = this.#pages.get(frame);
    if (known !== undefined) return known;
    if (this.memory.pagesFrom(pageFrame(frame)) === 0) return undefined;
    if (this.#pages.size >= mostTables) this.forget();
    const { bytes, view } = this.#room();
    this.memory.read([rangeAt(pageFrame(frame), 0, pageSize)], bytes);
    this.#pages.set(frame, view);
    return view;
  }

  forget(): void {
    this.generation++;
    this.#pages.clear();
  }

  #room() {
    const { size } = this.#pages;
    let slot = this.#slots[size];
    if (slot === undefined) {
      const bytes = new Uint8Array(pageSize);
      slot = { bytes, view: new DataView(bytes.buffer) };
      this.#slots.push(slot);
    }
    return slot;
  }
}

/** One entry that a walk has met. */
export interface EntrySeen {
  /** Physical, in bytes. */
  readonly address: number;
  readonly size: 4 | 8;
  readonly low: number;
  readonly high: number;
}

const present = 1;
const large = 0x80;
/** PAE has no frame bits there. */
const reservedHighPae = 0x7ff00000;

export class PageTables {
  /** Of the last page that was found: pages from it on, itself included, whose frames follow each other. */
  span = 0;
  /** If set, it is told of each entry of a walk. */
  trail: EntrySeen[] | undefined;
  readonly #shape: ModeShape;
  readonly #canonical: number;
  /** The last table of the lowest level, and which pages it maps: the next page is most likely among them. */
  #lowest: DataView | undefined;
  #lowestOf = -1;
  /** Of `tables`, when that was seen. */
  #generation = -1;

  /** @param software Undefined: entries that are not present say nothing. */
  constructor(
    private readonly tables: TablePages,
    readonly paging: Paging,
    private readonly software: SoftwareEntries | undefined,
  ) {
    this.#shape = modeShapes[paging.mode];
    this.#canonical = 2 ** (this.#shape.addressBits - 1 - 12);
  }

  forget(): void {
    this.#lowest = undefined;
    this.#lowestOf = -1;
  }

  /** @param page Number of a virtual page, 0 ≤ page < 2^52. @returns its frame, or a `Miss`. @throws what the memory throws */
  frameOf(page: number): number {
    return this.#frameOf(page, true);
  }

  #frameOf(page: number, mayAsk: boolean): number {
    const { levels, addressBits } = this.#shape;
    if (!this.#isCanonical(page)) return Miss.absent;
    const within = page % 2 ** (addressBits - 12);
    const lowest = levels.at(-1)!;
    if (this.#generation !== this.tables.generation) this.forget();
    if (this.#lowest !== undefined && this.trail === undefined) {
      if (Math.floor(within / lowest.entries) === this.#lowestOf)
        return this.#entry(this.#lowest, 0, within % lowest.entries, lowest, page, mayAsk);
    }
    const { root } = this.paging;
    let frame = Math.floor(root / pageSize);
    let offset = root % pageSize;
    for (const level of levels) {
      const table = this.tables.at(frame);
      if (table === undefined) return Miss.elsewhere;
      const { generation } = this.tables;
      const index = Math.floor(within / 2 ** level.shift) % level.entries;
      if (this.trail !== undefined) this.#note(frame, offset, index, table);
      const found = this.#entry(table, offset, index, level, page, mayAsk);
      if (level === lowest) {
        this.#lowest = table;
        this.#lowestOf = Math.floor(within / lowest.entries);
        this.#generation = generation;
        return found;
      }
      if (found < 0 || this.span > 0) return found;
      frame = found;
      offset = 0;
    }
    return Miss.malformed;
  }

  /** The frame of a page, with `span` > 0; of a table, with `span` 0; or a `Miss`. */
  #entry(
    table: DataView,
    offset: number,
    index: number,
    level: Level,
    page: number,
    mayAsk: boolean,
  ): number {
    const { entrySize } = this.#shape;
    const at = offset + index * entrySize;
    const low = table.getUint32(at, true);
    const high = entrySize === 8 ? table.getUint32(at + 4, true) : 0;
    const isLowest = level.shift === 0;
    this.span = 0;
    if ((low & present) === 0) {
      const frame = this.#software(low, high, isLowest, mayAsk);
      return isLowest && frame >= 0 ? this.#found(frame, 1) : frame;
    }
    if (this.paging.mode === 'PAE' && (high & reservedHighPae) !== 0) return Miss.malformed;
    const frame = (high & 0xfffff) * 2 ** 20 + (low >>> 12);
    if (isLowest) return this.#found(frame, 1);
    if ((low & large) === 0 || (level.large === 'pse' && !this.paging.pse)) return frame;
    if (level.large === 'never') return Miss.malformed;
    const size = 2 ** level.shift;
    const first = entrySize === 8 ? largeFrame(frame, size) : pseFrame(low);
    if (first < 0) return first;
    return this.#found(first + (page % size), size - (page % size));
  }

  #found(frame: number, span: number): number {
    const there = this.tables.memory.pagesFrom(pageFrame(frame));
    if (there === 0) return Miss.elsewhere;
    this.span = Math.min(span, there);
    return frame;
  }

  #software(low: number, high: number, isLowest: boolean, mayAsk: boolean): number {
    if (low === 0 && high === 0) return Miss.absent;
    const { software } = this;
    if (software === undefined) return Miss.notPresent;
    if (isTransition(low)) return transitionFrame(low, high, software);
    if (!isLowest || !mayAsk || !isPrototype(low) || this.#shape.entrySize === 4) return Miss.notPresent;
    const prototype = prototypeAt(low, high, this.#shape.addressBits);
    return prototype === undefined ? Miss.notPresent : this.#askPrototype(prototype, software);
  }

  /** A prototype is present, in transition, or names a file: it does not ask further. */
  #askPrototype(
    { page, within }: { readonly page: number; readonly within: number },
    software: SoftwareEntries,
  ): number {
    const frame = this.#frameOf(page, false);
    // It was another walk.
    this.forget();
    const table = frame < 0 ? undefined : this.tables.at(frame);
    if (table === undefined) return Miss.notPresent;
    const low = table.getUint32(within, true);
    const high = table.getUint32(within + 4, true);
    if ((low & present) !== 0) return (high & 0xfffff) * 2 ** 20 + (low >>> 12);
    return isTransition(low) ? transitionFrame(low, high, software) : Miss.notPresent;
  }

  #isCanonical(page: number): boolean {
    if (page < this.#canonical || this.#isLow32(page)) return true;
    return page >= 2 ** 52 - this.#canonical && page < 2 ** 52;
  }

  /** Callers of 32-bit targets may give an address as it is, without its sign. */
  #isLow32(page: number): boolean {
    return this.#shape.addressBits === 32 && page < 2 ** 20;
  }

  #note(frame: number, offset: number, index: number, table: DataView): void {
    const { entrySize: size } = this.#shape;
    const at = offset + index * size;
    this.trail!.push({
      address: frame * pageSize + at,
      size,
      low: table.getUint32(at, true),
      high: size === 8 ? table.getUint32(at + 4, true) : 0,
    });
  }
}

/** The lowest bit is no part of the frame (PAT), the others must be zero. */
function largeFrame(frame: number, size: number): number {
  const rest = frame % size;
  return rest <= 1 ? frame - rest : Miss.malformed;
}

/** PSE-36: bits 20─13 of the entry are bits 39─32 of the address. */
function pseFrame(low: number): number {
  if ((low & 0x200000) !== 0) return Miss.malformed;
  return ((low >>> 13) & 0xff) * 2 ** 20 + (low >>> 22) * 1024;
}

/** The number of the page that holds an address. */
export const pageOf = (address: VirtualAddress): number => Number(address >> 12n);
