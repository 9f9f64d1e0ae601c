/**
 * What a kernel says of itself for debuggers: KDDEBUGGER_DATA64, found through GetVersion, without any symbols.
 *
 *   DebuggerDataList ─▶ LIST_ENTRY ─Flink─▶ 00 LIST_ENTRY  10 'KDBG'  14 u32 Size  20 BreakpointWithStatus  88 KiBugcheckData
 */

import type { VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { hex32, layout, list, u32, u64, va } from '../core/layout';
import type { TargetVersion } from '../kd/manipulate/version';
import { readMemory, readPointer, type VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from '../windows/kernelSymbols';

const block = layout(0x90, {
  ownerTag: [0x10, hex32],
  size: [0x14, u32],
  breakpointWithStatus: [0x20, va],
  bugcheckData: [0x88, va],
});
/** 'KDBG' */
const blockTag = 0x4742444b;

/** DBG_STATUS_*: what the kernel breaks for, in rcx at its own int3. */
export const breakStatus = { controlC: 1, bugcheckFirst: 3, bugcheckSecond: 4 } as const;

export interface KernelFacts {
  /** Where the kernel breaks with a status. Undefined: it does not say. */
  readonly breakWithStatus: VirtualAddress | undefined;
  readonly bugcheckData: VirtualAddress | undefined;
}

/** @throws what the target throws; not for a block that is not there */
export async function readKernelFacts(
  memory: VirtualMemory,
  symbols: KernelSymbols,
  version: TargetVersion,
): Promise<KernelFacts> {
  const data = await readBlock(memory, version);
  const named = (name: string): VirtualAddress | undefined => symbols.search(`nt!${name}`, 1)[0]?.address;
  return {
    breakWithStatus: data?.breakpointWithStatus ?? named('RtlpBreakWithStatusInstruction'),
    bugcheckData: data?.bugcheckData ?? named('KiBugCheckData'),
  };
}

async function readBlock(memory: VirtualMemory, { debuggerDataList, machine }: TargetVersion) {
  if (machine !== 'x64' || debuggerDataList === 0n) return undefined;
  try {
    const data = block.read(
      await readMemory(memory, await readPointer(memory, debuggerDataList, 8), block.size),
    );
    return data.ownerTag === blockTag && data.size >= block.size && data.breakpointWithStatus !== 0n
      ? data
      : undefined;
  } catch (thrown) {
    if (thrown instanceof VmkdError && thrown.code === 'memory-unreadable') return undefined;
    throw thrown;
  }
}

export interface Bugcheck {
  readonly code: number;
  readonly parameters: readonly bigint[];
}

const bugcheckLayout = layout(40, { code: [0, u64], parameters: [8, list(u64, 4)] });

/** @throws memory-unreadable */
export async function readBugcheck(memory: VirtualMemory, facts: KernelFacts): Promise<Bugcheck | undefined> {
  if (facts.bugcheckData === undefined) return undefined;
  const { code, parameters } = bugcheckLayout.read(
    await readMemory(memory, facts.bugcheckData, bugcheckLayout.size),
  );
  return { code: Number(BigInt.asUintN(32, code)), parameters };
}
