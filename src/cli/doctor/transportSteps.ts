/** What makes KD itself fast: the guest module, and which way a session would take with all that was found. */

import { systemClock } from '../../engine/core/clock';
import { VmkdError } from '../../engine/core/errors';
import { MailboxFinder } from '../../engine/link/mailbox/finder';
import { moduleFailure } from '../../engine/link/mailbox/moduleFailure';
import { openGuestRam } from '../../engine/machine/ram/openGuestRam';
import type { Tier } from '../../engine/target/transport';
import { pass, skip, warn, type Step } from './step';

export const guestModule: Step = {
  name: 'guest module',
  async run(patient) {
    const location = patient.machine?.ramLocation();
    if (location === undefined || location.kind === 'none')
      return skip('it is looked for in guest RAM, and there is none');
    const ram = openGuestRam(location);
    try {
      const finder = new MailboxFinder(ram, systemClock);
      const frames = await finder.scan(patient.signal);
      const living = await finder.living(frames, patient.signal);
      if (living !== undefined) {
        patient.hasMailbox = true;
        const { moduleBuild, loaded } = living.description;
        return pass(`build ${moduleBuild}, loaded ${loaded.toISOString()} by the guest’s clock, answers`);
      }
      const [failure] = finder.failures(frames);
      if (failure !== undefined) return warn(moduleFailure(failure.words.status));
      return warn(new VmkdError('mailbox-absent', 'The guest has no module of vmkd loaded'));
    } finally {
      ram.close();
    }
  },
};

const ways: Readonly<Record<Tier, string>> = {
  mailbox: 'KD’s packets go through the machine’s RAM',
  hybrid: 'memory is read in the machine’s RAM, all else comes over the debug port',
  serial: 'everything comes over the debug port',
};

export const transport: Step = {
  name: 'transport',
  async run({ target, hasMailbox, ramIsVerified }) {
    if (target === undefined) return skip('no kernel answered');
    const tier: Tier = hasMailbox === true ? 'mailbox' : ramIsVerified === true ? 'hybrid' : 'serial';
    return pass(`${tier}: ${ways[tier]}`);
  },
};
