/** What runs on a processor: the thread and process behind a KTHREAD, read a field at a time. */

import type { VirtualAddress } from '../core/addresses';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from './kernelSymbols';
import { KernelStruct } from './kernelStruct';

export interface ThreadSummary {
  /** KTHREAD, with which ETHREAD begins. */
  readonly thread: VirtualAddress;
  readonly threadId: bigint;
  readonly process: VirtualAddress;
  /** 0: the idle process. */
  readonly processId: bigint;
  /** At most 15 characters. Hostile text. */
  readonly processName: string;
}

/** @throws symbols-lack-type, memory-unreadable, and what the target throws */
export async function describeThread(
  memory: VirtualMemory,
  symbols: KernelSymbols,
  thread: VirtualAddress,
): Promise<ThreadSummary> {
  const types = symbols.moduleNamed('nt')?.types;
  const ethread = KernelStruct.named(types, '_ETHREAD');
  const eprocess = KernelStruct.named(types, '_EPROCESS');
  // The one whose address space it is in now, which an attach may have changed.
  const attached = ethread.has('Tcb.ApcState.Process') ? 'Tcb.ApcState.Process' : 'Tcb.Process';
  const process = await ethread.readPointer(memory, thread, attached);
  return {
    thread,
    threadId: await ethread.readNumber(memory, thread, 'Cid.UniqueThread'),
    process,
    processId: await eprocess.readNumber(memory, process, 'UniqueProcessId'),
    processName: await eprocess.readText(memory, process, 'ImageFileName'),
  };
}
