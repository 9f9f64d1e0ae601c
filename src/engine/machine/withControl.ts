/**
 * A machine's control, opened as the user of this process may: the password of an encrypted VMware machine is in the environment,
 * for it shall be in no configuration.
 */

import type { MachineControl } from './control';
import type { Machine } from './machine';

/** @throws machine-no-control, machine-monitor-busy, machine-monitor-lost */
export function openControl(machine: Machine): Promise<MachineControl> {
  const password = process.env['VMKD_VM_PASSWORD'];
  return machine.openControl(password === undefined ? {} : { password });
}

/** Gives it back afterwards. @throws as `openControl`; what the action throws */
export async function withControl<T>(
  machine: Machine,
  action: (control: MachineControl) => Promise<T>,
): Promise<T> {
  const control = await openControl(machine);
  try {
    return await action(control);
  } finally {
    control.close();
  }
}
