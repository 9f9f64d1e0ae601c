/**
 * Inline sites: which functions the compiler inlined into a procedure, and where their code is.
 *
 * S_INLINESITE records nest inside a procedure; each carries annotations, a small program that steps through the code
 * (offsets from the procedure's start) and the inlined function's lines:
 *   operands: 0xxxxxxx, 10xxxxxx +1 byte, 110xxxxx +3 bytes, big endian; signed ones have their sign in bit 0
 *   1 code offset   3 code += n, row   4 the row ends n bytes on, code += n   5 file   6 line += signed
 *   7–a, d line end, range kind, columns   b code += low 4 bits, line += signed rest, row
 *   c (length, n): code += n, row of that length; code stays   0 the end (padding)
 * A row lasts until the next one unless 4 or c ended it. The base line and file are the inlinee's (c13.ts).
 * That 4 moves on and c does not was measured: so, and only so, every row of Microsoft's and clang's begins and ends
 * between instructions.
 *
 * Source: microsoft-pdb, cvinfo.h (BinaryAnnotationOpcode); what LLVM's assembler writes.
 * Invariants: a walk goes forwards only; nesting deeper than 256 is refused.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';
import type { C13, Inlinee } from './c13';
import { endOfScope, type Procedure } from './moduleSymbols';
import { S, recordEnd } from './symbolKinds';

export interface InlineRow {
  /** From the start of the procedure: [start, end). */
  readonly start: number;
  readonly end: number;
  /** Checksum entry of the file. */
  readonly file: number;
  readonly line: number;
}

export interface InlineSite {
  /** IPI index of the inlined function, as the module has it: `Pdb.globalIndex` makes it the PDB's. */
  readonly inlinee: number;
  /** How many sites it is nested in. */
  readonly depth: number;
  readonly symbolOffset: number;
  /** In order of code; those that hold the offset, if one was asked for. */
  readonly rows: readonly InlineRow[];
}

const deepest = 256;
const unknown: Inlinee = { file: 0, line: 0 };

/**
 * The sites of a procedure that hold an offset from its start, the outermost first; or all of them, in file order.
 * @param symbols The module's symbols, signature included.
 */
export function inlineSites(
  symbols: FileBytes,
  c13: C13,
  procedure: Procedure,
  offset: number | undefined,
): InlineSite[] {
  const found: InlineSite[] = [];
  /** Where the scopes end that we are in. */
  const ends: number[] = [];
  for (let at = recordEnd(symbols, procedure.symbolOffset); at < procedure.endOffset;) {
    while (ends.length > 0 && at >= ends[ends.length - 1]!) ends.pop();
    const end = recordEnd(symbols, at);
    const kind = symbols.u16(at + 2);
    if (kind !== S.INLINESITE && kind !== S.INLINESITE2) {
      at = end;
      continue;
    }
    const inlinee = symbols.u32(at + 12);
    const annotations = at + (kind === S.INLINESITE ? 16 : 20);
    const rows = annotatedRows(symbols, annotations, end, c13.inlinee(inlinee) ?? unknown, offset);
    const scopeEnd = endOfScope(symbols, at, end);
    if (offset === undefined || rows.length > 0) {
      if (ends.length >= deepest) throw fileDamaged(symbols.name, `inline sites nested over ${deepest} deep`);
      found.push({ inlinee, depth: ends.length, symbolOffset: at, rows });
      ends.push(scopeEnd);
      at = end;
    } else {
      // What is inlined into it lies inside its code.
      at = Math.max(scopeEnd, end);
    }
  }
  return found;
}

/** Runs the annotations in [at, end). With `only`, an offset, no other rows than those that hold it are made. */
export function annotatedRows(
  bytes: FileBytes,
  at: number,
  end: number,
  base: Inlinee,
  only?: number,
): InlineRow[] {
  const rows: InlineRow[] = [];
  let code = 0;
  let { line, file } = base;
  let position = at;
  /** The row that is open: where it began (-1: none is), and what it says. */
  let start = -1;
  let rowFile = 0;
  let rowLine = 0;

  const operand = (): number => {
    const first = position < end ? bytes.u8(position) : 0;
    if (first < 0x80) {
      position += 1;
      return first;
    }
    if (first < 0xc0 && position + 2 <= end) {
      const value = ((first & 0x3f) << 8) | bytes.u8(position + 1);
      position += 2;
      return value;
    }
    if (first < 0xe0 && position + 4 <= end) {
      const value =
        ((first & 0x1f) << 24) |
        (bytes.u8(position + 1) << 16) |
        (bytes.u8(position + 2) << 8) |
        bytes.u8(position + 3);
      position += 4;
      return value;
    }
    // No operand begins so: the rest is not ours to read.
    position = end;
    return 0;
  };
  const signed = (value: number): number => (value & 1 ? -(value >>> 1) : value >>> 1);
  const close = (rowEnd: number): void => {
    if (start >= 0 && (only === undefined || (start <= only && only < rowEnd))) {
      rows.push({ start, end: rowEnd, file: rowFile, line: rowLine });
    }
    start = -1;
  };
  const row = (): void => {
    close(code);
    start = code;
    rowFile = file;
    rowLine = line;
  };

  while (position < end) {
    switch (operand()) {
      case 0:
        position = end;
        break;
      case 1:
        code = operand();
        break;
      case 3:
        code += operand();
        row();
        break;
      case 4:
        code += operand();
        close(code);
        break;
      case 5:
        file = operand();
        break;
      case 6:
        line += signed(operand());
        break;
      case 0xb: {
        const both = operand();
        code += both & 0xf;
        line += signed(both >>> 4);
        row();
        break;
      }
      case 0xc: {
        const length = operand();
        code += operand();
        row();
        close(code + length);
        break;
      }
      default:
        // Base section, line end, range kind, columns: one operand each, and nothing that we show.
        operand();
    }
  }
  // One that nothing ends has no code.
  close(start);
  return rows;
}
