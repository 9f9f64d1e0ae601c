/**
 * Where x86 Windows keeps the registers of interrupted code: in a KTRAP_FRAME that a trap's entry code pushes and ebp then
 * points to, or in the TSS of a task that a task gate (double fault, NMI) interrupted.
 *
 *   KTRAP_FRAME  54 Edi  58 Esi  5c Ebx  60 Ebp  64 ErrCode  68 Eip  6c SegCs  70 EFlags  74 HardwareEsp  78 HardwareSegSs
 *                10 TempEsp since Windows 8.1; before, 10 u16 TempSegCs, 12 u8 Logging, 14 TempEsp
 *   TSS          00 u16 selector of the interrupted task  20 Eip  24 EFlags  28 Eax Ecx Edx Ebx Esp Ebp Esi Edi
 *   descriptor   2 u16 base  4 u8 base  5 u8 type (4 bits: 9, b) and present (80)  7 u8 base
 *
 * The processor pushes HardwareEsp and HardwareSegSs only if it came from another ring. Else the interrupted stack begins
 * there; but if the kernel moved it (SegCs without its upper 13 bits says so), it is at TempEsp.
 *
 * Source: the KTRAP_FRAMEs of public symbols, of XP, 7 and 10; Intel SDM volume 3, chapter “Task Management”.
 */

import { plus, signExtend32, type VirtualAddress } from '../core/addresses';
import { readMemory, type VirtualMemory } from '../memory/virtualMemory';
import { stuck } from './stackWalk';

/** What was interrupted. u32; `general` by the hardware's numbers, eax, ecx, edx included where they are known. */
export interface InterruptedX86 {
  readonly eip: number;
  readonly esp: number;
  readonly general: readonly (number | undefined)[];
}

/** What is needed to find task states, out of the special registers. */
export interface TaskTable {
  readonly gdt: VirtualAddress;
  /** Offset of the table's last byte. */
  readonly gdtLimit: number;
  /** Selector of the task that runs. */
  readonly taskRegister: number;
}

const virtual8086 = 0x20000;
/** No stack of the kernel lies lower. */
const lowestStack = 0x80000000;

/** @throws memory-unreadable; unwind-stuck if it was interrupted in virtual-8086 mode */
export async function readTrapFrame(memory: VirtualMemory, at: VirtualAddress): Promise<InterruptedX86> {
  const frame = dwords(await readMemory(memory, at, 0x74));
  const cs = frame(0x6c);
  const general = [
    undefined,
    undefined,
    undefined,
    frame(0x5c),
    undefined,
    frame(0x60),
    frame(0x58),
    frame(0x54),
  ];
  if ((frame(0x70) & virtual8086) !== 0) throw stuck('virtual-8086 code was interrupted');
  let esp = Number(BigInt.asUintN(32, plus(at, 0x74)));
  if ((cs & 3) !== 0) esp = dwords(await readMemory(memory, plus(at, 0x74), 4))(0);
  else if ((cs & 0xfff8) === 0) esp = frame(0x10) < lowestStack ? frame(0x14) : frame(0x10);
  return { eip: frame(0x68), esp, general };
}

/** The registers of the task that the running one interrupted. @throws memory-unreadable, unwind-stuck */
export async function readInterruptedTask(memory: VirtualMemory, table: TaskTable): Promise<InterruptedX86> {
  const current = await taskState(memory, table, table.taskRegister);
  const link = dwords(await readMemory(memory, current, 4))(0) & 0xffff;
  const state = dwords(await readMemory(memory, await taskState(memory, table, link), 0x48));
  if ((state(0x24) & virtual8086) !== 0) throw stuck('virtual-8086 code was interrupted');
  const general = Array.from({ length: 8 }, (_, i) => state(0x28 + i * 4));
  return { eip: state(0x20), esp: state(0x38), general };
}

async function taskState(
  memory: VirtualMemory,
  { gdt, gdtLimit }: TaskTable,
  selector: number,
): Promise<VirtualAddress> {
  const offset = selector & 0xfff8;
  const isLocal = (selector & 4) !== 0;
  if (offset === 0 || isLocal || offset + 7 > gdtLimit)
    throw stuck(`0x${selector.toString(16)} selects no task`);
  const [, , b0, b1, b2, type, , b3] = await readMemory(memory, plus(gdt, offset), 8);
  // An available or a busy 32-bit TSS, present.
  if ((type! & 0x9d) !== 0x89) throw stuck(`0x${selector.toString(16)} selects no task`);
  return signExtend32((b0! | (b1! << 8) | (b2! << 16) | (b3! << 24)) >>> 0);
}

const dwords = (bytes: Uint8Array): ((at: number) => number) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return (at) => view.getUint32(at, true);
};
