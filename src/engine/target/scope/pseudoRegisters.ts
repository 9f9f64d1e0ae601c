/**
 * `@$proc`, `@$thread` and their like: what WinDbg's users type without thinking.
 *
 *   $ip $ra $csp        where the frame stands, where it returns to, its stack pointer
 *   $thread $proc       nt!_ETHREAD* and nt!_EPROCESS* of the processor, if the kernel's PDB has types
 *   $teb $peb           of that thread and process; 0 in the kernel's own
 *   $tid $pid           their numbers
 */

import { plus, type VirtualAddress } from '../../core/addresses';
import type { Meaning } from '../../expr/context';
import { builtinType } from '../../expr/types/builtinTypes';
import { pointerTo, voidType, type Type } from '../../expr/types/type';
import { readPointer, type VirtualMemory } from '../../memory/virtualMemory';
import { KernelStruct } from '../../windows/kernelStruct';
import type { ModuleSymbols } from '../../windows/moduleSymbols';
import { typeIn } from './globalNames';
import { littleEndian } from './localPlace';

/** What they are worked out from. */
export interface PseudoSource {
  readonly memory: VirtualMemory;
  readonly pointerSize: 4 | 8;
  readonly kernel: ModuleSymbols | undefined;
  readonly ip: VirtualAddress;
  readonly csp: VirtualAddress;
  /** Undefined: nobody called this frame. */
  callerRsp(): Promise<VirtualAddress | undefined>;
  thread(): Promise<VirtualAddress>;
}

interface Row {
  readonly type: (source: PseudoSource) => Type;
  readonly value: (source: PseudoSource) => Promise<bigint>;
}

const codePointer = ({ pointerSize }: PseudoSource): Type => pointerTo(voidType, pointerSize);
const number = ({ pointerSize }: PseudoSource): Type => builtinType('ULONG_PTR', pointerSize)!;
const structPointer =
  (name: string) =>
  ({ kernel, pointerSize }: PseudoSource): Type => {
    const tag = kernel?.types?.find(name)[0];
    return pointerTo(kernel !== undefined && tag !== undefined ? typeIn(kernel, tag) : voidType, pointerSize);
  };

const rows: Readonly<Record<string, Row>> = {
  ip: { type: codePointer, value: ({ ip }) => Promise.resolve(ip) },
  csp: { type: codePointer, value: ({ csp }) => Promise.resolve(csp) },
  ra: {
    type: codePointer,
    value: async (source) => {
      const behind = await source.callerRsp();
      const { memory, pointerSize } = source;
      return behind === undefined ? 0n : readPointer(memory, plus(behind, -pointerSize), pointerSize);
    },
  },
  thread: { type: structPointer('_ETHREAD'), value: (source) => source.thread() },
  proc: { type: structPointer('_EPROCESS'), value: processOf },
  teb: {
    type: structPointer('_TEB'),
    value: async (source) =>
      threadStruct(source).readPointer(source.memory, await source.thread(), 'Tcb.Teb'),
  },
  peb: {
    type: structPointer('_PEB'),
    value: async (source) => processStruct(source).readPointer(source.memory, await processOf(source), 'Peb'),
  },
  tid: {
    type: number,
    value: async (source) =>
      threadStruct(source).readNumber(source.memory, await source.thread(), 'Cid.UniqueThread'),
  },
  pid: {
    type: number,
    value: async (source) =>
      processStruct(source).readNumber(source.memory, await processOf(source), 'UniqueProcessId'),
  },
};

/** Undefined: there is none of that name. @throws symbols-lack-type, memory-unreadable, and what the target throws */
export async function pseudoRegister(name: string, source: PseudoSource): Promise<Meaning | undefined> {
  if (!Object.hasOwn(rows, name)) return undefined;
  const { type, value } = rows[name]!;
  const bytes = littleEndian(await value(source), source.pointerSize);
  return { kind: 'variable', type: type(source), locate: () => ({ kind: 'bytes', bytes }) };
}

const threadStruct = ({ kernel }: PseudoSource): KernelStruct =>
  KernelStruct.named(kernel?.types, '_ETHREAD');
const processStruct = ({ kernel }: PseudoSource): KernelStruct =>
  KernelStruct.named(kernel?.types, '_EPROCESS');

/** The one whose address space the thread is in. */
async function processOf(source: PseudoSource): Promise<VirtualAddress> {
  const ethread = threadStruct(source);
  const path = ethread.has('Tcb.ApcState.Process') ? 'Tcb.ApcState.Process' : 'Tcb.Process';
  return ethread.readPointer(source.memory, await source.thread(), path);
}
