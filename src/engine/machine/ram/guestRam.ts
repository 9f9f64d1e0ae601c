/**
 * A machine's physical memory as the host sees it, whatever way leads to it. Reading is synchronous: a page costs a
 * microsecond or two, and nothing may change its mind in between.
 *
 * Invariants: what is not RAM by the layout is never touched; a reader cannot write; the only bytes that can be written are
 * those of a window, which is asked for page by page.
 */

import type { PageFrame, PhysicalAddress } from '../../core/addresses';
import type { PhysicalLayout } from './layout';

export interface PhysicalRange {
  readonly address: PhysicalAddress;
  /** Bytes. */
  readonly length: number;
}

export interface GuestRam {
  /** For people: “backing file /dev/shm/x”, “process_vm_readv of 4711”. */
  readonly way: string;
  readonly layout: PhysicalLayout;
  /**
   * Copies physical ranges, one behind the other, into `into`, which is as long as they are together.
   * @throws ram-out-of-range if any of them is no RAM; ram-lost if the file shrank or the process is gone
   */
  read(ranges: readonly PhysicalRange[], into: Uint8Array): void;
  /** The only way to write: the pages of a mailbox that was verified. @throws ram-out-of-range, ram-unreadable */
  window(pages: readonly PageFrame[]): RamWindow;
  /** Whether all of it is still there. @throws ram-lost */
  check(): void;
  /** A second close does nothing. */
  close(): void;
}

/** A run of page frames seen as one contiguous area. Offsets and lengths that do not lie inside are `ram-out-of-range`. */
export interface RamWindow {
  /** Bytes: a page for each frame. */
  readonly length: number;
  read(offset: number, into: Uint8Array): void;
  write(offset: number, bytes: Uint8Array): void;
  /** Aligned to 4 bytes, and not torn. */
  readU32(offset: number): number;
  writeU32(offset: number, value: number): void;
  close(): void;
}
