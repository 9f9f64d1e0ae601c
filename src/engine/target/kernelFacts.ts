/** What a kernel says of itself that decides about its stops: where it breaks with a status, and what it was that killed it. */

import type { VirtualAddress } from '../core/addresses';
import { layout, list, u64 } from '../core/layout';
import type { TargetVersion } from '../kd/manipulate/version';
import { readMemory, type VirtualMemory } from '../memory/virtualMemory';
import type { KernelSymbols } from '../windows/kernelSymbols';
import { readDebuggerData } from './debuggerData';

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
  const data = await readDebuggerData(memory, version);
  const named = (name: string): VirtualAddress | undefined => symbols.search(`nt!${name}`, 1)[0]?.address;
  return {
    breakWithStatus: data?.breakpointWithStatus ?? named('RtlpBreakWithStatusInstruction'),
    bugcheckData: data?.bugcheckData ?? named('KiBugCheckData'),
  };
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
