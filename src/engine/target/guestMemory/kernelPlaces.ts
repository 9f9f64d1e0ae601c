/**
 * The few places of a running kernel that tell, without asking KD, where a stop is and whose address space it has:
 *
 *   KiProcessorBlock[n] ─▶ KPRCB ┬ CurrentThread
 *                                ├ IdleThread ─ ApcState.Process ─▶ KPROCESS ─ DirectoryTableBase: that of the system
 *                                └ ProcessorState: Cr3 and Rip, saved when it stopped
 *   KUSER_SHARED_DATA            8 InterruptTime   14 SystemTime: they move with every tick
 *
 * What is read may be anything: it is compared before it is believed.
 */

import { plus, virtualAddress, type VirtualAddress } from '../../core/addresses';
import { layout, u32 } from '../../core/layout';
import { generalX64 } from '../../cpu/contextX64';
import type { MachineType } from '../../kd/machineType';
import type { AddressSpace } from '../../memory/addressSpace';
import type { VirtualMemory } from '../../memory/virtualMemory';
import type { DebuggerData } from '../debuggerData';

/** KUSER_SHARED_DATA, mapped at the same address in every kernel since Windows XP. */
export const sharedData: Record<MachineType, VirtualAddress> = {
  x64: virtualAddress(0xfffff780_00000000n),
  x86: virtualAddress(0xffffffff_ffdf0000n),
};
/** Its times: bytes from its start, and how many. */
export const timesAt = 8;
export const timesSize = 0x18;
const systemTimeAt = 0x14;

/** Offset in KSPECIAL_REGISTERS of x64. */
const cr3 = 0x10;

export interface SavedState {
  /** The general part of its CONTEXT. */
  readonly context: Uint8Array;
  readonly rip: bigint;
  readonly cr3: bigint;
  readonly thread: bigint;
}

export class KernelPlaces {
  constructor(private readonly data: DebuggerData) {}

  /** Undefined: the kernel does not say, or it is not there. */
  prcb(space: AddressSpace, processor: number): VirtualAddress | undefined {
    const { processorBlock } = this.data;
    if (processorBlock === 0n) return undefined;
    const prcb = readU64(space, plus(processorBlock, 8 * processor));
    return prcb === undefined || prcb === 0n ? undefined : virtualAddress(prcb);
  }

  /** What a processor saved of itself when it stopped. */
  saved(space: AddressSpace, processor: number): SavedState | undefined {
    const { prcbContext, prcbSpecialRegisters, prcbCurrentThread } = this.data;
    const prcb = this.prcb(space, processor);
    if (prcb === undefined || prcbContext === 0 || prcbSpecialRegisters === 0 || prcbCurrentThread === 0)
      return undefined;
    const context = new Uint8Array(generalX64.size);
    const root = readU64(space, plus(prcb, prcbSpecialRegisters + cr3));
    const thread = readU64(space, plus(prcb, prcbCurrentThread));
    if (root === undefined || thread === undefined) return undefined;
    if (space.read(plus(prcb, prcbContext), context) < context.length) return undefined;
    return { context, rip: generalX64.read(context).rip, cr3: root, thread };
  }

  /** DirectoryTableBase of the process that the idle threads belong to, which lasts as long as the kernel. */
  systemRoot(space: AddressSpace): bigint | undefined {
    const { prcbIdleThread, threadApcProcess, processDirectoryTableBase } = this.data;
    const prcb = this.prcb(space, 0);
    if (prcb === undefined || prcbIdleThread === 0 || threadApcProcess === 0) return undefined;
    const thread = readU64(space, plus(prcb, prcbIdleThread));
    const process = thread && readU64(space, plus(virtualAddress(thread), threadApcProcess));
    return process && readU64(space, plus(virtualAddress(process), processDirectoryTableBase));
  }
}

/** KSYSTEM_TIME: the upper half comes twice, since a clock that is being set has two. */
const systemTime = layout(0xc, { low: [0, u32], high1: [4, u32], high2: [8, u32] });

/** 100 ns since boot, as the kernel's clock has it. Undefined: it is not there, or being set at this moment. */
export function interruptTime(space: AddressSpace, machine: MachineType): bigint | undefined {
  const bytes = new Uint8Array(systemTime.size);
  if (space.read(plus(sharedData[machine], timesAt), bytes) < bytes.length) return undefined;
  const { low, high1, high2 } = systemTime.read(bytes);
  return high1 === high2 ? (BigInt(high1) << 32n) | BigInt(low) : undefined;
}

/** When the kernel was booted, by its own clock, which may have been set since. @throws link and target errors */
export async function bootTime(memory: VirtualMemory, machine: MachineType): Promise<Date | undefined> {
  const bytes = await memory.readPartial(plus(sharedData[machine], timesAt), timesSize);
  if (bytes.length < timesSize) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [sinceBoot, since1601] = [
    view.getBigUint64(0, true),
    view.getBigUint64(systemTimeAt - timesAt, true),
  ];
  return new Date(Number((since1601 - sinceBoot) / 10_000n - 11_644_473_600_000n));
}

function readU64(space: AddressSpace, address: VirtualAddress): bigint | undefined {
  const bytes = new Uint8Array(8);
  if (space.read(address, bytes) < 8) return undefined;
  return new DataView(bytes.buffer).getBigUint64(0, true);
}
