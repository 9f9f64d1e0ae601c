/**
 * The best way to a machine's memory on this host.
 *
 *   file      a named file that the monitor maps: node:fs is enough
 *   process   the monitor's own memory: only with native code, which joins here
 *
 * The file is preferred where both would do: it needs no rights over the monitor's process.
 */

import { VmkdError } from '../../core/errors';
import { openBackingFile } from './backingFile';
import type { GuestRam } from './guestRam';
import type { RamLocation } from './location';

/** @throws ram-unreadable, ram-truncated, ram-unsupported; the reason of a location that is none */
export function openGuestRam(location: RamLocation): GuestRam {
  switch (location.kind) {
    case 'file':
      return openBackingFile(location.path, location.layout);
    case 'process':
      throw new VmkdError(
        'ram-unsupported',
        `The memory of process ${location.pid} can be read by native code only`,
      );
    case 'none':
      throw location.reason;
  }
}
