/**
 * .pdata: where functions begin and end, as the linker told the exception dispatcher. Symbols are bounded by it: an
 * address outside the function that a symbol begins is not “symbol+5649”.
 *
 *   x64 RUNTIME_FUNCTION (12): u32 begin, end, unwind info (bit 0: of another RUNTIME_FUNCTION instead)
 *       UNWIND_INFO: 0 version:3 flags:5 (4: chained)  1 SizeOfProlog  2 number of u16 codes  4 codes, padded to even,
 *       then, if chained, the RUNTIME_FUNCTION of the part that this one belongs to
 *   arm64 (8): u32 begin; u32 either an .xdata RVA (low 2 bits 0; its first 18 bits: length / 4),
 *       or packed: bits 2–12 length / 4
 *
 * Source: learn.microsoft.com/cpp/build/exception-handling-x64 and arm64-exception-handling.
 * Invariants: a chain is followed at most 32 times; entries that are out of order are never found, never harmful.
 */

import type { ByteSource } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';
import { machines } from './headers';

export interface FunctionPart {
  /** RVAs: [begin, end). */
  readonly begin: number;
  readonly end: number;
  /** Where the function begins whose part this is: `begin` itself unless it is chained. */
  readonly primary: number;
  /** The third (on arm64, the second) word of its row. */
  readonly unwindInfo: number;
  /** From `primary` on: where its prolog has done its work. 0 if that is not known (arm64). */
  readonly prologBytes: number;
}

export interface FunctionTable {
  /** It knows only some functions: what it does not find may be one all the same. */
  readonly partial?: boolean;
  readonly count: number;
  /** The part that holds an RVA. Undefined: no function with unwind data does (a leaf, or no code). */
  find(rva: number): FunctionPart | undefined;
  /** All parts of the function that begins there, in order of address. Reads the whole table. */
  parts(primary: number): FunctionPart[];
}

const longestChain = 32;
const chained = 4;

/**
 * @param pdata The bytes of the exception directory.
 * @param xdata Reads by RVA; where it throws, a chain ends and a length is 0.
 */
export function functionTable(
  machine: number,
  pdata: FileBytes,
  xdata: Pick<ByteSource, 'read'>,
): FunctionTable | undefined {
  if (machine === machines.x64) return new X64Table(pdata, xdata);
  if (machine === machines.arm64) return new Arm64Table(pdata, xdata);
  return undefined;
}

class X64Table implements FunctionTable {
  readonly count: number;

  constructor(
    private readonly pdata: FileBytes,
    private readonly xdata: Pick<ByteSource, 'read'>,
  ) {
    this.count = Math.floor(pdata.length / 12);
  }

  find(rva: number): FunctionPart | undefined {
    const index = lastNotAbove(this.pdata, 12, this.count, rva);
    return index < 0 || rva >= this.pdata.u32(index * 12 + 4) ? undefined : this.#part(index);
  }

  parts(primary: number): FunctionPart[] {
    return Array.from({ length: this.count }, (_, i) => this.#part(i)).filter((p) => p.primary === primary);
  }

  #part(index: number): FunctionPart {
    const at = index * 12;
    const begin = this.pdata.u32(at);
    let primary = begin;
    const unwindInfo = this.pdata.u32(at + 8);
    let info = unwindInfo;
    let prologBytes = 0;
    try {
      for (let i = 0; i < longestChain; i++) {
        const parent = this.#parent(info);
        if (typeof parent === 'number') {
          prologBytes = parent;
          break;
        }
        [primary, info] = parent;
      }
    } catch {
      // What cannot be read ends the chain.
    }
    return { begin, end: this.pdata.u32(at + 4), primary, prologBytes, unwindInfo };
  }

  /** What a description continues, or, if it stands for itself, its SizeOfProlog. */
  #parent(info: number): [begin: number, unwind: number] | number {
    if ((info & 1) === 1) return runtimeFunction(this.xdata.read(info - 1, 12));
    const head = this.xdata.read(info, 4);
    if (((head[0]! >> 3) & chained) === 0) return head[1]!;
    return runtimeFunction(this.xdata.read(info + 4 + ((head[2]! + 1) & ~1) * 2, 12));
  }
}

class Arm64Table implements FunctionTable {
  readonly count: number;

  constructor(
    private readonly pdata: FileBytes,
    private readonly xdata: Pick<ByteSource, 'read'>,
  ) {
    this.count = pdata.length >> 3;
  }

  find(rva: number): FunctionPart | undefined {
    const at = lastNotAbove(this.pdata, 8, this.count, rva) * 8;
    if (at < 0) return undefined;
    const begin = this.pdata.u32(at);
    const data = this.pdata.u32(at + 4);
    const end = begin + ((data & 3) === 0 ? this.#length(data) : ((data >> 2) & 0x7ff) * 4);
    return rva < end ? { begin, end, primary: begin, prologBytes: 0, unwindInfo: data } : undefined;
  }

  parts(primary: number): FunctionPart[] {
    const part = this.find(primary);
    return part?.begin === primary ? [part] : [];
  }

  #length(info: number): number {
    try {
      const head = this.xdata.read(info, 4);
      return (head[0]! | (head[1]! << 8) | ((head[2]! & 3) << 16)) * 4;
    } catch {
      return 0;
    }
  }
}

function runtimeFunction(bytes: Uint8Array): [begin: number, unwind: number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 12);
  return [view.getUint32(0, true), view.getUint32(8, true)];
}

/** The last of `count` entries, sorted by their first u32, that is not above `key`; -1 if all are. */
function lastNotAbove(table: FileBytes, stride: number, count: number, key: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (table.u32(middle * stride) <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
