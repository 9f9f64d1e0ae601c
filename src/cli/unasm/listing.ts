/** Which instructions are listed: some from a place on, some before it, or a whole function. */

import { VmkdError } from '../../engine/core/errors';
import { hex } from '../../engine/core/hex';
import { longestInstruction, type Disassembler, type InstructionLine } from '../../engine/cpu/disassembler';
import { disassembleBackward } from '../../engine/cpu/disassemblerBackward';
import { codeBlocks, flowLength } from '../../engine/cpu/functionBlocks';
import { functionExtent, type CodeRange } from '../../engine/symbols/services/functionExtent';
import { instructionAnchor } from '../../engine/symbols/services/instructionAnchor';
import { findPlace } from '../../engine/symbols/services/namedPlaces';
import type { ImageCode } from './imageCode';

export interface Wanted {
  readonly place: string | undefined;
  readonly whole: boolean;
  readonly count: number;
  readonly before: number;
}

export interface Listing {
  readonly blocks: readonly (readonly InstructionLine[])[];
  /** Whether all of them surely begin where instructions do, if the place does. */
  readonly anchored: boolean;
}

/** @throws name-unknown, name-ambiguous, value-out-of-range */
export async function list(code: ImageCode, disassembler: Disassembler, wanted: Wanted): Promise<Listing> {
  const { view } = code;
  const rva = wanted.place === undefined ? code.image.image.entryPoint : findPlace(view.finder, wanted.place);
  if (code.read(rva, 1).length === 0) {
    throw new VmkdError('value-out-of-range', `${view.session.path} has no bytes at RVA ${hex(rva)}`, {
      nextStep: 'Give a place inside a section that the file has bytes of; “vmkd symbols IMAGE” lists them.',
    });
  }
  if (wanted.whole) return { blocks: wholeFunction(code, disassembler, rva), anchored: true };
  const address = code.addressOf(rva);
  const bytes = code.read(rva, wanted.count * longestInstruction);
  const lines = disassembler.disassemble(bytes, address, wanted.count);
  const before = await disassembleBackward(disassembler, code.memory, address, wanted.before, (at) => {
    const anchor = instructionAnchor(view.session.open, code.rvaOf(at));
    return anchor === undefined ? undefined : code.addressOf(anchor);
  });
  const blocks = [before.lines, lines].filter((block) => block.length > 0);
  return { blocks, anchored: before.anchored || before.lines.length === 0 };
}

function wholeFunction(
  code: ImageCode,
  disassembler: Disassembler,
  rva: number,
): readonly (readonly InstructionLine[])[] {
  const { open } = code.view.session;
  const extent = functionExtent(open, rva) ?? [flowExtent(code, disassembler, rva)];
  const lines = extent.flatMap(({ begin, end }) =>
    disassembler.disassemble(code.read(begin, end - begin), code.addressOf(begin)),
  );
  return codeBlocks(disassembler, lines);
}

const longestFlow = 0x10000;

/** Where nobody says how long a function is: by its flow, at most up to the next symbol. */
function flowExtent(code: ImageCode, disassembler: Disassembler, rva: number): CodeRange {
  const { symbols } = code.view.session.open;
  const begin = symbols.symbolAt(rva)?.rva ?? rva;
  const next = symbols.search('*', Infinity).find((symbol) => symbol.rva > rva)?.rva ?? Infinity;
  const bytes = code.read(begin, Math.min(longestFlow, next - begin));
  const end = begin + flowLength(disassembler, bytes, code.addressOf(begin));
  return { begin, end: end > rva ? end : begin + bytes.length };
}
