/** The machine around the kernel: which it is, whether it runs, whether it has a port for KD, and who controls it. */

import { stat } from 'node:fs/promises';
import { VmkdError } from '../../engine/core/errors';
import { isLinkSpec } from '../../engine/link/spec';
import { findMachine, machinesWith } from '../../engine/machine/find';
import { fail, pass, skip, warn, type Step, type StepResult } from './step';

export const machineFound: Step = {
  name: 'machine',
  async run(patient) {
    if (await isLink(patient.subject)) {
      patient.link = patient.subject;
      const [found] = await machinesWith(patient.subject);
      if (found === undefined) return skip('a link was given, and no machine of this computer has it');
      patient.machine = found;
    } else patient.machine = await findMachine(patient.subject);
    const { name, where } = patient.machine;
    return pass(`${name} (${where})`);
  },
};

/** A path may be that of a .vmx, too. */
async function isLink(text: string): Promise<boolean> {
  if (/\.vmx$/i.test(text) || (await stat(text).catch(() => undefined))?.isDirectory() === true) return false;
  return isLinkSpec(text);
}

export const machineRuns: Step = {
  name: 'running',
  async run({ machine }) {
    if (machine === undefined) return noMachine;
    const { name, state } = machine;
    switch (state) {
      case 'running':
        return pass('its program runs');
      case 'paused':
        return fail(new VmkdError('machine-paused', `${name} is paused`));
      case 'suspended':
        return fail(
          new VmkdError('machine-off', `${name} is suspended`, {
            nextStep: 'Resume the machine, then try again.',
          }),
        );
      case 'off':
        return fail(new VmkdError('machine-off', `${name} is off`));
      case 'unknown':
        return skip('nobody can tell');
    }
  },
};

export const serialConfigured: Step = {
  name: 'serial port',
  async run(patient) {
    const { machine, link } = patient;
    if (machine === undefined) return noMachine;
    patient.link = link ?? machine.kdLink();
    const port = machine.links.find((one) => one.link === patient.link)?.port;
    return pass(`${port === undefined ? 'a port' : `COM${port}`} of the guest is ${patient.link}`);
  },
};

export const firmware: Step = {
  name: 'firmware',
  async run({ machine }) {
    if (machine?.facts.kind !== 'vmware' || machine.facts.vmx === undefined)
      return skip('its settings are not known');
    if (!machine.facts.vmx.secureBoot) return pass('Secure Boot is off');
    return warn(
      new VmkdError('target-silent', 'Secure Boot is on: Windows lets nobody turn kernel debugging on.', {
        nextStep:
          'If it is not on yet: power the machine off and turn Secure Boot off (uefi.secureBoot.enabled = "FALSE").',
      }),
    );
  },
};

export const control: Step = {
  name: 'control',
  async run({ machine, password }) {
    if (machine === undefined) return noMachine;
    return warnIfThrown(async () => {
      const one = await machine.openControl(password === undefined ? {} : { password });
      try {
        return pass(`${one.way}; the machine is ${await one.power()}`);
      } finally {
        one.close();
      }
    });
  },
};

/** Without control there is no parking, no reset from here, and no snapshot; but debugging works. */
async function warnIfThrown(action: () => Promise<StepResult>): Promise<StepResult> {
  try {
    return await action();
  } catch (thrown) {
    if (thrown instanceof VmkdError && thrown.code.startsWith('machine-')) return warn(thrown);
    throw thrown;
  }
}

const noMachine = skip('no machine is known');
