/**
 * C13 debug subsections of a module: `u32 kind, u32 bytes, data`, aligned to 4. A kind with its top bit set is to be
 * skipped.
 *
 *   f2 lines      00 u32 offset  04 u16 section  06 u16 flags (1: columns)  08 u32 bytes of code, then blocks, a file
 *                 each: {u32 file, u32 rows, u32 bytes of the block}, rows {u32 offset; u32 line:24 delta:7 statement:1},
 *                 columns {u16 start, u16 end}, one a row
 *   f4 checksums  {u32 offset of the path in /names, u8 bytes, u8 kind, checksum}, aligned to 4. “File” everywhere in
 *                 a module means the offset of one of these
 *   f5 frame data rows of FRAMEDATA: see frameData.ts
 *   f6 inlinees   u32 signature; {u32 inlinee, u32 file, u32 line}; with signature 1 also u32 n and n more files
 *   f7, f8        what the module takes from others and gives to them (crossModule.ts)
 *
 * Source: LLVM's docs/PDB and DebugInfo/CodeView; microsoft-pdb, cvinfo.h (CV_DebugSLinesHeader_t …).
 * Invariants: every row and block lies in its subsection; nothing is copied.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';
import { CrossModule } from './crossModule';

export interface SourceFile {
  /** Offset of its path in `/names`. */
  readonly nameOffset: number;
  readonly checksumKind: 'none' | 'md5' | 'sha1' | 'sha256';
  readonly checksum: Uint8Array;
}

export interface LineRow {
  /** Of the checksum entry. */
  readonly file: number;
  readonly line: number;
  /** How many lines further the statement ends. */
  readonly lineDelta: number;
  readonly isStatement: boolean;
  /** 0 if there are no columns. */
  readonly column: number;
  readonly endColumn: number;
  /** From the start of the section: [start, end). */
  readonly start: number;
  readonly end: number;
}

/** Lines that mean “always step into” and “never step into”; no source has so many. */
export const isHiddenLine = (line: number): boolean => line === 0xfeefee || line === 0xf00f00;

/** The lines of one stretch of code, usually of one function. */
export interface LineTable {
  readonly section: number;
  readonly offset: number;
  /** Bytes of code. */
  readonly length: number;
  /** Where its blocks begin and end in the C13 bytes. */
  readonly blocksAt: number;
  readonly blocksEnd: number;
  readonly hasColumns: boolean;
}

export interface Inlinee {
  readonly file: number;
  readonly line: number;
}

const kinds = {
  lines: 0xf2,
  checksums: 0xf4,
  frameData: 0xf5,
  inlinees: 0xf6,
  imports: 0xf7,
  exports: 0xf8,
} as const;
const blockHeader = 12;
const checksumKinds = ['none', 'md5', 'sha1', 'sha256'] as const;

export class C13 {
  /** In order of address. */
  readonly tables: readonly LineTable[];
  readonly crossModule: CrossModule;
  readonly #bytes: FileBytes;
  readonly #checksums: FileBytes;
  readonly #inlineeParts: FileBytes[] = [];
  /** The subsections. */
  readonly frameData: readonly FileBytes[];
  #inlinees: Map<number, Inlinee> | undefined;

  /** @throws file-damaged */
  constructor(bytes: FileBytes) {
    this.#bytes = bytes;
    const tables: LineTable[] = [];
    const frameData: FileBytes[] = [];
    let checksums = bytes.part(0, 0);
    let imports = checksums;
    let exports = checksums;
    for (let at = 0; at + 8 <= bytes.length;) {
      const kind = bytes.u32(at);
      const length = bytes.u32(at + 4);
      const data = bytes.part(at + 8, length);
      if (kind === kinds.lines) {
        tables.push({
          offset: data.u32(0),
          section: data.u16(4),
          hasColumns: (data.u16(6) & 1) !== 0,
          length: data.u32(8),
          blocksAt: at + 20,
          blocksEnd: at + 8 + length,
        });
      } else if (kind === kinds.checksums) checksums = data;
      else if (kind === kinds.inlinees) this.#inlineeParts.push(data);
      else if (kind === kinds.frameData) frameData.push(data);
      else if (kind === kinds.imports) imports = data;
      else if (kind === kinds.exports) exports = data;
      at += 8 + ((length + 3) & ~3);
    }
    this.#checksums = checksums;
    this.frameData = frameData;
    this.crossModule = new CrossModule(imports, exports);
    this.tables = tables.sort((a, b) => a.section - b.section || a.offset - b.offset);
  }

  /** Where in `/names` the path of a file is. @throws file-damaged if there is none at that offset. */
  nameOffset(file: number): number {
    return this.#checksums.u32(file);
  }

  /** @throws file-damaged if there is none at that offset. */
  file(offset: number): SourceFile {
    const bytes = this.#checksums;
    const kind = checksumKinds[bytes.u8(offset + 5)] ?? 'none';
    return {
      nameOffset: bytes.u32(offset),
      checksumKind: kind,
      checksum: bytes.part(offset + 6, bytes.u8(offset + 4)).bytes,
    };
  }

