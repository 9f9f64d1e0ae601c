/** Which notice of a guest module that could not start is of the kernel that stands here: those of kernels that were stay behind in memory. */

import type { MachineType } from '../kd/machineType';
import type { FoundMailbox } from '../link/mailbox/finder';
import type { VirtualMemory } from '../memory/virtualMemory';
import { bootTime } from './guestMemory/kernelPlaces';

/**
 * Milliseconds: a kernel reads whole seconds of its clock when it boots. More would take the notice of a kernel that was reset soon
 * afterwards for one of this kernel's; a clock that was set forward since hides a notice.
 */
const clockSlack = 1500;

/** @param failures The newest first. @throws link and target errors */
export async function failureOfThisKernel(
  [newest]: readonly FoundMailbox[],
  memory: VirtualMemory,
  machine: MachineType,
): Promise<FoundMailbox | undefined> {
  if (newest === undefined) return undefined;
  const booted = await bootTime(memory, machine);
  const isOfThis =
    booted === undefined || newest.description.loaded.getTime() >= booted.getTime() - clockSlack;
  return isOfThis ? newest : undefined;
}
