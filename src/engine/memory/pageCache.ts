/**
 * Pages that were read once, by number. Their bytes lie in slabs that are kept: forgetting costs nothing, and the next stop
 * allocates nothing.
 */

import { pageSize } from './physicalMemory';

const pagesInSlab = 64;
/** 16 MiB. */
const mostPages = 4096;

export class PageCache {
  readonly #slots: Uint8Array[] = [];
  readonly #pages = new Map<number, Uint8Array>();

  at(page: number): Uint8Array | undefined {
    return this.#pages.get(page);
  }

  /** Room for a page, to be filled and then `keep`t. Not valid beyond the next call. */
  room(): Uint8Array {
    if (this.#pages.size >= mostPages) this.forget();
    const { size } = this.#pages;
    if (size >= this.#slots.length) {
      const slab = new Uint8Array(pagesInSlab * pageSize);
      for (let at = 0; at < slab.length; at += pageSize) this.#slots.push(slab.subarray(at, at + pageSize));
    }
    return this.#slots[size]!;
  }

  /** What `room` gave is this page now. */
  keep(page: number, bytes: Uint8Array): void {
    this.#pages.set(page, bytes);
  }

  forget(): void {
    this.#pages.clear();
  }
}
