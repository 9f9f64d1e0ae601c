/**
 * The threads of a process: EPROCESS.ThreadListHead, a circular list of ETHREAD through ThreadListEntry.
 * The list is hostile: its walk is bounded, and ends at the first entry seen before.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { readPointer, type VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from './kernelSymbols';
import { KernelStruct } from './kernelStruct';

export interface ThreadEntry {
  /** ETHREAD, which begins with KTHREAD. */
  readonly thread: VirtualAddress;
  readonly id: bigint;
  /** Where it began; undefined where this build does not keep it. */
  readonly startAddress: VirtualAddress | undefined;
}

const mostThreads = 65_536;

/** In list order. @throws symbols-lack-type, memory-unreadable, protocol-violation, and what the target throws */
export async function readProcessThreads(
  memory: VirtualMemory,
  symbols: KernelSymbols,
  eprocess: VirtualAddress,
): Promise<ThreadEntry[]> {
  const types = symbols.moduleNamed('nt')?.types;
  const process = KernelStruct.named(types, '_EPROCESS');
  const ethread = KernelStruct.named(types, '_ETHREAD');
  const links = ethread.offsetOf('ThreadListEntry');
  const pointerSize = ethread.place('Cid.UniqueThread').size === 4 ? 4 : 8;
  const head = plus(eprocess, process.offsetOf('ThreadListHead'));
  const hasStart = ethread.has('StartAddress');
  const threads: ThreadEntry[] = [];
  const seen = new Set<VirtualAddress>([head]);
  let at = await readPointer(memory, head, pointerSize);
  while (!seen.has(at)) {
    if (threads.length === mostThreads)
      throw new VmkdError('protocol-violation', `The thread list has more than ${mostThreads} entries`);
    seen.add(at);
    const thread = plus(at, -links);
    threads.push({
      thread,
      id: await ethread.readNumber(memory, thread, 'Cid.UniqueThread'),
      startAddress: hasStart ? await ethread.readPointer(memory, thread, 'StartAddress') : undefined,
    });
    at = await readPointer(memory, at, pointerSize);
  }
  return threads;
}
