/**
 * FPO_DATA: frames of x86 code that do without a frame pointer, as compilers of before 2002 described them, and still the
 * way in which Windows' assembly code says that a frame is a trap's.
 *
 *   00 u32 RVA  04 u32 bytes of code  08 u32 dwords of locals  0c u16 dwords of parameters
 *   0e u16 bits: prologue bytes:8 saved registers:3 SEH:1 uses ebp:1 -:1 frame type:2
 *
 * Source: winnt.h.
 */

import type { FileBytes } from '../fileBytes';
import { CodeRanges } from './codeRanges';
import type { SectionMap } from './sections';

/** All RVAs are the image's. */
export interface FpoRow {
  readonly begin: number;
  readonly codeBytes: number;
  readonly localBytes: number;
  readonly parameterBytes: number;
  readonly prologBytes: number;
  /** How many; not which. */
  readonly savedRegisters: number;
  /** ebp is a register like others: it was saved before. */
  readonly usesEbp: boolean;
  readonly frame: (typeof frames)[number];
}

const rowSize = 16;
const frames = ['fpo', 'trap', 'tss', 'ebp'] as const;

export class Fpo {
  readonly count: number;
  readonly #ranges: CodeRanges;

  constructor(
    private readonly rows: FileBytes,
    private readonly sections: Pick<SectionMap, 'linkedRva' | 'imageRva'>,
  ) {
    this.count = Math.floor(rows.length / rowSize);
    this.#ranges = new CodeRanges(
      this.count,
      (index) => rows.u32(index * rowSize),
      (index) => rows.u32(index * rowSize + 4),
    );
  }

  find(rva: number): FpoRow | undefined {
    const source = this.sections.linkedRva(rva);
    if (source === undefined) return undefined;
    for (const index of this.#ranges.holding(source)) {
      const row = this.at(index);
      return { ...row, begin: rva - (source - row.begin) };
    }
    return undefined;
  }

  /** In the order of the file, with RVAs of the image as it was linked. */
  at(index: number): FpoRow {
    const at = index * rowSize;
    const bits = this.rows.u16(at + 14);
    return {
      begin: this.rows.u32(at),
      codeBytes: this.rows.u32(at + 4),
      localBytes: this.rows.u32(at + 8) * 4,
      parameterBytes: this.rows.u16(at + 12) * 4,
      prologBytes: bits & 0xff,
      savedRegisters: (bits >> 8) & 7,
      usesEbp: (bits & 0x1000) !== 0,
      frame: frames[(bits >> 14) as 0 | 1 | 2 | 3],
    };
  }
}
