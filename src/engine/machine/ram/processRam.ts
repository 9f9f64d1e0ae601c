/**
 * Guest RAM in the monitor's process, which needs rights over it, and native code.
 *
 *   Linux     /proc/PID/maps shows where it is, process_vm_readv reads it
 *   Windows   the mapping of a .vmem file, by VirtualQueryEx and GetMappedFileName, read by ReadProcessMemory
 *
 * The process is opened first: whatever is found afterwards is that very process's, also if its number changes hands.
 */

import { readFileSync } from 'node:fs';
import { VmkdError } from '../../core/errors';
import type { GuestRam } from './guestRam';
import type { PhysicalLayout } from './layout';
import type { NativeHost, NativeRam } from '../../core/nativeHost';
import { ramError } from './ramError';
import { guestRamBy } from './nativeRam';
import { machineMapping, mappingsOf, type ProcessMapping } from './processMappings';

export interface ProcessPlace {
  readonly pid: number;
  readonly layout: PhysicalLayout;
  /** The file that it maps, if it has a name. */
  readonly vmem?: string;
}

/** @throws ram-denied, ram-unreadable, ram-unmapped, ram-truncated, ram-lost */
export function openProcessRam(host: NativeHost, { pid, layout, vmem }: ProcessPlace): GuestRam {
  const name = `process ${pid}`;
  const isWindows = process.platform === 'win32';
  let ram: NativeRam | undefined;
  try {
    ram = host.openProcess(pid);
    const mappings = isWindows ? vmemMappings(host, ram) : mappingsOf(readMaps(pid));
    const mapping = machineMapping(mappings, layout.totalBytes, name, vmem);
    host.useMapping(ram, mapping.address, BigInt(layout.totalBytes));
    const call = isWindows ? 'ReadProcessMemory' : 'process_vm_readv';
    const way = `${call} of ${pid}${mapping.name === '' ? '' : `, ${mapping.name}`}`;
    return guestRamBy({ host, ram, layout, way, name });
  } catch (error) {
    if (ram !== undefined) host.close(ram);
    throw ramError(name, error);
  }
}

/** VMware's memory is a file of that kind; another file that is as large is none. */
const vmemMappings = (host: NativeHost, ram: NativeRam): readonly ProcessMapping[] =>
  host.mappings(ram).filter(({ name }) => /\.vmem$/i.test(name));

function readMaps(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isDenied = code === 'EACCES' || code === 'EPERM';
    throw new VmkdError(isDenied ? 'ram-denied' : 'ram-lost', `process ${pid}: ${message}`, { cause: error });
  }
}
