/**
 * The export table: the only names of an image without a PDB.
 *
 *   export directory (40): 10 ordinal base  14 functions  18 names  1c rva of function rvas  20 rva of name rvas
 *       24 rva of u16 indices into the functions, one a name
 *
 * A function RVA inside the directory itself is a forwarder: the text “NTDLL.RtlAllocateHeap”.
 * Where pages are absent, what lies on them is left out; names that cannot be read are counted.
 */

import { fileDamaged } from '../../core/byteSource';
import { VmkdError } from '../../core/errors';
import { layout, u32 } from '../../core/layout';
import { FileBytes } from '../fileBytes';
import type { PeImage } from './headers';
import type { ImageParser } from './reading';

export interface ExportedSymbol {
  /** Undefined if it is exported by ordinal only. */
  readonly name: string | undefined;
  readonly ordinal: number;
  /** 0 if it is forwarded. */
  readonly rva: number;
  /** `NTDLL.RtlAllocateHeap`. */
  readonly forwarder: string | undefined;
}

export interface ExportTable {
  readonly symbols: readonly ExportedSymbol[];
  /** How many could not be had because their pages are absent. */
  readonly unreadable: number;
}

const exportDirectory = layout(40, {
  ordinalBase: [0x10, u32],
  functionCount: [0x14, u32],
  nameCount: [0x18, u32],
  functions: [0x1c, u32],
  names: [0x20, u32],
  ordinals: [0x24, u32],
});

const mostExports = 65536;
const longestName = 512;
const page = 4096;
/** Tables and names of 20,000 exports; ntoskrnl has some 3,000. */
const longestRead = 1 << 21;

/** `name` is what errors call the image. @throws file-damaged; what the reader throws if even the header is absent. */
export function* parseExports(image: PeImage, name: string): ImageParser<ExportTable> {
  if (image.exports === undefined) return { symbols: [], unreadable: 0 };
  const { rva, size } = image.exports;
  if (size < exportDirectory.size) throw fileDamaged(name, `an export directory of ${size} bytes`);
  const table = exportDirectory.read(yield { rva, length: exportDirectory.size });
  const { nameCount, functionCount } = table;
  if (nameCount > mostExports || functionCount > mostExports) {
    throw fileDamaged(name, `it claims ${nameCount} exported names of ${functionCount} functions`);
  }
  // One read for all, for linkers put tables and names inside the directory.
  const directory = yield* patch(rva, Math.min(size, longestRead), name);
  const part = function* (at: number, length: number): ImageParser<Patch> {
    const inside = at >= rva && at + length <= rva + directory.data.length;
    return inside ? directory.part(at - rva, length) : yield* patch(at, length, name);
  };
  const functions = yield* part(table.functions, functionCount * 4);
  const names = yield* part(table.names, nameCount * 4);
  const ordinals = yield* part(table.ordinals, nameCount * 2);

  let unreadable = 0;
  const textAt = (at: number): string | undefined => directory.text(at - rva);
  const symbols: ExportedSymbol[] = [];
  const add = (index: number, symbolName: string | undefined): void => {
    const target = functions.u32(index * 4);
    if (target === undefined) unreadable++;
    else if (target >= rva && target < rva + size) {
      const forwarder = textAt(target);
      if (forwarder === undefined) unreadable++;
      else symbols.push({ name: symbolName, ordinal: table.ordinalBase + index, rva: 0, forwarder });
    } else if (target !== 0 && target < image.sizeOfImage) {
      symbols.push({
        name: symbolName,
        ordinal: table.ordinalBase + index,
        rva: target,
        forwarder: undefined,
      });
    }
  };
  const named = new Uint8Array(functionCount);
  for (let i = 0; i < nameCount; i++) {
    const index = ordinals.u16(i * 2);
    const nameRva = names.u32(i * 4);
    const text = nameRva === undefined ? undefined : textAt(nameRva);
    if (index === undefined || text === undefined) unreadable++;
    else if (index < functionCount) {
      named[index] = 1;
      add(index, text);
    }
  }
  for (let index = 0; index < functionCount; index++) if (named[index] === 0) add(index, undefined);
  return { symbols, unreadable };
}

/** Bytes of which some pages may be absent. */
class Patch {
  constructor(
    readonly data: FileBytes,
    /** Which bytes are there; undefined: all. */
    private readonly present: Uint8Array | undefined,
  ) {}

  part(at: number, length: number): Patch {
    return new Patch(this.data.part(at, length), this.present?.subarray(at, at + length));
  }

  u16(at: number): number | undefined {
    return this.#has(at, 2) ? this.data.u16(at) : undefined;
  }

  u32(at: number): number | undefined {
    return this.#has(at, 4) ? this.data.u32(at) : undefined;
  }

  text(at: number): string | undefined {
    if (!(at >= 0 && at < this.data.length)) return undefined;
    const end = this.data.endOfString(at, at + longestName);
    // With the NUL: a name that runs into an absent page has no end.
    return this.#has(at, Math.min(end + 1, this.data.length) - at) ? this.data.string(at, end) : undefined;
  }

  #has(at: number, length: number): boolean {
    if (this.present === undefined) return true;
    for (let i = at; i < at + length; i++) if (this.present[i] === 0) return false;
    return true;
  }
}

/** Reads a range in one go, or page by page if some of it is absent. */
function* patch(rva: number, length: number, name: string): ImageParser<Patch> {
  try {
    return new Patch(new FileBytes(yield { rva, length }, name), undefined);
  } catch (error) {
    if (!(error instanceof VmkdError && error.code === 'memory-unreadable')) throw error;
  }
  const bytes = new Uint8Array(length);
  const present = new Uint8Array(length);
  for (let at = rva; at < rva + length;) {
    const end = Math.min(rva + length, (Math.floor(at / page) + 1) * page);
    try {
      bytes.set(yield { rva: at, length: end - at }, at - rva);
      present.fill(1, at - rva, end - rva);
    } catch (error) {
      if (!(error instanceof VmkdError && error.code === 'memory-unreadable')) throw error;
    }
    at = end;
  }
  return new Patch(new FileBytes(bytes, name), present);
}
