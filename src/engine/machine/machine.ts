/**
 * A virtual machine of this computer: what its configuration or its process says, where KD is, where its memory may be,
 * and how to control it. VMware's are made by vmware/vmwareMachine.ts, QEMU's by qemu/qemuMachine.ts.
 *
 * Invariant: a machine says what was found when it was looked for; what goes on afterwards its control tells.
 */

import type { VmkdError } from '../core/errors';
import type { MachineControl, PowerState } from './control';
import type { QemuCommandLine } from './qemu/commandLine';
import type { PhysicalLayout } from './ram/layout';
import type { RamLocation } from './ram/location';
import type { VmxFacts } from './vmx/facts';

export interface MachineLink {
  /** The guest's COM port, by its number there: 1 is COM1, `debugport:1`. */
  readonly port: number;
  /** As engine/link understands it. */
  readonly link: string;
}

/** What the search has found out. `layout`: how memory lies, as far as is known without looking into it. */
export type MachineFacts =
  | {
      readonly kind: 'vmware';
      readonly vmx: VmxFacts | undefined;
      readonly layout: PhysicalLayout | undefined;
    }
  | {
      readonly kind: 'qemu';
      readonly commandLine: QemuCommandLine;
      readonly layout: PhysicalLayout | undefined;
    };

export interface ControlOptions {
  /** Of the encryption of a VMware machine. */
  readonly password?: string;
}

export interface Machine {
  /** What people call it. Two machines may have one name. */
  readonly name: string;
  /** What no other machine has: the path of the .vmx, the monitor or link of a QEMU. */
  readonly where: string;
  /** `running` where its program runs and nobody can tell more. */
  readonly state: PowerState;
  readonly facts: MachineFacts;
  /** Serial ports that KD can travel over, in the order of the guest's numbers. */
  readonly links: readonly MachineLink[];
  /** What stands in the way, each with its next step. */
  readonly problems: readonly VmkdError[];
  /** Of the program that runs it; undefined if it is off, or nobody can tell. */
  readonly pid: number | undefined;
  /** The first of the links. @throws machine-no-serial, machine-serial-unusable, machine-config-*, with the way to have one */
  kdLink(): string;
  ramLocation(): RamLocation;
  /** @throws machine-no-control, machine-monitor-busy, machine-monitor-lost */
  openControl(options?: ControlOptions): Promise<MachineControl>;
}
