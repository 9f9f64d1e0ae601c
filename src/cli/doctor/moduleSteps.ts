/** The guest's module, and the tier of transport that all of the above comes to: docs/transport.md. */

import { systemClock } from '../../engine/core/clock';
import { asVmkdError } from '../../engine/core/errors';
import { MailboxFinder, type FoundMailbox } from '../../engine/link/mailbox/finder';
import type { MailboxRam } from '../../engine/link/mailbox/ram';
import { whyModuleFailed } from '../../engine/link/mailbox/moduleStatus';
import { openGuestRam } from '../../engine/machine/ram/openGuestRam';
import { failureOfThisKernel } from '../../engine/target/moduleFailure';
import { noMailbox } from '../../engine/target/transport';
import { pass, skip, warn, type Patient, type Step } from './step';

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
        return warn(failed === undefined ? noMailbox : whyModuleFailed(failed));
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

const takeovers: Readonly<Record<number, string>> = {
  1: 'by the kernel’s import slots',
  2: 'by the first instructions of kdcom’s functions',
};

/** Without a kernel that answers, nobody knows whose notices they are. */
const newest = (
  failures: readonly FoundMailbox[],
  { target }: Patient,
): Promise<FoundMailbox | undefined> | FoundMailbox | undefined =>
  target === undefined
    ? failures[0]
    : failureOfThisKernel(failures, target.memory, target.stopped.version.machine);

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
