/**
 * Processes: PsActiveProcessHead, a circular list of EPROCESS through ActiveProcessLinks.
 * The list is hostile: its walk is bounded, and ends at the first entry seen before.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { readPointer, type VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from './kernelSymbols';
import { KernelStruct, type StructValue } from './kernelStruct';

export interface ProcessEntry {
  readonly eprocess: StructValue;
  readonly id: bigint;
  /** At most 15 characters, as the kernel keeps it. Hostile text. */
  readonly name: string;
  /** Physical address of its page tables, with flag bits. */
  readonly directoryTableBase: bigint;
}

const mostProcesses = 65_536;

/** In list order: System first. @throws symbols-lack-type, symbols-not-found, memory-unreadable, and what the target throws */
export async function readProcesses(memory: VirtualMemory, symbols: KernelSymbols): Promise<ProcessEntry[]> {
  const nt = symbols.moduleNamed('nt');
  const [head] = symbols.search('nt!PsActiveProcessHead', 1);
  if (nt === undefined || head === undefined)
    throw new VmkdError('symbols-not-found', 'The kernel’s symbols have no PsActiveProcessHead');
  const struct = KernelStruct.named(nt.types, '_EPROCESS');
  const links = struct.offsetOf('ActiveProcessLinks');
  const pointerSize = struct.place('UniqueProcessId').size === 4 ? 4 : 8;
  const processes: ProcessEntry[] = [];
  const seen = new Set<VirtualAddress>([head.address]);
  let at = await readPointer(memory, head.address, pointerSize);
  while (!seen.has(at)) {
    if (processes.length === mostProcesses)
      throw new VmkdError('protocol-violation', `The process list has more than ${mostProcesses} entries`);
    seen.add(at);
    const eprocess = await struct.read(memory, plus(at, -links));
    processes.push({
      eprocess,
      id: eprocess.number('UniqueProcessId'),
      name: eprocess.text('ImageFileName'),
      directoryTableBase: eprocess.number('Pcb.DirectoryTableBase'),
    });
    at = eprocess.pointer('ActiveProcessLinks.Flink');
  }
  return processes;
}

/**
 * Whether a process is in that list: the next entry points back to it. What was one before it ended, or the kernel was another,
 * is memory like any. @throws symbols-lack-type, and what the target throws
 */
export async function isProcess(
  memory: VirtualMemory,
  symbols: KernelSymbols,
  eprocess: VirtualAddress,
): Promise<boolean> {
  const struct = KernelStruct.named(symbols.moduleNamed('nt')?.types, '_EPROCESS');
  const { size } = struct.place('ActiveProcessLinks.Flink');
  try {
    const next = await struct.readPointer(memory, eprocess, 'ActiveProcessLinks.Flink');
    const back = await readPointer(memory, plus(next, size), size === 4 ? 4 : 8);
    return back === plus(eprocess, struct.offsetOf('ActiveProcessLinks'));
  } catch (thrown) {
    if (thrown instanceof VmkdError && thrown.code === 'memory-unreadable') return false;
    throw thrown;
  }
}
