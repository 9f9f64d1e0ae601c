/**
 * A machine's physical memory as the host sees it, whatever way leads to it. Reading is synchronous: a page costs a
 * microsecond or two, and nothing may change its mind in between.
 *
 * Invariants: what is not RAM by the layout is never touched; a reader cannot write; the only bytes that can be written are
 * those of a window, which is asked for page by page.
 */

import type { PageFrame, PhysicalAddress } from '../../core/addresses';
import type { VmkdError } from '../../core/errors';
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
  /**
   * The same. In another process Linux writes no fewer than the eight aligned bytes around it in one piece, so the word beside
   * it must be one that only the host writes.
   */
  writeU32(offset: number, value: number): void;
  /** Where native code can wait for the guest. */
  readonly waiting?: WindowWaiting;
  close(): void;
}

/** Waiting for words of a window to change. */
export interface WindowWaiting {
  /**
   * Stands still, and all of JavaScript with it, until the word is no longer `old`, for up to so many microseconds, and never
   * longer than 10 ms. @returns the word
   */
  awaitU32(offset: number, old: number, microseconds: number): number;
  /**
   * Watches up to 8 words on a thread of its own. `changed` is called soon after any of them has changed, once for changes
   * that come close together, and with the reason if the window is lost, after which nothing more is watched. It does not keep
   * Node from ending.
   */
  watch(offsets: readonly number[], changed: (lost?: VmkdError) => void, plan?: WatchPlan): WindowWatch;
}

export interface WindowWatch {
  /** A change is awaited: look all the time for a moment. */
  hurry(): void;
  /** At once; `changed` is not called any more. A second stop does nothing. */
  stop(): void;
}

/** How a watch waits, from the last change or `hurry` on. Microseconds. */
export interface WatchPlan {
  /** For so long it looks all the time … */
  readonly spin: number;
  /** … and for so long lets others have the processor between two looks. Then it sleeps, longer and longer. */
  readonly yielding: number;
  readonly shortestSleep: number;
  /** How late at worst a change is seen. */
  readonly longestSleep: number;
}
