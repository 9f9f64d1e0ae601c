/**
 * Memory references: addresses as DAP hands them out. One address has one reference, since clients compare them as text.
 */

import { parseAddress, plus, type VirtualAddress } from '../engine/core/addresses';
import { VmkdError } from '../engine/core/errors';
import { hex } from '../engine/core/hex';

/** `0xfffff80312345678`, always 16 digits. */
export const memoryReference = (address: VirtualAddress): string => hex(address, 16);

/** Also takes what people write: other letters, fewer digits, back-quotes. @throws request-bad */
export function addressOf(reference: string | undefined, offset = 0): VirtualAddress {
  const address = reference === undefined ? undefined : parseAddress(reference.trim());
  if (address === undefined || !Number.isSafeInteger(offset)) {
    throw new VmkdError('request-bad', `“${reference ?? ''}” is no address`, {
      nextStep: 'Write an address in hexadecimal, as 0xfffff80312345678.',
    });
  }
  return plus(address, offset);
}
