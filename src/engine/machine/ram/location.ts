/**
 * Where the host may find a machine's RAM, by what its configuration, command line or monitor says. That it is this
 * machine's RAM, and all of it, is not known before it has been compared with what KD reads.
 */

import type { VmkdError } from '../../core/errors';
import type { PhysicalLayout } from './layout';

export type RamLocation =
  /** A file that the machine maps for all to see: QEMU's memory-backend-file with share=on, VMware's .vmem on Linux. */
  | { readonly kind: 'file'; readonly path: string; readonly layout: PhysicalLayout }
  /** A mapping in the process of a vmware-vmx, to be found there. `vmem`: the file that it maps, if it has a name. */
  | {
      readonly kind: 'process';
      readonly pid: number;
      readonly layout: PhysicalLayout;
      readonly vmem?: string;
    }
  /** Encrypted, anonymous, powered off, on a system where nobody knows how. */
  | { readonly kind: 'none'; readonly reason: VmkdError };
