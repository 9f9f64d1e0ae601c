/**
 * The memory of a stopped kernel by the best way that there is: in its machine's RAM, if the machine is found by the link and
 * its memory proves to be the kernel's; else by KD. Of a short visit the packets go over the link in any case.
 */

import { asVmkdError, VmkdError } from '../engine/core/errors';
import { machinesWith } from '../engine/machine/find';
import type { RamLocation } from '../engine/machine/ram/location';
import type { VirtualMemory } from '../engine/memory/virtualMemory';
import { GuestMemory } from '../engine/target/guestMemory/guestMemory';
import type { LiveTarget } from '../engine/target/liveTarget';
import { StopMemory } from '../engine/target/stopMemory';

export interface MemoryWay {
  /** For people: “backing file /dev/shm/x”; undefined: by KD. */
  readonly way: string | undefined;
  /** Why it is by KD, if nobody wanted that. */
  readonly why: VmkdError | undefined;
}

export interface ProbedMemory extends MemoryWay {
  readonly memory: VirtualMemory;
  /** Lets go of the machine's memory. */
  close(): void;
}

/** @throws what the target throws */
export async function bestMemory(target: LiveTarget, link: string): Promise<ProbedMemory> {
  const { client, memory: kd, registers } = target;
  const location = await locate(link);
  const guest = new GuestMemory({ client, kd, registers, location, cover: () => undefined });
  await guest.enter(target.stopped);
  const { state } = guest;
  const close = (): void => guest.restarted();
  if (state.kind !== 'verified') return { memory: kd, way: undefined, why: state.reason, close };
  // Nothing of ours stands in this kernel.
  const overlay = { cover: () => undefined, clear: () => Promise.resolve() };
  return { memory: new StopMemory(kd, overlay, guest), way: state.way, why: undefined, close };
}

export const byKd = ({ memory }: LiveTarget): ProbedMemory => ({
  memory,
  way: undefined,
  why: undefined,
  close: () => undefined,
});

async function locate(link: string): Promise<RamLocation> {
  try {
    const [found] = await machinesWith(link);
    if (found !== undefined) return found.ramLocation();
    return { kind: 'none', reason: new VmkdError('ram-absent', `No machine of this computer has ${link}`) };
  } catch (thrown) {
    return { kind: 'none', reason: asVmkdError(thrown) };
  }
}
