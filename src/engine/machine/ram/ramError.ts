/** What native code says of a machine's memory, in vmkd's words. */

import { VmkdError, asVmkdError, type ErrorCode } from '../../core/errors';
import { nativeFault, type NativeFault } from '../../core/nativeHost';

const codes: Readonly<Record<NativeFault, ErrorCode>> = {
  argument: 'ram-out-of-range',
  range: 'ram-out-of-range',
  lost: 'ram-lost',
  denied: 'ram-denied',
  absent: 'ram-unreadable',
  unsupported: 'ram-unreadable',
  system: 'ram-unreadable',
};

/** @param name Of the file or the process. @param thrown By native code, or by anything else. */
export function ramError(name: string, thrown: unknown): VmkdError {
  const fault = nativeFault(thrown);
  if (fault === undefined) return asVmkdError(thrown);
  return new VmkdError(codes[fault], `${name}: ${(thrown as Error).message}`, { cause: thrown });
}
