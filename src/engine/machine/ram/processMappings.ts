/**
 * Which of a process's mappings is the machine's memory. A guess that is checked: nothing that is read from it is believed
 * before it was compared with what KD reads.
 *
 *   a file of the machine's .vmem name            if one is known and mapped
 *   else a mapping of just that size              QEMU's, and VMware's where there is one mapping for all
 *   else the largest, if it is large enough
 *
 * Source: proc(5); LeechCore (Windows) and ntoseye (Linux) for what VMware's process looks like.
 */

import { VmkdError } from '../../core/errors';

export interface ProcessMapping {
  readonly address: bigint;
  readonly size: bigint;
  /** Path or device path; '' if it is no file's. */
  readonly name: string;
}

/** One line of /proc/PID/maps: `start-end perms offset device inode   path`. */
const line = /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) (\S{4}) ([0-9a-f]+) (\S+) (\d+) *(.*)$/;
const deleted = ' (deleted)';

/**
 * The mappings that may be written, from the text of /proc/PID/maps, but for heap and stack. What the system keeps apart only because of its own
 * flags, neighbours that continue the same file, is one.
 */
export function mappingsOf(maps: string): ProcessMapping[] {
  const found: (ProcessMapping & { file: string; fileEnd: bigint })[] = [];
  for (const text of maps.split('\n')) {
    const parts = line.exec(text);
    if (parts === null) continue;
    const [, from = '', to = '', permissions = '', offset = '', device = '', inode = '', path = ''] = parts;
    if (!permissions.startsWith('rw') || path.startsWith('[')) continue;
    const [address, end, start] = [BigInt(`0x${from}`), BigInt(`0x${to}`), BigInt(`0x${offset}`)];
    if (end <= address) continue;
    const size = end - address;
    const file = inode === '0' ? '' : `${device} ${inode}`;
    const name = path.endsWith(deleted) ? path.slice(0, -deleted.length) : path;
    const last = found.at(-1);
    const continues =
      file !== '' && last?.file === file && last.address + last.size === address && last.fileEnd === start;
    if (continues) found.pop();
    found.push({
      address: continues ? last.address : address,
      size: continues ? last.size + size : size,
      name,
      file,
      fileEnd: start + size,
    });
  }
  return found.map(({ address, size, name }) => ({ address, size, name }));
}

/**
 * @param bytes Of the machine's memory. @param vmem The name of its file, with or without its folders.
 * @throws ram-unmapped, ram-truncated
 */
export function machineMapping(
  mappings: readonly ProcessMapping[],
  bytes: number,
  process: string,
  vmem?: string,
): ProcessMapping {
  const name = vmem === undefined ? undefined : baseName(vmem);
  const ofFile = mappings.filter((mapping) => name !== undefined && baseName(mapping.name) === name);
  const candidates = ofFile.length > 0 ? ofFile : mappings;
  const largest = candidates.reduce<ProcessMapping | undefined>(
    (best, mapping) => (best !== undefined && best.size >= mapping.size ? best : mapping),
    undefined,
  );
  if (largest === undefined)
    throw new VmkdError('ram-unmapped', `${process} maps nothing that could be a machine’s memory`);
  if (largest.size < BigInt(bytes)) {
    const which = largest.name === '' ? 'its largest mapping' : largest.name;
    throw new VmkdError(
      'ram-truncated',
      `${process}: ${which} has ${largest.size} bytes; the machine’s memory has ${bytes}`,
    );
  }
  return candidates.find(({ size }) => size === BigInt(bytes)) ?? largest;
}

/** Windows does not care for case, and no Linux machine has two files that differ in nothing else. */
const baseName = (path: string): string => path.slice(path.search(/[^\\/]*$/)).toLowerCase();
