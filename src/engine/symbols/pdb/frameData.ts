/**
 * FRAMEDATA: how to go from a piece of x86 code to its caller, as a little program. Compilers write one row for a function
 * and one for what is left of it behind each step of its prologue. Rows stand in a stream of their own (“new FPO”) or, if
 * the linker made none, in the C13 subsections f5 of the modules.
 *
 *   00 u32 RVA  04 u32 bytes of code  08 u32 bytes of locals  0c u32 of parameters  10 u32 most bytes pushed
 *   14 u32 program, in /names  18 u16 bytes of prologue left  1a u16 bytes of saved registers
 *   1c u32 flags: 1 SEH, 2 C++ exceptions, 4 a function begins here
 *
 *   subsection f5: u32 RVA that the rows' count from, then rows
 *
 * The program's language: cpu/frameProgram.ts. Source: cvinfo.h (FRAMEDATA); LLVM's DebugFrameDataSubsection.
 */

import { layout, u16, u32 } from '../../core/layout';
import type { FileBytes } from '../fileBytes';
import { CodeRanges } from './codeRanges';
import type { SectionMap } from './sections';
import type { StringTable } from './stringTable';

/** All RVAs are the image's, also if it was rearranged after linking. */
export interface FrameDataRow {
  readonly begin: number;
  readonly codeBytes: number;
  readonly localBytes: number;
  readonly parameterBytes: number;
  /** 0 if the compiler does not say. */
  readonly mostPushedBytes: number;
  /** From `begin` on. */
  readonly prologBytes: number;
  readonly savedRegisterBytes: number;
  readonly program: string;
  /** Of the whole function. Undefined if no row says so. */
  readonly functionBegin: number | undefined;
  readonly functionEnd: number | undefined;
}

const row = layout(32, {
  rva: [0, u32],
  codeBytes: [4, u32],
  localBytes: [8, u32],
  parameterBytes: [0xc, u32],
  mostPushedBytes: [0x10, u32],
  program: [0x14, u32],
  prologBytes: [0x18, u16],
  savedRegisterBytes: [0x1a, u16],
  flags: [0x1c, u32],
});
const beginsFunction = 4;

/** Rows of one stream, or of one module. */
export class FrameDataTable {
  readonly count: number;
  readonly #ranges: CodeRanges;
  /** Of each part: its first row's index, its bytes, and what its RVAs count from. */
  readonly #parts: { first: number; rows: FileBytes; base: number }[] = [];

  /** @param parts Whole rows; what is left at the end of one is ignored. */
  constructor(parts: readonly { rows: FileBytes; base: number }[]) {
    let count = 0;
    for (const { rows, base } of parts) {
      this.#parts.push({ first: count, rows, base });
      count += Math.floor(rows.length / row.size);
    }
    this.count = count;
    this.#ranges = new CodeRanges(
      count,
      (index) => (this.#u32(index, 0) + this.#partOf(index).base) >>> 0,
      (index) => this.#u32(index, 4),
    );
  }

  /** Those that hold an RVA, innermost first. */
  *holding(rva: number): Generator<ReturnType<FrameDataTable['at']>> {
    for (const index of this.#ranges.holding(rva)) yield this.at(index);
  }

  /** In the order of the file. `program` is an offset in /names. */
  at(index: number) {
    const { first, rows, base } = this.#partOf(index);
    const { rva, flags, ...rest } = row.read(rows.bytes, (index - first) * row.size);
    return { rva: (rva + base) >>> 0, flags, beginsFunction: (flags & beginsFunction) !== 0, ...rest };
  }

  #u32(index: number, field: number): number {
    const { first, rows } = this.#partOf(index);
    return rows.u32((index - first) * row.size + field);
  }

  #partOf(index: number): { first: number; rows: FileBytes; base: number } {
    let [low, high] = [0, this.#parts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#parts[middle]!.first <= index) low = middle + 1;
      else high = middle;
    }
    return this.#parts[low - 1]!;
  }
}

export class FrameData {
  /** @param tableAt The rows for an RVA of the image as it was linked. */
  constructor(
    private readonly tableAt: (rva: number) => FrameDataTable | undefined,
    private readonly strings: StringTable,
    private readonly sections: Pick<SectionMap, 'linkedRva' | 'imageRva'>,
  ) {}

  /** The innermost row that holds an RVA. @throws file-damaged */
  find(rva: number): FrameDataRow | undefined {
    // As all that a PDB says, rows speak of the image as it was linked.
    const source = this.sections.linkedRva(rva);
    if (source === undefined) return undefined;
    let found: ReturnType<FrameDataTable['at']> | undefined;
    let begins: typeof found;
    for (const candidate of this.tableAt(source)?.holding(source) ?? []) {
      found ??= candidate;
      if (candidate.beginsFunction) begins = candidate;
      if (begins) break;
    }
    if (found === undefined) return undefined;
    const { rva: begin, program, flags: _, beginsFunction: __, ...bytes } = found;
    const functionBegin = begins && this.sections.imageRva(begins.rva);
    return {
      ...bytes,
      begin: rva - (source - begin),
      program: this.strings.at(program),
      functionBegin,
      functionEnd: begins && functionBegin !== undefined ? functionBegin + begins.codeBytes : undefined,
    };
  }
}
