/**
 * Why the guest module did not start, in words: its DriverEntry leaves its status in memory (docs/guest-module.md, “When loading
 * fails”, has the same table for people; native/guest/driver.c is the source).
 */

import { VmkdError } from '../../core/errors';

/** By NTSTATUS. */
const reasons: ReadonlyMap<number, readonly [why: string, nextStep: string]> = new Map([
  [
    0xc00000bb,
    [
      'this is no virtual machine of VMware or QEMU',
      'If VMware hides from its guest (hypervisor.cpuid.v0, monitor_control.restrict_backdoor), let it show itself.',
    ],
  ],
  [
    0xc0000354,
    [
      'kernel debugging is off',
      'In the guest: bcdedit /debug on, bcdedit /dbgsettings serial debugport:1 baudrate:115200, then reboot.',
    ],
  ],
  [
    0xc0000135,
    [
      'no module of the guest is kdcom, the kernel’s debugger transport',
      'Its debugger port is of another kind: bcdedit /dbgsettings serial debugport:1 baudrate:115200, then reboot.',
    ],
  ],
  [
    0xc0000139,
    [
      'the guest’s kdcom lacks KdSendPacket or KdReceivePacket',
      'Report it with what “lm vm kdcom” prints: this kdcom.dll is of a Windows that vmkd does not know.',
    ],
  ],
  [0xc000009a, ['there is no memory for its mailbox', 'Give the guest more memory, or reboot it.']],
  [
    0xc0000022,
    [
      'the kernel’s way to kdcom cannot be changed',
      'If memory integrity is on, turn it off (Windows Security, Device security, Core isolation) and reboot. Else report it with what “u kdcom!KdSendPacket” prints.',
    ],
  ],
  [
    0xc0000225,
    [
      'the kernel does not call what was put in kdcom’s place',
      'If its debugger is paused (kdbgctrl -d), enable it. Else report it with what “!lmi nt” prints.',
    ],
  ],
]);

/** @param status NTSTATUS of its DriverEntry. */
export function moduleFailure(status: number): VmkdError {
  const known = reasons.get(status >>> 0);
  const digits = (status >>> 0).toString(16);
  if (known === undefined)
    return new VmkdError('module-failed', `The guest module did not start: status ${digits}`);
  const [why, nextStep] = known;
  return new VmkdError('module-failed', `The guest module did not start: ${why} (${digits})`, { nextStep });
}
