/**
 * Guest RAM differs from what KD says: why? What is asked for is the next step of a person, so the reasons are told apart as far
 * as they can be:
 *
 *   the bytes are there, under another layout     ram-layout
 *   the page is all zero, and should not be       ram-stale     the machine does not write to this file
 *   the page is noise, and should not be          ram-encrypted
 *   anything else                                 ram-foreign
 */

import { physicalAddress } from '../../core/addresses';
import { equalBytes } from '../../core/bytes';
import { hex } from '../../core/hex';
import { VmkdError } from '../../core/errors';
import type { GuestRam } from '../../machine/ram/guestRam';
import { fileOffset, physicalAt, splits, type PhysicalLayout } from '../../machine/ram/layout';
import { wrongLayout } from './layoutCheck';

const pageSize = 4096;
/** Of 256 values: a page of code has about 150 at most, one that is encrypted nearly all. */
const valuesOfNoise = 248;

/** @param bytes What KD has read at a physical address, where guest RAM has something else. @throws what the RAM throws */
export function whyDifferent(ram: GuestRam, address: number, bytes: Uint8Array): VmkdError {
  const other = bytes.some((byte) => byte !== 0) ? otherLayout(ram, address, bytes) : undefined;
  if (other !== undefined) return wrongLayout(ram.layout, other);
  const where = `at physical ${hex(BigInt(address))}`;
  const page = readRam(ram, address - (address % pageSize), pageSize);
  if (page === undefined)
    return new VmkdError('ram-partial', `The kernel uses memory ${where}, which is not here`);
  if (page.every((byte) => byte === 0)) {
    return new VmkdError(
      'ram-stale',
      `There is nothing ${where} in the ${ram.way}, where the kernel has something`,
    );
  }
  if (new Set(page).size >= valuesOfNoise)
    return new VmkdError('ram-encrypted', `The ${ram.way} holds noise ${where}: it is encrypted`);
  return new VmkdError('ram-foreign', `The ${ram.way} differs from the kernel’s memory ${where}`);
}

/** As long as all of it is RAM by the layout that was given. */
export function readRam(ram: GuestRam, address: number, length: number): Uint8Array | undefined {
  const from = fileOffset(ram.layout, address);
  const to = fileOffset(ram.layout, address + length - 1);
  if (from === undefined || to !== from + length - 1) return undefined;
  const bytes = new Uint8Array(length);
  ram.read([{ address: physicalAddress(BigInt(address)), length }], bytes);
  return bytes;
}

/** Bytes below the hole with which an address would lead to these bytes. */
function otherLayout(ram: GuestRam, address: number, bytes: Uint8Array): number | undefined {
  const { totalBytes, lowBytes } = ram.layout;
  for (const split of splits(totalBytes)) {
    if (split === lowBytes) continue;
    const there = { lowBytes: split, totalBytes } satisfies PhysicalLayout;
    const offset = fileOffset(there, address);
    if (offset === undefined || offset === fileOffset(ram.layout, address)) continue;
    const found = readRam(ram, physicalAt(ram.layout, offset), bytes.length);
    if (found !== undefined && equalBytes(found, bytes)) return split;
  }
  return undefined;
}
