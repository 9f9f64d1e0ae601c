/** Guest RAM as page tables see it. */

import type { GuestRam } from '../../machine/ram/guestRam';
import { ramPagesFrom } from '../../machine/ram/layout';
import type { PhysicalMemory } from '../../memory/physicalMemory';

export const physicalMemoryOf = (ram: GuestRam): PhysicalMemory => ({
  pagesFrom: (frame) => ramPagesFrom(ram.layout, frame),
  read: (ranges, into) => ram.read(ranges, into),
});
