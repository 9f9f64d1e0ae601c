/**
 * Whether the layout that somebody gave is that of the machine, by what the kernel itself counts as its memory:
 *
 *   KDDEBUGGER_DATA64 ─ MmPhysicalMemoryBlock ─▶ pointer ─▶ PHYSICAL_MEMORY_DESCRIPTOR
 *     0 u32 NumberOfRuns   8 u64 NumberOfPages   10 { u64 BasePage, u64 PageCount } …
 *
 * Firmware keeps some of it for itself, so the numbers agree only nearly; two layouts of one machine differ by far more.
 */

import { virtualAddress, type VirtualAddress } from '../../core/addresses';
import { VmkdError } from '../../core/errors';
import { layout, u32, u64 } from '../../core/layout';
import type { PhysicalLayout } from '../../machine/ram/layout';
import { readPointer, type VirtualMemory } from '../../memory/virtualMemory';

/** [begin, end), in bytes. */
export interface PhysicalRun {
  readonly begin: number;
  readonly end: number;
}

const descriptor = layout(0x10, { runs: [0, u32], pages: [8, u64] });
const run = layout(0x10, { basePage: [0, u64], pageCount: [8, u64] });
/** NT has about ten; more are not the runs of a virtual machine. */
const mostRuns = 64;
const mostPages = 1n << 40n;

const fourGiB = 2 ** 32;
/** What firmware may keep at the end of either part. */
const firmwareShare = 64 << 20;

/** @param block Address of the pointer. Undefined: it is not there yet, or makes no sense. @throws what the target throws */
export async function readPhysicalRuns(
  memory: VirtualMemory,
  block: VirtualAddress,
): Promise<readonly PhysicalRun[] | undefined> {
  if (block === 0n) return undefined;
  const pointer = await readPointer(memory, block, 8).catch(unlessAbsent);
  if (pointer === undefined || pointer === 0n) return undefined;
  const bytes = await memory.readPartial(virtualAddress(pointer), descriptor.size + mostRuns * run.size);
  if (bytes.length < descriptor.size) return undefined;
  const { runs: count } = descriptor.read(bytes);
  if (count === 0 || count > mostRuns || bytes.length < descriptor.size + count * run.size) return undefined;
  const runs: PhysicalRun[] = [];
  for (let i = 0; i < count; i++) {
    const { basePage, pageCount } = run.read(bytes, descriptor.size + i * run.size);
    if (pageCount === 0n || basePage + pageCount > mostPages) return undefined;
    runs.push({ begin: Number(basePage) * 4096, end: Number(basePage + pageCount) * 4096 });
  }
  return runs;
}

/** @throws ram-layout, ram-partial */
export function checkRuns(given: PhysicalLayout, runs: readonly PhysicalRun[]): void {
  const top = Math.max(0, ...runs.map(({ end }) => end));
  const above = Math.max(0, top - fourGiB);
  const low = Math.max(0, ...runs.map(({ end }) => end).filter((end) => end <= fourGiB));
  // Below the hole a page lies where it always does, however much follows.
  const fits =
    low <= given.lowBytes &&
    (above === 0 || Math.abs(given.totalBytes - given.lowBytes - above) <= firmwareShare);
  if (fits) return;
  if (low + above > given.totalBytes) {
    throw new VmkdError(
      'ram-partial',
      `The kernel has ${mebibytes(low + above)} of memory; only ${mebibytes(given.totalBytes)} of it are here`,
    );
  }
  throw wrongLayout(given, given.totalBytes - above);
}

/** @param lowBytes What it should be. */
export const wrongLayout = (given: PhysicalLayout, lowBytes: number): VmkdError =>
  new VmkdError(
    'ram-layout',
    `The machine has ${mebibytes(lowBytes)} of its memory below the hole, not ${mebibytes(given.lowBytes)}`,
  );

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

function unlessAbsent(thrown: unknown): undefined {
  if (!(thrown instanceof VmkdError) || thrown.code !== 'memory-unreadable') throw thrown;
}
