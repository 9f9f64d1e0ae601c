/**
 * Unwind data of one loaded x64 image, from whoever has it. Tried in order of cost:
 *
 *   pdb      the linker's copies of .pdata and .xdata in the PDB: local; sometimes only a part of them
 *   file     the image's file, if it is at hand: local, complete
 *   memory   the loaded image: always there (unless paged out), a round trip for each block that is touched
 *
 * Invariants: a source is only asked if those before it could not answer; a damaged or absent answer of one is not the
 * answer of all. Rows found are kept, so that names can be bounded by them without waiting.
 */

import { VmkdError, type ErrorCode } from '../core/errors';
import type { FunctionPart, FunctionTable } from '../symbols/pe/functionTable';
import type { PeImage } from '../symbols/pe/headers';
import type { ImageMemory } from './imageMemory';

/** A row of .pdata, in RVAs: [begin, end). */
export interface FunctionRow {
  readonly begin: number;
  readonly end: number;
  readonly unwindInfo: number;
}

/** One place that has unwind data. */
export interface UnwindDataSource {
  readonly origin: 'pdb' | 'file' | 'memory';
  /** Undefined: a leaf function, or no code. @throws if it cannot tell */
  find(rva: number): FunctionRow | undefined | Promise<FunctionRow | undefined>;
  /** .xdata by RVA, exactly `length` bytes. @throws if any is absent */
  read(rva: number, length: number): Uint8Array | Promise<Uint8Array>;
}

const notHere: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'memory-unreadable',
  'file-damaged',
  'file-unreadable',
  'file-unsupported',
]);

export class UnwindData {
  /** The functions found so far: names of code without symbols are bounded by them. */
  readonly known = new KnownFunctions();
  /** The parts of an image that are read here never change. */
  readonly isConstant = true;
  /** Rows by the RVAs that were asked for; undefined: none. */
  readonly #rows = new Map<number, FunctionRow | undefined>();

  /** @param sources In the order in which to ask. */
  constructor(private readonly sources: readonly UnwindDataSource[]) {}

  /** @throws what the last source throws, if none can tell */
  async find(rva: number): Promise<FunctionRow | undefined> {
    const before = this.#rows.get(rva);
    if (before !== undefined || this.#rows.has(rva)) return before;
    const row = await this.#first((source) => source.find(rva));
    if (row !== undefined) this.known.add(row);
    if (this.#rows.size >= mostKnown) this.#rows.clear();
    this.#rows.set(rva, row);
    return row;
  }

  /** @throws as `find` */
  read(rva: number, length: number): Promise<Uint8Array> {
    return this.#first((source) => source.read(rva, length));
  }

  async #first<T>(ask: (source: UnwindDataSource) => T | Promise<T>): Promise<T> {
    let failure: VmkdError | undefined;
    for (const source of this.sources) {
      try {
        return await ask(source);
      } catch (error) {
        if (!(error instanceof VmkdError) || !notHere.has(error.code)) throw error;
        failure = error;
      }
    }
    throw failure ?? new VmkdError('memory-unreadable', 'This image has no unwind data');
  }
}

const mostKnown = 65_536;

/** Rows in order of address. A part that is chained counts as a function of its own: its parent is not read here. */
export class KnownFunctions implements FunctionTable {
  readonly partial = true;
  readonly #rows: FunctionPart[] = [];

  get count(): number {
    return this.#rows.length;
  }

  add({ begin, end, unwindInfo }: FunctionRow): void {
    const index = this.#above(begin);
    if (this.#rows[index - 1]?.begin === begin || this.#rows.length >= mostKnown) return;
    this.#rows.splice(index, 0, { begin, end, unwindInfo, primary: begin, prologBytes: 0 });
  }

  find(rva: number): FunctionPart | undefined {
    const row = this.#rows[this.#above(rva) - 1];
    return row !== undefined && rva < row.end ? row : undefined;
  }

  parts(primary: number): FunctionPart[] {
    return this.#rows.filter((row) => row.primary === primary);
  }

  /** The index of the first row that begins above `rva`. */
  #above(rva: number): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#rows[middle]!.begin <= rva) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Local tables: the PDB's copies, or the image's file.
 * @param isWhole False: a function that is not in it may be one all the same.
 */
export const unwindDataOf = (
  origin: 'pdb' | 'file',
  functions: FunctionTable,
  xdata: { read(rva: number, length: number): Uint8Array },
  isWhole: boolean,
): UnwindDataSource => ({
  origin,
  find(rva): FunctionPart | undefined {
    const part = functions.find(rva);
    if (part === undefined && !isWhole)
      throw new VmkdError('memory-unreadable', 'The PDB has unwind data of a part of the image only');
    return part;
  },
  read: (rva, length) => xdata.read(rva, length),
});

const rowSize = 12;
/** 16 MiB of .pdata; ntoskrnl has some 400 KB. */
const mostRows = (16 << 20) / rowSize;

/** The loaded image itself: a search by halves, which touches few blocks. */
export function unwindDataInMemory(memory: ImageMemory, image: PeImage): UnwindDataSource | undefined {
  const { exceptions } = image;
  if (exceptions === undefined) return undefined;
  const count = Math.min(Math.floor(exceptions.size / rowSize), mostRows);
  const rowAt = async (index: number): Promise<FunctionRow> => {
    const bytes = await memory.read(exceptions.rva + index * rowSize, rowSize);
    const view = new DataView(bytes.buffer, bytes.byteOffset, rowSize);
    return {
      begin: view.getUint32(0, true),
      end: view.getUint32(4, true),
      unwindInfo: view.getUint32(8, true),
    };
  };
  return {
    origin: 'memory',
    read: (rva, length) => memory.read(rva, length),
    async find(rva) {
      let low = 0;
      let high = count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((await rowAt(middle)).begin <= rva) low = middle + 1;
        else high = middle;
      }
      if (low === 0) return undefined;
      const row = await rowAt(low - 1);
      return rva < row.end ? row : undefined;
    },
  };
}
