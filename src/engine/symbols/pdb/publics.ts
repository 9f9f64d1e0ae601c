/**
 * Public symbols: names that the linker saw, with addresses and without types. A stripped PDB has little else.
 *
 *   publics stream: 00 u32 bytes of the hash table  04 u32 bytes of the address map  08 thunks …  1c hash table,
 *     then the address map: offsets of symbol records, u32 each, in order of section:offset
 */

import type { FileBytes } from '../fileBytes';
import { GsiHash } from './gsiHash';
import type { SectionMap } from './sections';
import { S, boundedRecords, recordEnd } from './symbolKinds';

export interface PublicSymbol {
  readonly name: string;
  /** 1-based. */
  readonly section: number;
  readonly offset: number;
  /** Undefined if its section is not in the image: an absolute symbol. */
  readonly rva: number | undefined;
  /** 1 code, 2 function, 4 managed, 8 MSIL. */
  readonly flags: number;
}

/** Code or function: only those name code, for string literals and tables in code sections are publics too. */
export const isCodePublic = (flags: number): boolean => (flags & 3) !== 0;

const headerSize = 28;

export class Publics {
  /** How many there are. */
  readonly count: number;
  readonly #records: FileBytes;
  readonly #sections: SectionMap;
  readonly #hash: GsiHash;
  readonly #addressMap: FileBytes;
  #eights: number[] | undefined;
  #code: PublicIndex | undefined;
  #data: PublicIndex | undefined;

  /** `stream` is the publics stream, `records` the symbol records. @throws file-damaged */
  constructor(stream: FileBytes, records: FileBytes, sections: SectionMap) {
    const hashBytes = stream.u32(0);
    this.#hash = new GsiHash(stream.part(headerSize, hashBytes));
    this.#addressMap = stream.part(headerSize + hashBytes, stream.u32(4));
    this.count = this.#addressMap.length >> 2;
    this.#records = records;
    this.#sections = sections;
  }

  /** Those of this name; by default exactly, or as `matches` has it (the hash does not tell case). */
  find(name: string, matches = (found: string): boolean => found === name): PublicSymbol[] {
    const found: PublicSymbol[] = [];
    const candidates = name.length === 8 ? this.#ofLength8() : this.#hash.candidates(name);
    for (const at of boundedRecords(this.#records, candidates)) {
      const symbol = this.at(at);
      if (symbol !== undefined && matches(symbol.name)) found.push(symbol);
    }
    return found;
  }

  /**
   * lld 14 puts many names of eight characters into wrong buckets: they have no NUL in an object file, and it hashes
   * what follows too. So these few are looked for one by one.
   */
  #ofLength8(): readonly number[] {
    this.#eights ??= [...this.offsets()].filter((at) => {
      const length = this.#records.u16(at) - 12;
      return length >= 9 && length < 13 && this.#records.endOfString(at + 14) === at + 22;
    });
    return this.#eights;
  }

  /** Offsets of all records, in order of section:offset. */
  offsets(): Iterable<number> {
    return boundedRecords(this.#records, this.#mapped());
  }

  *#mapped(): Iterable<number> {
    for (let i = 0; i < this.count; i++) yield this.#addressMap.u32(i * 4);
  }

  /** The record at an offset; undefined if it is no public. */
  at(offset: number): PublicSymbol | undefined {
    const records = this.#records;
    const end = recordEnd(records, offset);
    if (records.u16(offset + 2) !== S.PUB32 || end < offset + 14) return undefined;
    const section = records.u16(offset + 12);
    const place = records.u32(offset + 8);
    return {
      name: records.string(offset + 14, end),
      section,
      offset: place,
      rva: this.#sections.rvaOf(section, place),
      flags: records.u32(offset + 4),
    };
  }

  /** The last public at or below an RVA, of code or of everything else. */
  before(rva: number, code: boolean): PublicSymbol | undefined {
    const at = (code ? this.#codeIndex : this.#dataIndex).before(rva);
    return at === undefined ? undefined : this.at(at);
  }

  get #codeIndex(): PublicIndex {
    if (this.#code === undefined) this.#index();
    return this.#code!;
  }

  get #dataIndex(): PublicIndex {
    if (this.#data === undefined) this.#index();
    return this.#data!;
  }

  #index(): void {
    const records = this.#records;
    const code = new PublicIndex(this.count);
    const data = new PublicIndex(this.count);
    for (let i = 0; i < this.count; i++) {
      const at = this.#addressMap.u32(i * 4);
      if (records.u16(at + 2) !== S.PUB32) continue;
      const rva = this.#sections.rvaOf(records.u16(at + 12), records.u32(at + 8));
      if (rva !== undefined) (isCodePublic(records.u32(at + 4)) ? code : data).add(rva, at);
    }
    this.#code = code.finish();
    this.#data = data.finish();
  }
}

/** RVAs in order, each with the offset of its record. */
class PublicIndex {
  #rvas: Uint32Array;
  #records: Uint32Array;
  #count = 0;
  #sorted = true;

  constructor(capacity: number) {
    this.#rvas = new Uint32Array(capacity);
    this.#records = new Uint32Array(capacity);
  }

  add(rva: number, record: number): void {
    if (this.#count > 0 && rva < this.#rvas[this.#count - 1]!) this.#sorted = false;
    this.#rvas[this.#count] = rva;
    this.#records[this.#count++] = record;
  }

  finish(): this {
    this.#rvas = this.#rvas.slice(0, this.#count);
    this.#records = this.#records.slice(0, this.#count);
    if (!this.#sorted) {
      // Only after an OMAP, or in a damaged file.
      const [rvas, records] = [this.#rvas, this.#records];
      const order = Uint32Array.from(rvas, (_, i) => i).sort((a, b) => rvas[a]! - rvas[b]! || a - b);
      this.#rvas = order.map((i) => rvas[i]!);
      this.#records = order.map((i) => records[i]!);
    }
    return this;
  }

  /** The record of the greatest RVA that is not above; of several there, the first. */
  before(rva: number): number | undefined {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#rvas[middle]! <= rva) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const found = this.#rvas[low - 1]!;
    let first = low - 1;
    while (first > 0 && this.#rvas[first - 1] === found) first--;
    return this.#records[first];
  }
}