  /** Offsets of all checksum entries. */
  *files(): Iterable<number> {
    const bytes = this.#checksums;
    for (let at = 0; at + 6 <= bytes.length; at = (at + 6 + bytes.u8(at + 4) + 3) & ~3) yield at;
  }

  /** Where an inlined function is declared. */
  inlinee(id: number): Inlinee | undefined {
    return (this.#inlinees ??= this.#readInlinees()).get(id);
  }

  /**
   * The row that holds an address: the one nearest below it. Of several that begin at one place, the first stands for
   * the place itself (where a function begins, its opening line) and the last for what follows, as LLVM has it.
   */
  find(section: number, offset: number): LineRow | undefined {
    let low = 0;
    let high = this.tables.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const table = this.tables[middle]!;
      if (table.section < section || (table.section === section && table.offset <= offset)) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1, tries = 0; i >= 0 && tries < 64; i--, tries++) {
      const table = this.tables[i]!;
      if (table.section !== section) return undefined;
      if (offset >= table.offset + table.length) continue;
      const row = this.#rowIn(this.#firstLike(i), offset - table.offset);
      if (row !== undefined) return row;
    }
    return undefined;
  }

  /** Whether a table has rows of some file; its rows are not looked at. */
  hasFile(table: LineTable, wanted: (file: number) => boolean): boolean {
    const bytes = this.#bytes;
    for (let block = table.blocksAt; block + blockHeader <= table.blocksEnd;) {
      if (wanted(bytes.u32(block))) return true;
      block += Math.max(bytes.u32(block + 8), blockHeader);
    }
    return false;
  }

  /** All rows of a table, in order of address. */
  rows(table: LineTable): LineRow[] {
    const found: { at: number; file: number; columnAt: number; offset: number }[] = [];
    this.#eachRow(table, (at, file, columnAt) =>
      found.push({ at, file, columnAt, offset: this.#bytes.u32(at) }),
    );
    found.sort((a, b) => a.offset - b.offset);
    return found.map(({ at, file, columnAt }, i) => {
      let next = i + 1;
      while (next < found.length && found[next]!.offset === found[i]!.offset) next++;
      return this.#row(table, at, file, columnAt, found[next]?.offset ?? table.length);
    });
  }

  /** Functions that the linker folded into one have a table each; the first one stands for all, as its name does. */
  #firstLike(index: number): LineTable {
    const table = this.tables[index]!;
    let first = table;
    for (let i = index - 1; i >= 0; i--) {
      const other = this.tables[i]!;
      if (other.section !== table.section || other.offset !== table.offset) break;
      if (other.length === table.length) first = other;
    }
    return first;
  }

  #rowIn(table: LineTable, offset: number): LineRow | undefined {
    const bytes = this.#bytes;
    let best = -1;
    let bestOffset = -1;
    let bestFile = 0;
    let bestColumn = 0;
    let next = table.length;
    this.#eachRow(table, (at, file, columnAt) => {
      const start = bytes.u32(at);
      if (start > offset) {
        if (start < next) next = start;
      } else if (start > bestOffset || (start === bestOffset && start < offset)) {
        best = at;
        bestOffset = start;
        bestFile = file;
        bestColumn = columnAt;
      }
    });
    return best < 0 ? undefined : this.#row(table, best, bestFile, bestColumn, next);
  }

  #row(table: LineTable, at: number, file: number, columnAt: number, end: number): LineRow {
    const value = this.#bytes.u32(at + 4);
    return {
      file,
      line: value & 0xff_ffff,
      lineDelta: (value >>> 24) & 0x7f,
      isStatement: value >>> 31 === 1,
      column: columnAt === 0 ? 0 : this.#bytes.u16(columnAt),
      endColumn: columnAt === 0 ? 0 : this.#bytes.u16(columnAt + 2),
      start: table.offset + this.#bytes.u32(at),
      end: table.offset + end,
    };
  }

  #eachRow(table: LineTable, visit: (at: number, file: number, columnAt: number) => void): void {
    const bytes = this.#bytes;
    for (let block = table.blocksAt; block + blockHeader <= table.blocksEnd;) {
      const file = bytes.u32(block);
      const count = bytes.u32(block + 4);
      const size = bytes.u32(block + 8);
      const rowsAt = block + blockHeader;
      if (blockHeader + count * (table.hasColumns ? 12 : 8) > size || block + size > table.blocksEnd) {
        throw fileDamaged(bytes.name, `a block of ${count} lines in ${size} bytes`);
      }
      const columnsAt = rowsAt + count * 8;
      for (let i = 0; i < count; i++) visit(rowsAt + i * 8, file, table.hasColumns ? columnsAt + i * 4 : 0);
      block += size;
    }
  }

  #readInlinees(): Map<number, Inlinee> {
    const found = new Map<number, Inlinee>();
    for (const part of this.#inlineeParts) {
      const extended = part.u32(0) === 1;
      for (let at = 4; at + 12 <= part.length;) {
        found.set(part.u32(at), { file: part.u32(at + 4), line: part.u32(at + 8) });
        at += extended ? 16 + part.u32(at + 12) * 4 : 12;
      }
    }
    return found;
  }
}
