/**
 * Virtual memory of one address space, as far as physical memory can be read at once:
 *
 *   small reads   ─▶ pages, kept until `forget`              ─▶ translation ─▶ physical memory
 *   large reads   ─▶ runs of pages whose frames are neighbours ─▶ one physical read, straight into the caller's bytes
 *
 * Invariants: all is synchronous; a page is given whole or not at all; the overlay sees each byte once before the reader does.
 */

import { pageFrame, plus, type VirtualAddress } from '../core/addresses';
import { PageCache } from './pageCache';
import { Miss, pageOf, PageTables, type TablePages } from './pageTables';
import type { Paging } from './paging';
import { pageSize, rangeAt, type PhysicalRange } from './physicalMemory';
import type { SoftwareEntries } from './softwareEntries';

/** Of smaller reads the pages are kept: their neighbours are asked for next. */
const leastRun = pageSize;

export interface SpaceOptions {
  /** Undefined: pages that are not present are not looked for. */
  readonly software?: SoftwareEntries | undefined;
  /** Makes of bytes at an address what a reader shall see. */
  cover?(address: VirtualAddress, bytes: Uint8Array): void;
}

export class AddressSpace {
  /** Entries that lead to a page, for those who compare them. */
  readonly tables: PageTables;
  readonly #pages = new PageCache();
  #lastMiss: number = Miss.absent;

  constructor(
    private readonly tablePages: TablePages,
    readonly paging: Paging,
    private readonly options: SpaceOptions = {},
  ) {
    this.tables = new PageTables(tablePages, paging, options.software);
  }

  /** Whether the page at which the last read ended is known to be nobody's. */
  get endedAtNothing(): boolean {
    return this.#lastMiss === Miss.absent;
  }

  /** Another address space of the same memory. */
  sibling(paging: Paging): AddressSpace {
    return new AddressSpace(this.tablePages, paging, this.options);
  }

  /** The memory has changed. Tables are shared with others, and forgotten by themselves. */
  forget(): void {
    this.tables.forget();
    this.#pages.forget();
  }

  /** Whether a processor finds a page there. Undefined: it finds one that is no RAM. @throws as `read` */
  isPresent(address: VirtualAddress): boolean | undefined {
    const frame = new PageTables(this.tablePages, this.paging, undefined).frameOf(pageOf(address));
    return frame >= 0 ? true : frame === Miss.elsewhere ? undefined : false;
  }

  /** Fills `into` from its start. @returns bytes; fewer where a page is not there. @throws what the physical memory throws */
  read(address: VirtualAddress, into: Uint8Array): number {
    return into.length < leastRun ? this.#readPages(address, into) : this.#readRuns(address, into);
  }

  #readPages(address: VirtualAddress, into: Uint8Array): number {
    let page = pageOf(address);
    let within = Number(address & 0xfffn);
    for (let done = 0; done < into.length; within = 0, page++) {
      const bytes = this.#pages.at(page) ?? this.#load(page, plus(address, done - within));
      if (bytes === undefined) return done;
      const count = Math.min(into.length - done, pageSize - within);
      into.set(count === pageSize ? bytes : bytes.subarray(within, within + count), done);
      done += count;
    }
    return into.length;
  }

  #load(page: number, start: VirtualAddress): Uint8Array | undefined {
    const frame = this.tables.frameOf(page);
    if (frame < 0) {
      this.#lastMiss = frame;
      return undefined;
    }
    const bytes = this.#pages.room();
    this.tablePages.memory.read([rangeAt(pageFrame(frame), 0, pageSize)], bytes);
    this.options.cover?.(start, bytes);
    this.#pages.keep(page, bytes);
    return bytes;
  }

  #readRuns(address: VirtualAddress, into: Uint8Array): number {
    const runs: PhysicalRange[] = [];
    let page = pageOf(address);
    let within = Number(address & 0xfffn);
    let done = 0;
    let [start, from, length] = [0, 0, 0];
    while (done < into.length) {
      const frame = this.tables.frameOf(page);
      if (frame < 0) {
        this.#lastMiss = frame;
        break;
      }
      const { span } = this.tables;
      const count = Math.min(into.length - done, span * pageSize - within);
      if (length > 0 && start * pageSize + from + length === frame * pageSize + within) length += count;
      else {
        if (length > 0) runs.push(rangeAt(pageFrame(start), from, length));
        [start, from, length] = [frame, within, count];
      }
      done += count;
      page += span;
      within = 0;
    }
    if (length > 0) runs.push(rangeAt(pageFrame(start), from, length));
    const bytes = into.subarray(0, done);
    this.tablePages.memory.read(runs, bytes);
    this.options.cover?.(address, bytes);
    return done;
  }
}
