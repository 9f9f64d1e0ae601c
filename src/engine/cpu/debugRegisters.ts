/**
 * Dr7, the control register of hardware breakpoints, x86 and x64 alike.
 *
 *   bit 2n     local enable of Drn          bits 16+4n, 17+4n   condition: 0 execute, 1 write, 3 read or write
 *   bit 2n+1   global enable of Drn         bits 18+4n, 19+4n   length: 0 one byte, 1 two, 3 four, 2 eight
 *   bit 8, 9   exact                        bit 10 always 1
 */

import { VmkdError } from '../core/errors';

export type WatchKind = 'execute' | 'write' | 'access';

const conditions: Record<WatchKind, bigint> = { execute: 0n, write: 1n, access: 3n };
const lengths: Record<number, bigint> = { 1: 0n, 2: 1n, 4: 3n, 8: 2n };

/**
 * Dr7 with slot `slot` (0 to 3) enabled.
 * @param size Bytes watched: 1, 2, 4 or 8 (1 for execute). @throws value-out-of-range
 */
export function withSlot(dr7: bigint, slot: number, kind: WatchKind, size: number): bigint {
  const length = lengths[size];
  if (slot < 0 || slot > 3 || length === undefined || (kind === 'execute' && size !== 1)) {
    throw new VmkdError(
      'value-out-of-range',
      `No hardware breakpoint of kind ${kind} and ${size} bytes in slot ${slot}`,
    );
  }
  const field = (conditions[kind] | (length << 2n)) << BigInt(16 + 4 * slot);
  return withoutSlot(dr7, slot) | field | (1n << BigInt(2 * slot)) | 0x400n;
}

export function withoutSlot(dr7: bigint, slot: number): bigint {
  const mask = (0xfn << BigInt(16 + 4 * slot)) | (3n << BigInt(2 * slot));
  return dr7 & ~mask;
}

/** The slots whose breakpoints Dr6 reports as hit. */
export const slotsHit = (dr6: bigint): number[] =>
  [0, 1, 2, 3].filter((slot) => (dr6 & (1n << BigInt(slot))) !== 0n);
