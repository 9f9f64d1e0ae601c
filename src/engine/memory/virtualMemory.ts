/**
 * Virtual memory of a target, as every reader in the engine sees it. Where the bytes come from — KD requests, guest RAM, a
 * dump — is the implementer's business.
 */

import { formatAddress, plus, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';

export interface VirtualMemory {
  /**
   * Reads up to `length` bytes: fewer if an absent page comes first, none if the first byte is absent.
   * @throws link and target errors; never for absent memory.
   */
  readPartial(address: VirtualAddress, length: number): Promise<Uint8Array>;
}

/** Exactly `length` bytes. @throws memory-unreadable, naming the first byte that is absent. */
export async function readMemory(
  memory: VirtualMemory,
  address: VirtualAddress,
  length: number,
): Promise<Uint8Array> {
  const bytes = await memory.readPartial(address, length);
  if (bytes.length === length) return bytes;
  throw new VmkdError('memory-unreadable', `No memory at ${formatAddress(plus(address, bytes.length))}`);
}

/** @param size 4 or 8 bytes; a 4-byte pointer comes sign-extended, as KD does. */
export async function readPointer(
  memory: VirtualMemory,
  address: VirtualAddress,
  size: 4 | 8,
): Promise<VirtualAddress> {
  const bytes = await readMemory(memory, address, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  const value = size === 8 ? view.getBigUint64(0, true) : BigInt(view.getInt32(0, true));
  return plus(0n as VirtualAddress, value);
}
