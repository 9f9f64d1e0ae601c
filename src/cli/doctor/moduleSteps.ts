/** The guest's module, and the tier of transport that all of the above comes to: docs/transport.md. */

import { systemClock } from '../../engine/core/clock';
import { asVmkdError, VmkdError } from '../../engine/core/errors';
import { MailboxFinder, type FoundMailbox } from '../../engine/link/mailbox/finder';
import type { MailboxRam } from '../../engine/link/mailbox/ram';
import { whyModuleFailed } from '../../engine/link/mailbox/moduleStatus';
import { openGuestRam } from '../../engine/machine/ram/openGuestRam';
import { bootTime } from '../../engine/target/guestMemory/kernelPlaces';
import { pass, skip, warn, type Patient, type Step } from './step';

/**
 * Milliseconds: a kernel reads whole seconds of its clock when it boots. More would take the notice of a kernel that was reset soon
 * afterwards for one of this kernel's; a clock that was set forward since hides a notice.
 */
const clockSlack = 1500;

export const guestModule: Step = {
  name: 'guest module',
  async run(patient) {
    const location = patient.machine?.ramLocation();
    if (location === undefined || location.kind === 'none')
      return skip('it is looked for in the machine’s memory, which cannot be seen');
    const guestRam = openGuestRam(location);
    const ram: MailboxRam = guestRam;
    try {
      const finder = new MailboxFinder(ram, systemClock);
      const frames = await finder.scan(patient.signal);
      const living = await finder.living(frames, patient.signal);
      if (living === undefined) {
        const failed = await newest(finder.failures(frames), patient);
        return warn(failed === undefined ? absent : whyModuleFailed(failed));
      }
      // Opened for writing, and nothing is written.
      ram.window(living.description.pages).close();
      patient.moduleIsLoaded = true;
      return pass(`vmkd.sys is loaded and alive, ${takeovers[living.words.takeover] ?? 'in an unknown way'}`);
    } catch (thrown) {
      return warn(asVmkdError(thrown));
    } finally {
      guestRam.close();
    }
  },
};

const absent = new VmkdError('mailbox-absent', 'The guest has no module of vmkd loaded');

const takeovers: Readonly<Record<number, string>> = {
  1: 'by the kernel’s import slots',
  2: 'by the first instructions of kdcom’s functions',
};

/** Notices of kernels that were stay behind in memory: they are older than the kernel that answers. */
async function newest(
  failures: readonly FoundMailbox[],
  { target }: Patient,
): Promise<FoundMailbox | undefined> {
  const [first] = failures;
  if (first === undefined || target === undefined) return first;
  const { machine } = target.stopped.version;
  const booted = await bootTime(target.memory, machine);
  return booted === undefined || first.description.loaded.getTime() >= booted.getTime() - clockSlack
    ? first
    : undefined;
}

export const tier: Step = {
  name: 'transport',
  async run({ target, ramIsVerified = false, moduleIsLoaded = false }) {
    if (target === undefined) return skip('no kernel answered');
    if (ramIsVerified && moduleIsLoaded) return pass('mailbox: memory and KD’s packets go through guest RAM');
    if (ramIsVerified)
      return pass(
        'hybrid: memory is read in guest RAM; KD’s packets go over the serial port, for want of the module',
      );
    return pass('serial: everything goes over the serial port, for want of guest RAM');
  },
};
