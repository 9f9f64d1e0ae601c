/**
 * The procedures of one module, by address. Scopes are jumped over when the table is made, and walked only when
 * somebody asks what is inside one.
 *
 *   module stream: u32 signature 4, symbol records, C11 lines, C13 lines, global references. Offsets in records count
 *   from the start of the stream, signature included; so do all offsets here.
 */

import { fileDamaged } from '../../core/byteSource';
import type { FileBytes } from '../fileBytes';
import { S, isProcedure, recordEnd } from './symbolKinds';

export interface Procedure {
  /** `separated`: code that the linker moved away from the function that it names. */
  readonly kind: 'procedure' | 'thunk' | 'separated';
  readonly name: string;
  readonly section: number;
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Of its record in the module's symbols, and of the record that ends its scope. */
  readonly symbolOffset: number;
  readonly endOffset: number;
  /** TPI index, or IPI for S_?PROC32_ID; 0 in stripped PDBs and where there is none. */
  readonly type: number;
  /** Where the function begins whose part this is; equals its own place unless separated. */
  readonly parent: { readonly section: number; readonly offset: number };
}

const signature = 4;

export class ModuleSymbols {
  readonly #bytes: FileBytes;
  readonly #sections: Uint16Array;
  readonly #offsets: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #records: Uint32Array;

  /** `bytes`: signature and symbol records. @throws file-damaged */
  constructor(bytes: FileBytes) {
    this.#bytes = bytes;
    const found: { section: number; offset: number; length: number; at: number }[] = [];
    if (bytes.length > 0 && bytes.u32(0) !== signature) {
      throw fileDamaged(bytes.name, `symbols of version ${bytes.u32(0)}`);
    }
    for (let at = 4; at + 4 <= bytes.length;) {
      const end = recordEnd(bytes, at);
      const place = placeOf(bytes, at);
      if (place !== undefined)
        found.push({ section: place.section, offset: place.offset, length: place.length, at });
      at = place === undefined ? end : endOfScope(bytes, at, end);
    }
    let sorted = true;
    for (let i = 1; i < found.length && sorted; i++) sorted = compare(found[i - 1]!, found[i]!) <= 0;
    if (!sorted) found.sort(compare);
    this.#sections = Uint16Array.from(found, ({ section }) => section);
    this.#offsets = Uint32Array.from(found, ({ offset }) => offset);
    this.#lengths = Uint32Array.from(found, ({ length }) => length);
    this.#records = Uint32Array.from(found, ({ at }) => at);
  }

  get count(): number {
    return this.#records.length;
  }

  /** In order of address. */
  procedure(index: number): Procedure {
    const bytes = this.#bytes;
    const at = this.#records[index]!;
    const end = recordEnd(bytes, at);
    const kind = bytes.u16(at + 2);
    const section = this.#sections[index]!;
    const offset = this.#offsets[index]!;
    // One object literal and no spreading: this is made for every address that is looked up.
    const make = (
      what: Procedure['kind'],
      name: string,
      type: number,
      parentSection: number,
      parentOffset: number,
    ): Procedure => ({
      kind: what,
      name,
      section,
      offset,
      length: this.#lengths[index]!,
      symbolOffset: at,
      endOffset: endOfScope(bytes, at, end),
      type,
      parent: { section: parentSection, offset: parentOffset },
    });
    if (kind === S.THUNK32) return make('thunk', bytes.string(at + 25, end), 0, section, offset);
    if (kind === S.SEPCODE) {
      const [parentSection, parentOffset] = [bytes.u16(at + 30), bytes.u32(at + 24)];
      return make('separated', this.#nameAt(parentSection, parentOffset), 0, parentSection, parentOffset);
    }
    return make('procedure', bytes.string(at + 39, end), bytes.u32(at + 28), section, offset);
  }

  /** The procedure whose record begins at an offset: what a global symbol refers to. */
  at(symbolOffset: number): Procedure | undefined {
    if (symbolOffset < signature || symbolOffset + 4 > this.#bytes.length) return undefined;
    const place = placeOf(this.#bytes, symbolOffset);
    if (place === undefined) return undefined;
    for (let i = this.#lastNotAbove(place.section, place.offset); i >= 0; i--) {
      if (this.#records[i] === symbolOffset) return this.procedure(i);
      if (this.#sections[i] !== place.section || this.#offsets[i] !== place.offset) return undefined;
    }
    return undefined;
  }

  /** The procedure that holds an address; the innermost, should they overlap. */
  find(section: number, offset: number): Procedure | undefined {
    // Identical code folding leaves several procedures at one address; the first one stands for all.
    for (let i = this.#lastNotAbove(section, offset), tries = 0; i >= 0 && tries < 64; i--, tries++) {
      if (this.#sections[i] !== section) return undefined;
      if (offset < this.#offsets[i]! + this.#lengths[i]!)
        return this.procedure(this.#firstOfPlace(i, offset));
    }
    return undefined;
  }

  #firstOfPlace(index: number, offset: number): number {
    let first = index;
    for (let i = index - 1; i >= 0; i--) {
      if (this.#sections[i] !== this.#sections[index] || this.#offsets[i] !== this.#offsets[index]) break;
      if (offset < this.#offsets[i]! + this.#lengths[i]!) first = i;
    }
    return first;
  }

  /** The name of a procedure by its start; a separated part's function is in the same module. */
  #nameAt(section: number, offset: number): string {
    for (let i = this.#lastNotAbove(section, offset); i >= 0; i--) {
      if (this.#sections[i] !== section || this.#offsets[i] !== offset) return '';
      if (this.#bytes.u16(this.#records[i]! + 2) !== S.SEPCODE) return this.procedure(i).name;
    }
    return '';
  }

  #lastNotAbove(section: number, offset: number): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.#sections[middle]!;
      if (found < section || (found === section && this.#offsets[middle]! <= offset)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

interface Place {
  readonly section: number;
  readonly offset: number;
}

const compare = (a: Place, b: Place): number => a.section - b.section || a.offset - b.offset;

/** Where the code of a record lies; undefined if it is no code. */
function placeOf(bytes: FileBytes, at: number): (Place & { readonly length: number }) | undefined {
  const kind = bytes.u16(at + 2);
  if (isProcedure(kind)) {
    return { section: bytes.u16(at + 36), offset: bytes.u32(at + 32), length: bytes.u32(at + 16) };
  }
  if (kind === S.THUNK32) {
    return { section: bytes.u16(at + 20), offset: bytes.u32(at + 16), length: bytes.u16(at + 22) };
  }
  if (kind === S.SEPCODE) {
    return { section: bytes.u16(at + 28), offset: bytes.u32(at + 20), length: bytes.u32(at + 12) };
  }
  return undefined;
}

/**
 * Where the record that ends the scope of the one at `at` begins. A scope that claims to end before its first record
 * or outside the symbols ends at once, at `end`: every walk goes forwards.
 */
export function endOfScope(bytes: FileBytes, at: number, end: number): number {
  const claimed = bytes.u32(at + 8);
  return claimed >= end && claimed < bytes.length ? claimed : end;
}
