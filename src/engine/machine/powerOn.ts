/** That a machine runs, whatever state it is in: one that was taken back to a snapshot may be off, suspended, or paused. */

import { VmkdError } from '../core/errors';
import type { MachineControl } from './control';

/** @throws machine-*: machine-no-control, if this control cannot */
export async function powerOn(
  control: Pick<MachineControl, 'way' | 'power' | 'unpause' | 'start'>,
): Promise<void> {
  const power = await control.power();
  switch (power) {
    case 'running':
    case 'unknown':
      return;
    case 'paused':
      return control.unpause();
    case 'off':
    case 'suspended':
      if (control.start === undefined)
        throw new VmkdError('machine-no-control', `The machine cannot be powered on by ${control.way}`);
      return control.start();
  }
}
