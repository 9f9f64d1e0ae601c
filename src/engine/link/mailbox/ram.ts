/**
 * What the mailbox needs of guest memory. engine/machine has it (GuestRam); this room may not import that one, and does not
 * need to.
 */

import type { PhysicalAddress } from '../../core/addresses';

export interface MailboxRam {
  /** Guest-physical memory: [0, lowBytes), and the rest of totalBytes from 4 GiB on. */
  readonly layout: { readonly lowBytes: number; readonly totalBytes: number };
  /** Copies ranges, one behind the other. Throws a VmkdError if that memory is not to be had (any more). */
  read(
    ranges: readonly { readonly address: PhysicalAddress; readonly length: number }[],
    into: Uint8Array,
  ): void;
  /** The only way to write: these pages, as if they followed each other. */
  window(pages: readonly number[]): MailboxWindow;
}

export interface MailboxWindow {
  read(offset: number, into: Uint8Array): void;
  write(offset: number, bytes: Uint8Array): void;
  /** Aligned, not torn. */
  writeU32(offset: number, value: number): void;
  /** Where a thread can watch words of it. */
  readonly waiting?: WordWatching;
  close(): void;
}

/** As engine/machine has it (WindowWaiting). */
export interface WordWatching {
  /** Calls `changed` when one of the words has changed, or the window is lost. @param plan Microseconds */
  watch(
    offsets: readonly number[],
    changed: () => void,
    plan: {
      readonly spin: number;
      readonly yielding: number;
      readonly shortestSleep: number;
      readonly longestSleep: number;
    },
  ): { stop(): void };
}
