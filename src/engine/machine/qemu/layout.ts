/**
 * Where QEMU's machines have their memory: all of it below the hole, or the rest from 4 GiB on.
 *
 *   pc     below 3.5 GiB in all: all low; else 3 GiB low
 *   q35    below 2.75 GiB in all: all low; else 2 GiB low
 *   max-ram-below-4g makes the low part smaller
 *
 * Source of truth: QEMU's hw/i386/pc_piix.c, pc_q35.c; seen with QEMU 7.2 (“info mtree -f” at 2816, 3000, 3500, 3584 and
 * 5120 MiB). Machine types older than pc-i440fx-2.0 and pc-q35-2.0 did otherwise; current QEMUs do not have them.
 */

import { VmkdError } from '../../core/errors';
import type { PhysicalLayout } from '../ram/layout';
import type { QemuCommandLine } from './commandLine';

const gibibyte = 2 ** 30;
const fourGibibytes = 4 * gibibyte;

/** By the rule; undefined for machines whose rule is not known here. */
export function expectedLayout({
  machineType = 'pc',
  memoryBytes,
  mostLowMemory,
}: Pick<QemuCommandLine, 'machineType' | 'memoryBytes' | 'mostLowMemory'>): PhysicalLayout | undefined {
  const low = /^pc-q35|^q35/.test(machineType)
    ? q35Low(memoryBytes, mostLowMemory ?? fourGibibytes)
    : /^pc$|^pc-i440fx/.test(machineType)
      ? pcLow(memoryBytes, mostLowMemory ?? 3.5 * gibibyte)
      : undefined;
  return low === undefined ? undefined : { lowBytes: Math.min(low, memoryBytes), totalBytes: memoryBytes };
}

const pcLow = (total: number, most: number): number => (total >= most ? Math.min(most, 3 * gibibyte) : most);
const q35Low = (total: number, most: number): number =>
  Math.min(total >= 2.75 * gibibyte ? 2 * gibibyte : 2.75 * gibibyte, most);

/** A line of “info mtree -f”: `0000000100000000-000000011fffffff (prio 0, ram): pc.ram @00000000c0000000`. */
const rangeLine =
  /^ {2}([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (\S+)\): (.+?)(?: @([0-9a-f]{16}))?(?: KVM)?$/;

/**
 * As the machine itself says.
 * @param tree The answer to “info mtree -f”. @param region What backs its memory: the id of the backend, or `pc.ram`.
 * @throws machine-ram-unreachable if memory does not lie as PhysicalLayout can say
 */
export function layoutFromMemoryTree(tree: string, region: string, totalBytes: number): PhysicalLayout {
  const view = tree
    .split(/\r?\n(?=FlatView #)/)
    .find((one) => /^ AS "memory", root: system$/m.test(one.replaceAll('\r', '')));
  if (view === undefined) throw strange('the monitor shows no memory of the system');
  let lowBytes = 0;
  const high: { readonly address: number; readonly end: number; readonly offset: number }[] = [];
  for (const line of view.split(/\r?\n/)) {
    const [, from, to, kind, name, at] = rangeLine.exec(line) ?? [];
    if (from === undefined || to === undefined || name !== region || !/^(?:ram|rom|nv-ram)$/.test(kind ?? ''))
      continue;
    const address = parseInt(from, 16);
    const end = parseInt(to, 16) + 1;
    const offset = at === undefined ? 0 : parseInt(at, 16);
    if (address >= fourGibibytes) high.push({ address, end, offset });
    else if (offset !== address)
      throw strange(`${region} is at ${from}, but with offset ${offset.toString(16)}`);
    else lowBytes = Math.max(lowBytes, end);
  }
  if (lowBytes === 0) throw strange(`no ${region} is among the memory of the system`);
  for (const { address, end, offset } of high) {
    if (offset !== address - fourGibibytes + lowBytes || end - address + offset > totalBytes)
      throw strange(`${region} is at ${address.toString(16)} with offset ${offset.toString(16)}`);
  }
  const covered = Math.max(lowBytes, ...high.map(({ address, end, offset }) => offset + (end - address)));
  if (covered !== totalBytes) throw strange(`${covered} bytes of ${region} are there, not ${totalBytes}`);
  return { lowBytes, totalBytes };
}

const strange = (why: string): VmkdError =>
  new VmkdError(
    'machine-ram-unreachable',
    `The machine’s memory lies in a way that is not understood: ${why}.`,
  );
