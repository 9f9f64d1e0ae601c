/**
 * What a kernel says of itself for debuggers: KDDEBUGGER_DATA64, found through GetVersion, without any symbols. Pointers lead
 * to the kernel's variables, offsets are those of its structures in this build; 0 stands for what a kernel does not have.
 *
 *   DebuggerDataList ─▶ LIST_ENTRY ─Flink─▶ 00 LIST_ENTRY  10 'KDBG'  14 u32 Size  18 … pointers … 29a … offsets …
 *
 * Source: wdbgexts.h. It has grown since Windows 2000, always at its end.
 */

import type { VirtualAddress } from '../core/addresses';
import { VmkdError } from '../core/errors';
import { hex32, layout, u16, u32, u8, va, type ValuesOf } from '../core/layout';
import type { TargetVersion } from '../kd/manipulate/version';
import { readPointer, type VirtualMemory } from '../memory/virtualMemory';

const block = layout(0x352, {
  ownerTag: [0x10, hex32],
  size: [0x14, u32],
  breakpointWithStatus: [0x20, va],
  bugcheckData: [0x88, va],
  highestPhysicalPage: [0xf0, va],
  processorBlock: [0x218, va],
  physicalMemoryBlock: [0x270, va],
  threadApcProcess: [0x2a0, u16],
  processDirectoryTableBase: [0x2ae, u16],
  prcbCurrentThread: [0x2b4, u16],
  prcbContext: [0x2bc, u16],
  l1tfHighBit: [0x2c2, u8],
  l1tfSwizzleBit: [0x2c3, u8],
  prcbSpecialRegisters: [0x2f2, u16],
  prcbIdleThread: [0x350, u16],
});
/** 'KDBG' */
const blockTag = 0x4742444b;
/** What was there from the beginning, as far as anybody here needs it. */
const leastSize = 0x90;

export type DebuggerData = ValuesOf<typeof block.fields>;

/** Undefined: there is none that can be read, or the target is no x64 one. @throws what the target throws */
export async function readDebuggerData(
  memory: VirtualMemory,
  { debuggerDataList, machine }: TargetVersion,
): Promise<DebuggerData | undefined> {
  if (machine !== 'x64' || debuggerDataList === 0n) return undefined;
  let at: VirtualAddress;
  try {
    at = await readPointer(memory, debuggerDataList, 8);
  } catch (thrown) {
    if (thrown instanceof VmkdError && thrown.code === 'memory-unreadable') return undefined;
    throw thrown;
  }
  const bytes = await memory.readPartial(at, block.size);
  if (bytes.length < leastSize) return undefined;
  const whole = new Uint8Array(block.size);
  whole.set(bytes);
  const { ownerTag, size } = block.read(whole);
  if (ownerTag !== blockTag || size < leastSize) return undefined;
  // What lies behind its end is no part of it.
  whole.fill(0, Math.min(size, block.size));
  const data = block.read(whole);
  return data.breakpointWithStatus === 0n ? undefined : data;
}
