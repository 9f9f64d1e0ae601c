/** Guest RAM in a file, mapped by native code: faster than reading it piece by piece, and words of a window are one access. */

import { VmkdError } from '../../core/errors';
import type { GuestRam } from './guestRam';
import type { PhysicalLayout } from './layout';
import { nativeFault, type NativeHost } from '../../core/nativeHost';
import { ramError } from './ramError';
import { guestRamBy } from './nativeRam';

/**
 * @returns undefined for a file that cannot be mapped, such as one of huge pages
 * @throws ram-unreadable, ram-denied, ram-truncated
 */
export function openMappedFile(host: NativeHost, path: string, layout: PhysicalLayout): GuestRam | undefined {
  let ram;
  try {
    ram = host.openFile(path);
  } catch (error) {
    if (nativeFault(error) === 'unsupported') return undefined;
    throw ramError(path, error);
  }
  const size = host.size(ram);
  if (size >= layout.totalBytes)
    return guestRamBy({ host, ram, layout, way: `backing file ${path}, mapped`, name: path });
  host.close(ram);
  throw new VmkdError(
    'ram-truncated',
    `${path} has ${size} bytes; the machine’s memory has ${layout.totalBytes}`,
  );
}
