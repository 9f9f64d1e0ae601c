/** One module's own stream: its procedures, lines, and what was inlined where; each read when first asked for. */

import { fileDamaged, readOwn, type ByteSource } from '../../core/byteSource';
import { FileBytes } from '../fileBytes';
import { C13, type LineRow } from './c13';
import type { Module } from './dbi';
import { FrameDataTable } from './frameData';
import { inlineSites, type InlineSite } from './inlineSites';
import { ModuleSymbols, type Procedure } from './moduleSymbols';

export class ModuleInfo {
  /** Bytes that it keeps in memory. */
  readonly size: number;
  /** Its symbol records, after 4 bytes of signature: offsets in records count from the start of these. */
  readonly symbolBytes: FileBytes;
  readonly #c13Bytes: FileBytes;
  #symbols: ModuleSymbols | undefined;
  #c13: C13 | undefined;
  #frameData: FrameDataTable | undefined;

  /** @throws file-damaged */
  constructor(
    readonly module: Module,
    stream: ByteSource,
  ) {
    const { symbolBytes, c11Bytes, c13Bytes } = module;
    this.size = symbolBytes + c11Bytes + c13Bytes;
    if (this.size > stream.size) throw fileDamaged(stream.name, `its parts take ${this.size} bytes`);
    const bytes = new FileBytes(readOwn(stream, 0, this.size), stream.name);
    this.symbolBytes = bytes.part(0, symbolBytes);
    this.#c13Bytes = bytes.part(symbolBytes + c11Bytes, c13Bytes);
  }

  get symbols(): ModuleSymbols {
    return (this.#symbols ??= new ModuleSymbols(this.symbolBytes));
  }

  get c13(): C13 {
    return (this.#c13 ??= new C13(this.#c13Bytes));
  }

  /** Rows that the linker left in the module. */
  get frameData(): FrameDataTable {
    return (this.#frameData ??= new FrameDataTable(
      this.c13.frameData.map((part) => ({ base: part.u32(0), rows: part.part(4, part.length - 4) })),
    ));
  }

  line(section: number, offset: number): LineRow | undefined {
    return this.c13.find(section, offset);
  }

  /** The inline sites of a procedure that hold an offset from its start, outermost first; or all. */
  inlineSites(procedure: Procedure, offset?: number): InlineSite[] {
    if (procedure.kind !== 'procedure') return [];
    return inlineSites(this.symbolBytes, this.c13, procedure, offset);
  }
}
