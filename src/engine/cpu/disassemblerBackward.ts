/**
 * The instructions before an address. Code cannot be decoded backwards: a decoder must begin where an instruction
 * surely begins, and run up to the address.
 *
 *   anchor                          address
 *     |push|mov     |sub   |call     |        anchored: the function's or unwind entry's start is known
 *   …?????|mov     |sub   |call      |        guessed: the way that most starting points fall into
 *
 * Invariants: the lines end exactly at the address, or the last bytes before it are shown as no instruction; at most
 * `farthest` bytes are read before it; without an anchor the result says that it is a guess.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import type { VirtualMemory } from '../memory/virtualMemory';
import { InstructionLine, longestInstruction, type Disassembler } from './disassembler';

/**
 * The greatest address at or below `address` where an instruction is known to begin: the start or the end of a function
 * or of an unwind entry. Undefined if none is known.
 */
export type AnchorLookup = (address: VirtualAddress) => VirtualAddress | undefined;

export interface BackwardListing {
  /** In the order of addresses, at most as many as asked for. Fewer if memory is absent before them. */
  readonly lines: readonly InstructionLine[];
  /** Whether all of them follow from anchors. */
  readonly anchored: boolean;
}

/** A function larger than this is decoded from a guess. */
const farthest = 256 * 1024;
const pageSize = 4096;

/** @param count How many instructions at most. @throws what reading memory throws */
export async function disassembleBackward(
  disassembler: Disassembler,
  memory: VirtualMemory,
  address: VirtualAddress,
  count: number,
  anchorAt: AnchorLookup,
): Promise<BackwardListing> {
  let lines: InstructionLine[] = [];
  let anchored = true;
  let end = address;
  while (lines.length < count) {
    if (end === 0n) break;
    const anchor = anchorAt(plus(end, -1));
    const distance = anchor === undefined || anchor >= end ? Infinity : Number(end - anchor);
    let piece: InstructionLine[] | undefined;
    if (anchor !== undefined && Number(address - anchor) <= farthest && distance <= farthest) {
      const code = await memory.readPartial(anchor, distance);
      if (code.length === distance) piece = upTo(disassembler.disassemble(code, anchor));
    }
    if (piece === undefined) {
      anchored = false;
      piece = await guess(disassembler, memory, end, count - lines.length);
      lines = [...piece, ...lines];
      break;
    }
    lines = [...piece, ...lines];
    end = plus(end, -distance);
  }
  return { lines: lines.slice(-count), anchored };
}

/** An instruction that runs over the end is none: the address lies within it. Its bytes are shown one by one. */
function upTo(lines: InstructionLine[]): InstructionLine[] {
  const last = lines.at(-1);
  return last?.status === 'cut' ? [...lines.slice(0, -1), ...singleBytes(last)] : lines;
}

const singleBytes = ({ code, codeAddress, offset, length }: InstructionLine): InstructionLine[] =>
  Array.from({ length }, (_, i) => new InstructionLine(code, codeAddress, offset + i, 1, '???', 'invalid'));

/** Decodes from every byte of a window and follows, backwards from the end, the way that most of them join. */
async function guess(
  disassembler: Disassembler,
  memory: VirtualMemory,
  end: VirtualAddress,
  count: number,
): Promise<InstructionLine[]> {
  const { code, start } = await readBefore(memory, end, (count + 4) * longestInstruction);
  const lengths = Array.from({ length: code.length }, (_, at) => disassembler.lengthAt(code.subarray(at)));
  // How many starting points run through each offset; the last entry is the end itself.
  const votes = new Array<number>(code.length + 1).fill(1);
  lengths.forEach((length, at) => {
    if (length > 0 && at + length <= code.length) votes[at + length]! += votes[at]!;
  });
  const starts: number[] = [];
  for (let at = code.length; at > 0 && starts.length < count;) {
    let best: number | undefined;
    for (let from = Math.max(0, at - longestInstruction); from < at; from++) {
      if (from + lengths[from]! === at && (best === undefined || votes[from]! > votes[best]!)) best = from;
    }
    at = best ?? at - 1;
    starts.unshift(at);
  }
  const first = starts[0];
  if (first === undefined) return [];
  // From `first` the chosen way is the only way, save where bytes before the end are no instruction.
  return starts.flatMap((at, i) => {
    const length = (starts[i + 1] ?? code.length) - at;
    const [line] = disassembler.disassemble(code.subarray(at, at + length), plus(start, at), 1);
    return line === undefined ? [] : upTo([line]);
  });
}

/** The bytes before `end` that can be read without a gap, up to `wanted` of them. */
async function readBefore(
  memory: VirtualMemory,
  end: VirtualAddress,
  wanted: number,
): Promise<{ code: Uint8Array; start: VirtualAddress }> {
  let code = new Uint8Array();
  let start = end;
  while (code.length < wanted && start > 0n) {
    const intoPage = Number((start - 1n) % BigInt(pageSize)) + 1;
    const length = Math.min(intoPage, wanted - code.length);
    const from = plus(start, -length);
    const piece = await memory.readPartial(from, length);
    if (piece.length < length) break;
    const joined = new Uint8Array(length + code.length);
    joined.set(piece);
    joined.set(code, length);
    code = joined;
    start = from;
  }
  return { code, start };
}
