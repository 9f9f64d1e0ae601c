/** Guest RAM: where it may be, how it lies, and whether it is the memory of the kernel that answered. */

import { VmkdError } from '../../engine/core/errors';
import { GuestMemory } from '../../engine/target/guestMemory/guestMemory';
import { fail, pass, skip, warn, type Step } from './step';

export const memoryLocated: Step = {
  name: 'guest RAM',
  async run({ machine }) {
    if (machine === undefined) return skip('no machine is known');
    const ram = machine.ramLocation();
    switch (ram.kind) {
      case 'file':
        return pass(`the file ${ram.path}`);
      case 'process':
        return pass(`a mapping in the process ${ram.pid}`);
      case 'none':
        return warn(ram.reason);
    }
  },
};

export const memoryLayout: Step = {
  name: 'layout',
  async run({ machine }) {
    if (machine === undefined) return skip('no machine is known');
    const { facts } = machine;
    if (facts.layout === undefined) {
      return warn(
        new VmkdError('machine-ram-unreachable', 'How much memory there is, and how it lies, is not known'),
      );
    }
    const { lowBytes, totalBytes } = facts.layout;
    const source =
      facts.kind === 'qemu'
        ? 'by the rules of its machine type, or its monitor'
        : facts.vmx?.holeIsConfigured === true
          ? 'as its settings say'
          : 'as most machines have it';
    const split = lowBytes === totalBytes ? 'all of it low' : `${megabytes(lowBytes)} of it below the hole`;
    return pass(`${megabytes(totalBytes)}, ${split}, ${source}`);
  },
};

export const memoryVerified: Step = {
  name: 'RAM verified',
  async run(patient) {
    const { machine, target } = patient;
    const location = machine?.ramLocation();
    if (location === undefined || location.kind === 'none') return skip('there is none');
    if (target === undefined) return skip('no kernel answered that it could be compared with');
    const { client, memory: kd, registers } = target;
    const guest = new GuestMemory({ client, kd, registers, location, cover: () => undefined });
    await guest.enter(target.stopped);
    const { state } = guest;
    guest.restarted();
    switch (state.kind) {
      case 'verified':
        patient.ramIsVerified = true;
        return pass(`it is this kernel’s memory, by ${state.way}`);
      case 'refused':
        return fail(state.reason);
      case 'unproven':
      case 'none':
        return warn(state.reason);
    }
  },
};

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
