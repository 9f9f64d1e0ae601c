/**
 * The best way to a machine's memory on this host.
 *
 *   file      a named file that the monitor maps: native code maps it too; without it node:fs reads it
 *   process   the monitor's own memory: only with native code
 *
 * The file is preferred where both would do: it needs no rights over the monitor's process.
 */

import { VmkdError } from '../../core/errors';
import { openBackingFile } from './backingFile';
import type { GuestRam } from './guestRam';
import type { RamLocation } from './location';
import { openMappedFile } from './mappedFile';
import { nativePart } from '../../core/nativeHost';
import { openProcessRam } from './processRam';

/**
 * @throws ram-unreadable, ram-denied, ram-truncated; of a process ram-unsupported, ram-unmapped, ram-lost as well; the reason
 * of a location that is none
 */
export function openGuestRam(location: RamLocation, native = nativePart()): GuestRam {
  switch (location.kind) {
    case 'file':
      return (
        (native.kind === 'loaded' && openMappedFile(native.host, location.path, location.layout)) ||
        openBackingFile(location.path, location.layout)
      );
    case 'process':
      if (native.kind === 'loaded') return openProcessRam(native.host, location);
      throw new VmkdError(
        'ram-unsupported',
        `The memory of process ${location.pid} can be read by native code only. ${native.reason.message}`,
        { cause: native.reason },
      );
    case 'none':
      throw location.reason;
  }
}
