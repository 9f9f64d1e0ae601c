/**
 * From what a launch configuration says of the machine to where its debug port and its memory are. A machine that is named is
 * asked; of a bare link, the machine is looked for that has it, so that nobody need say where its memory is.
 */

import { stat } from 'node:fs/promises';
import { VmkdError, asVmkdError } from '../engine/core/errors';
import { findMachine, findMachines } from '../engine/machine/find';
import { expectedLayout } from '../engine/machine/qemu/layout';
import type { RamLocation } from '../engine/machine/ram/location';
import type { Configuration, GivenRam } from './configuration/configuration';

export interface MachineWay {
  readonly link: string;
  readonly guestRam: RamLocation;
}

/** Milliseconds to look for the machine behind a link: the session can do without. */
const searchLimit = 5000;

/** @throws machine-*, if a machine was named and has no debug port; never for its memory */
export async function wayTo({ machine, transport, guestRam }: Configuration): Promise<MachineWay> {
  const given = guestRam && (await givenRam(guestRam));
  switch (machine.kind) {
    case 'vm': {
      const found = await findMachine(machine.vm);
      return { link: found.kdLink(), guestRam: given ?? found.ramLocation() };
    }
    case 'link': {
      const { link } = machine;
      // Nobody asked for it.
      if (transport === 'serial') return { link, guestRam: none('It is not used') };
      return { link, guestRam: given ?? (await ramBehind(link)) };
    }
  }
}

async function givenRam({ file, machine, lowMiB }: GivenRam): Promise<RamLocation> {
  try {
    const { size: memoryBytes } = await stat(file);
    const layout = expectedLayout({ machineType: machine, memoryBytes, mostLowMemory: undefined });
    if (layout === undefined) return none(`How ${machine} lays its memory out is not known`);
    const lowBytes = lowMiB === undefined ? layout.lowBytes : Math.min(lowMiB * 2 ** 20, memoryBytes);
    return { kind: 'file', path: file, layout: { ...layout, lowBytes } };
  } catch (error) {
    const message = `${file}: ${(error as Error).message}`;
    return { kind: 'none', reason: new VmkdError('ram-unreadable', message, { cause: error }) };
  }
}

async function ramBehind(link: string): Promise<RamLocation> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<RamLocation>((resolve) => {
    const late = none(`The machine behind ${link} was not found within ${searchLimit / 1000} s`);
    timer = setTimeout(() => resolve(late), searchLimit);
  });
  try {
    return await Promise.race([ramOfMachineWith(link), tooLong]);
  } catch (thrown) {
    return { kind: 'none', reason: asVmkdError(thrown) };
  } finally {
    clearTimeout(timer);
  }
}

async function ramOfMachineWith(link: string): Promise<RamLocation> {
  const { machines } = await findMachines();
  const [found, ...others] = machines.filter(({ links }) => links.some((one) => one.link === link));
  if (found === undefined) return none(`No machine of this computer has its debug port at ${link}`);
  if (others.length > 0) return none(`${others.length + 1} machines have their debug port at ${link}`);
  return found.ramLocation();
}

const none = (message: string): RamLocation => ({
  kind: 'none',
  reason: new VmkdError('ram-absent', message),
});
