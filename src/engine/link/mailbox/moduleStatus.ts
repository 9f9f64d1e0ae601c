/**
 * Why the guest module did not load, from the status that its DriverEntry left in memory: as a sentence, and what to do. The
 * same table as in docs/guest-module.md; a test compares them, and both with native/guest/driver.c.
 */

import { VmkdError } from '../../core/errors';
import type { FoundMailbox } from './finder';

interface Failure {
  readonly sentence: string;
  readonly nextStep: string;
}

/** By NTSTATUS. */
export const moduleFailures: ReadonlyMap<number, Failure> = new Map([
  [
    0xc0000354,
    {
      sentence: 'kernel debugging is off',
      nextStep:
        'In the guest: bcdedit /debug on; bcdedit /dbgsettings serial debugport:1 baudrate:115200; then reboot it.',
    },
  ],
  [
    0xc0000135,
    {
      sentence: 'no module is kdcom, the kernel’s debugger transport',
      nextStep:
        'The debugger port is of another kind (network, USB, 1394). In the guest: bcdedit /dbgsettings serial debugport:1 baudrate:115200; then reboot it.',
    },
  ],
  [
    0xc0000139,
    {
      sentence: 'kdcom lacks KdSendPacket or KdReceivePacket',
      nextStep:
        'This kdcom.dll is not Microsoft’s, or of a Windows that vmkd does not know. Report it with “lm vm kdcom”.',
    },
  ],
  [
    0xc000009a,
    {
      sentence: 'there was no memory for the mailbox, or for the list of modules',
      nextStep: 'Give the guest more memory, or reboot it.',
    },
  ],
  [
    0xc0000022,
    {
      sentence: 'memory integrity (HVCI) is on, or the kernel’s way to kdcom cannot be changed',
      nextStep:
        'In the guest, turn memory integrity off (Windows Security, Device security, Core isolation) and reboot. If it was off, report this with “u kdcom!KdSendPacket” and “u kdcom!KdReceivePacket”.',
    },
  ],
  [
    0xc0000225,
    {
      sentence: 'the kernel does not call what was put in kdcom’s place',
      nextStep: 'Is the debugger paused in the guest by “kdbgctrl -d”? Else report it with “lm vm nt”.',
    },
  ],
]);

/** @param found A module that has left a notice: state `Failed`. */
export function whyModuleFailed({ words, description }: FoundMailbox): VmkdError {
  const status = (words.status >>> 0).toString(16).toUpperCase().padStart(8, '0');
  const known = moduleFailures.get(words.status >>> 0);
  const when = isNaN(description.loaded.getTime()) ? '' : ` at ${description.loaded.toISOString()}`;
  return new VmkdError(
    'mailbox-failed',
    `The guest’s module could not start${when}: ${known?.sentence ?? 'it does not say why'} (status ${status})`,
    known && { nextStep: known.nextStep },
  );
}
