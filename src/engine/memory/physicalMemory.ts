/**
 * Physical memory that can be read at once: guest RAM, a dump. Page tables are walked in it, so it says by itself what it has:
 * an entry of a hostile table may name any frame.
 */

import { physicalAddress, type PageFrame, type PhysicalAddress } from '../core/addresses';

export const pageSize = 4096;

export interface PhysicalRange {
  readonly address: PhysicalAddress;
  /** Bytes. */
  readonly length: number;
}

export interface PhysicalMemory {
  /** How many pages from `frame` on, itself included, there are without a gap; 0: it is not there. */
  pagesFrom(frame: PageFrame): number;
  /**
   * Copies ranges, one behind the other, into `into`, which is as long as they are together. All of them are there, by
   * `pagesFrom`. @throws what its back end throws
   */
  read(ranges: readonly PhysicalRange[], into: Uint8Array): void;
}

/** @param within Bytes from the start of the frame. */
export const rangeAt = (frame: PageFrame, within: number, length: number): PhysicalRange => ({
  address: physicalAddress(BigInt(frame * pageSize + within)),
  length,
});
