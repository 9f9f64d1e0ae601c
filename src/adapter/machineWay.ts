/**
 * From what a launch configuration says of the machine to where its debug port and its memory are. A machine that is named is
 * asked; of a bare link, the machine is looked for that has it, so that nobody need say where its
 * memory is, and who controls it.
 */

import { stat } from 'node:fs/promises';
import { VmkdError, asVmkdError } from '../engine/core/errors';
import { findMachine, machinesWith } from '../engine/machine/find';
import { expectedLayout } from '../engine/machine/qemu/layout';
import type { Machine } from '../engine/machine/machine';
import { withControl } from '../engine/machine/withControl';
import { announcedByGuestInfo } from '../engine/link/mailbox/announcement';
import type { RamLocation } from '../engine/machine/ram/location';
import type { Configuration, GivenRam } from './configuration/configuration';

export interface MachineWay {
  readonly link: string;
  readonly guestRam: RamLocation;
  /** The machine behind it, or why none is known. */
  readonly machine: Machine | VmkdError;
}

/** Milliseconds to look for the machine behind a link: the session can do without. */
const searchLimit = 5000;

/** @throws machine-*, if a machine was named and has no debug port; never for its memory */
export async function wayTo({ machine, transport, guestRam, parking }: Configuration): Promise<MachineWay> {
  const given = guestRam && (await givenRam(guestRam));
  switch (machine.kind) {
    case 'vm': {
      const found = await findMachine(machine.vm);
      return { link: found.kdLink(), guestRam: given ?? found.ramLocation(), machine: found };
    }
    case 'link': {
      const { link } = machine;
      // Nobody asked for its memory.
      const told = transport === 'serial' ? none('It is not used') : given;
      const isWanted = told === undefined || parking.enabled !== false;
      const found = isWanted ? await machineBehind(link) : absent('No machine was looked for');
      return { link, guestRam: told ?? ramOf(found), machine: found };
    }
  }
}

/** Where the guest module has its mailbox, if the machine's monitor passes on what the guest says. @throws machine-* */
export async function mailboxAnnouncedBy(machine: Machine | VmkdError): Promise<bigint | undefined> {
  // QEMU's passes nothing on, and takes one client at a time.
  if (machine instanceof VmkdError || machine.facts.kind !== 'vmware') return undefined;
  return withControl(machine, async (control) =>
    announcedByGuestInfo((await control.guestVariable?.('vmkd.mailbox')) ?? ''),
  );
}

const ramOf = (found: Machine | VmkdError): RamLocation =>
  found instanceof VmkdError ? { kind: 'none', reason: found } : found.ramLocation();

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

async function machineBehind(link: string): Promise<Machine | VmkdError> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<VmkdError>((resolve) => {
    const late = absent(`The machine behind ${link} was not found within ${searchLimit / 1000} s`);
    timer = setTimeout(() => resolve(late), searchLimit);
  });
  try {
    return await Promise.race([machineWith(link), tooLong]);
  } catch (thrown) {
    return asVmkdError(thrown);
  } finally {
    clearTimeout(timer);
  }
}

async function machineWith(link: string): Promise<Machine | VmkdError> {
  const [found, ...others] = await machinesWith(link);
  if (found === undefined) return absent(`No machine of this computer has its debug port at ${link}`);
  if (others.length > 0) return absent(`${others.length + 1} machines have their debug port at ${link}`);
  return found;
}

const absent = (message: string): VmkdError => new VmkdError('ram-absent', message);
const none = (message: string): RamLocation => ({ kind: 'none', reason: absent(message) });
