/**
 * The code of a function as WinDbg's uf lays it out: in blocks, each entered only at its first instruction. And where a
 * function ends of which nobody but its code can tell.
 */

import type { VirtualAddress } from '../core/addresses';
import type { Disassembler, InstructionLine } from './disassembler';

/** Cuts a listing at branches and at what they lead to. Lines keep their order; no block is empty. */
export function codeBlocks(
  disassembler: Disassembler,
  lines: readonly InstructionLine[],
): readonly (readonly InstructionLine[])[] {
  const begins = new Set<VirtualAddress>();
  const ends = new Set<InstructionLine>();
  for (const line of lines) {
    const flow = disassembler.inspect(line.bytes, line.address)?.flow;
    switch (flow?.kind) {
      case 'branch':
      case 'conditional-branch':
        begins.add(flow.target);
        ends.add(line);
        break;
      case 'indirect-branch':
      case 'return':
      case 'exception':
        ends.add(line);
        break;
      case 'next':
      case 'call':
      case 'indirect-call':
      case 'system-call':
      case 'interrupt':
      case undefined:
        break;
    }
  }
  const blocks: InstructionLine[][] = [];
  let previous: InstructionLine | undefined;
  for (const line of lines) {
    const goesOn =
      previous !== undefined &&
      previous.end === line.address &&
      !ends.has(previous) &&
      !begins.has(line.address);
    if (goesOn) blocks.at(-1)!.push(line);
    else blocks.push([line]);
    previous = line;
  }
  return blocks;
}

/**
 * Bytes of the function at the start of `code`, by its flow: up to an instruction that nothing runs on from and no
 * earlier branch leads beyond; at most all of `code`.
 */
export function flowLength(disassembler: Disassembler, code: Uint8Array, address: VirtualAddress): number {
  let farthest = address;
  for (const line of disassembler.disassemble(code, address)) {
    const flow = disassembler.inspect(line.bytes, line.address)?.flow;
    if (flow === undefined) return line.offset;
    const last = address + BigInt(code.length);
    if ('target' in flow && flow.kind !== 'call' && flow.target > farthest && flow.target < last)
      farthest = flow.target;
    const isEnd = ['branch', 'indirect-branch', 'return', 'exception'].includes(flow.kind);
    if (isEnd && line.end > farthest) return line.offset + line.length;
  }
  return code.length;
}
