/**
 * Control of a machine, whoever runs it: QMP for QEMU (qemu/qmpControl.ts), vmrun for VMware (vmware/vmrunControl.ts).
 *
 * Invariants: every order is bounded in time and fails with a `machine-*` error; an order that a machine has obeyed
 * already (pausing a paused one) succeeds.
 */

import type { VmkdError } from '../core/errors';

/** `unknown`: nobody can tell. VMware's tools cannot tell `paused` from `running` when others have paused it. */
export type PowerState = 'running' | 'paused' | 'suspended' | 'off' | 'unknown';

export type MachineEvent =
  /** Its processors stand; whoever ordered it. */
  | { readonly kind: 'paused' }
  /** They run again. */
  | { readonly kind: 'resumed' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'on' }
  | { readonly kind: 'off' }
  /** There is no control any more; the last event of all. */
  | { readonly kind: 'lost'; readonly error: VmkdError };

export interface Snapshots {
  /** Names, parents before children where there are such. */
  list(): Promise<string[]>;
  /** Disks and memory, as they are now. */
  take(name: string): Promise<void>;
  /** A QEMU runs afterwards if it ran before; what VMware leaves suspended wants to be started. */
  revert(name: string): Promise<void>;
}

export interface MachineControl {
  /** For people: “QMP at unix:/tmp/qmp”. */
  readonly way: string;
  /** Orders are obeyed within milliseconds; else they take a second or more. */
  readonly isQuick: boolean;
  power(): Promise<PowerState>;
  /** Stops all processors; memory stays as it is. */
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** Hard: as the reset button. */
  reset(): Promise<void>;
  /** Powers a machine on; absent where that is not ours to do. */
  readonly start?: () => Promise<void>;
  readonly snapshots?: Snapshots;
  /** What the guest has told its monitor under this name (VMware's guestinfo); empty: nothing. */
  readonly guestVariable?: (name: string) => Promise<string>;
  /**
   * Tells what happens to the machine from now on: by events where its program sends some, else by asking again and
   * again, which sees on and off only. @returns what ends it.
   */
  watch(listener: (event: MachineEvent) => void): () => void;
  /** Gives the control back. Leaves the machine as it is; everything under way fails. */
  close(): void;
}
