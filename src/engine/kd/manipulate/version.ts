/**
 * GetVersion: who answers. DBGKD_GET_VERSION64 at 16, 40 bytes:
 *
 *   16 u16 MajorVersion   18 u16 MinorVersion    20 u8 ProtocolVersion   21 u8 SecondaryVersion   22 u16 Flags
 *   24 u16 MachineType    26 u8 MaxPacketType    27 u8 MaxStateChange    28 u8 MaxManipulate      29 u8 Simulation
 *   32 u64 KernBase       40 u64 PsLoadedModuleList                      48 u64 DebuggerDataList
 *
 * MajorVersion: high byte = kind of target (0 NT, 4 boot debugger …), low byte 0xF free or 0xC checked build.
 * MinorVersion: the build number.  Flags: 1 multiprocessor, 2 DebuggerDataList valid, 4 64-bit pointers,
 * 8 no virtual memory. Trust MachineType, not the third of them: Windows 10's boot debugger leaves it out.
 */

import { VmkdError } from '../../core/errors';
import { hex16, u16, u8, va, type ValuesOf } from '../../core/layout';
import { machineTypeOf, type MachineType } from '../machineType';
import { defineApi } from './message';

export const getVersion = defineApi({
  number: 0x3146,
  name: 'GetVersion',
  reply: {
    majorVersion: [16, hex16],
    minorVersion: [18, u16],
    protocolVersion: [20, u8],
    secondaryVersion: [21, u8],
    flags: [22, hex16],
    machineType: [24, hex16],
    maxPacketType: [26, u8],
    maxStateChange: [27, u8],
    maxManipulate: [28, u8],
    simulation: [29, u8],
    kernelBase: [32, va],
    loadedModuleList: [40, va],
    debuggerDataList: [48, va],
  },
});

export type VersionReply = ValuesOf<(typeof getVersion)['reply']['fields']>;

export interface TargetVersion extends Omit<VersionReply, 'machineType'> {
  readonly machine: MachineType;
  /** Windows build number, e.g. 19041. */
  readonly build: number;
  /** A checked build has the kernel's own assertions on. */
  readonly checkedBuild: boolean;
}

const oldestProtocol = 5;

/** What GetVersion's reply means. @throws target-32bit-protocol, target-unsupported for machines that we do not know. */
export function interpretVersion(reply: VersionReply): TargetVersion {
  const { machineType, ...rest } = reply;
  if (reply.protocolVersion < oldestProtocol) {
    throw new VmkdError(
      'target-32bit-protocol',
      `The guest speaks KD protocol version ${reply.protocolVersion}`,
    );
  }
  const machine = machineTypeOf(machineType);
  if (machine === undefined) {
    throw new VmkdError('target-unsupported', `The guest is of machine type 0x${machineType.toString(16)}`, {
      nextStep: 'vmkd debugs x86 and x64 guests; ARM64 is not supported yet.',
    });
  }
  return { ...rest, machine, build: reply.minorVersion, checkedBuild: (reply.majorVersion & 0xff) === 0xc };
}
