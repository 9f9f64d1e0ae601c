/**
 * Where guest-physical memory lies in the file or the mapping that holds it. Machines leave a hole below 4 GiB for their
 * devices, and the memory that would be there goes on above:
 *
 *   physical   0 ────────── lowBytes      hole      4 GiB ──────── 4 GiB + (totalBytes − lowBytes)
 *   RAM file   0 ────────── lowBytes ───────────────────────────── totalBytes
 *
 * Who made the machine says where its hole is (qemu/layout.ts, vmware/vmwareMachine.ts). Nothing of it is believed before it
 * was verified against the running kernel.
 */

import { formatAddress, type PageFrame } from '../../core/addresses';
import { VmkdError } from '../../core/errors';

/** Guest-physical memory as RAM file offsets: [0, lowBytes) is at 0; the rest starts at 4 GiB and is at lowBytes. */
export interface PhysicalLayout {
  readonly lowBytes: number;
  readonly totalBytes: number;
}

export const pageSize = 4096;
const holeEnd = 2 ** 32;
const gibibyte = 2 ** 30;

/** The first address behind all RAM. */
export const endOfRam = ({ lowBytes, totalBytes }: PhysicalLayout): number =>
  totalBytes > lowBytes ? holeEnd + totalBytes - lowBytes : lowBytes;

/** Where the byte at a physical address lies in the file; undefined if it is no RAM. */
export function fileOffset({ lowBytes, totalBytes }: PhysicalLayout, address: number): number | undefined {
  if (address < lowBytes) return address;
  const offset = address - holeEnd + lowBytes;
  return address >= holeEnd && offset < totalBytes ? offset : undefined;
}

/** Where a range, of 1 byte at least, lies as a whole. @throws ram-out-of-range */
export function rangeOffset(layout: PhysicalLayout, address: number, length: number): number {
  const offset = fileOffset(layout, address);
  const last = fileOffset(layout, address + length - 1);
  if (offset !== undefined && last === offset + length - 1) return offset;
  throw new VmkdError(
    'ram-out-of-range',
    `The ${length} bytes at physical ${formatAddress(BigInt(address))} are no RAM of this machine`,
  );
}

/** The physical address of what lies at an offset of the file: `fileOffset` the other way round. */
export const physicalAt = ({ lowBytes }: PhysicalLayout, offset: number): number =>
  offset < lowBytes ? offset : holeEnd + offset - lowBytes;

/** Every known way to divide so much memory, by its bytes below the hole. */
export const splits = (totalBytes: number): readonly number[] => [
  ...new Set(
    [2, 2.75, 3, 3.5].map((gibibytes) => Math.min(totalBytes, gibibytes * gibibyte)).concat(totalBytes),
  ),
];

/** How many whole pages from `frame` on, itself included, are RAM without a gap; 0: it is none. */
export function ramPagesFrom({ lowBytes, totalBytes }: PhysicalLayout, frame: PageFrame): number {
  const address = frame * pageSize;
  const end = address < lowBytes ? lowBytes : address < holeEnd ? 0 : holeEnd + totalBytes - lowBytes;
  return Math.max(0, Math.floor((end - address) / pageSize));
}
