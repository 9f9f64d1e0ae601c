/**
 * Global symbols: procedures (as references into their modules), data, names of types, constants. Found by name
 * through their hash table; they have no table of addresses.
 */

import type { FileBytes } from '../fileBytes';
import { GsiHash } from './gsiHash';
import type { SectionMap } from './sections';
import { S, boundedRecords, recordEnd } from './symbolKinds';

export type GlobalSymbol =
  | {
      readonly kind: 'procedure';
      readonly name: string;
      /** Not exported from its object file: `static`. */
      readonly local: boolean;
      /** 0-based. */
      readonly module: number;
      /** Of its record in the module's symbols. */
      readonly symbolOffset: number;
    }
  | {
      readonly kind: 'data';
      readonly name: string;
      readonly local: boolean;
      readonly threadLocal: boolean;
      /** TPI index. */
      readonly type: number;
      readonly section: number;
      readonly offset: number;
      /** Undefined for thread-local data, whose offset is into the thread's block. */
      readonly rva: number | undefined;
    }
  | { readonly kind: 'type'; readonly name: string; readonly type: number }
  | { readonly kind: 'constant'; readonly name: string; readonly type: number; readonly value: bigint };

export class Globals {
  readonly count: number;
  readonly #records: FileBytes;
  readonly #sections: SectionMap;
  readonly #hash: GsiHash;
  #data: { readonly rvas: Uint32Array; readonly records: Uint32Array } | undefined;

  /** `stream` is the globals stream, `records` the symbol records. @throws file-damaged */
  constructor(stream: FileBytes, records: FileBytes, sections: SectionMap) {
    this.#hash = new GsiHash(stream);
    this.count = this.#hash.count;
    this.#records = records;
    this.#sections = sections;
  }

  /** Those of this name; by default exactly, or as `matches` has it (the hash does not tell case). */
  find(name: string, matches = (found: string): boolean => found === name): GlobalSymbol[] {
    const found: GlobalSymbol[] = [];
    for (const at of boundedRecords(this.#records, this.#hash.candidates(name))) {
      const symbol = this.at(at);
      if (symbol !== undefined && matches(symbol.name)) found.push(symbol);
    }
    return found;
  }

  /** Offsets of all records, in no useful order. */
  offsets(): Iterable<number> {
    return boundedRecords(this.#records, this.#hash.offsets());
  }

  /** The record at an offset; undefined if it is of a kind that nobody needs. */
  at(offset: number): GlobalSymbol | undefined {
    const records = this.#records;
    const end = recordEnd(records, offset);
    const kind = records.u16(offset + 2);
    switch (kind) {
      case S.PROCREF:
      case S.LPROCREF:
        return {
          kind: 'procedure',
          name: records.string(offset + 14, end),
          local: kind === S.LPROCREF,
          module: records.u16(offset + 12) - 1,
          symbolOffset: records.u32(offset + 8),
        };
      case S.GDATA32:
      case S.LDATA32:
      case S.GTHREAD32:
      case S.LTHREAD32: {
        const threadLocal = kind === S.GTHREAD32 || kind === S.LTHREAD32;
        const section = records.u16(offset + 12);
        const place = records.u32(offset + 8);
        return {
          kind: 'data',
          name: records.string(offset + 14, end),
          local: kind === S.LDATA32 || kind === S.LTHREAD32,
          threadLocal,
          type: records.u32(offset + 4),
          section,
          offset: place,
          rva: threadLocal ? undefined : this.#sections.rvaOf(section, place),
        };
      }
      case S.UDT:
        return { kind: 'type', name: records.string(offset + 8, end), type: records.u32(offset + 4) };
      case S.CONSTANT: {
        const { value, size } = numericLeaf(records, offset + 8);
        const name = records.string(offset + 8 + size, end);
        return { kind: 'constant', name, type: records.u32(offset + 4), value };
      }
      default:
        return undefined;
    }
  }

  /** The last data symbol at or below an RVA. */
  dataBefore(rva: number): (GlobalSymbol & { kind: 'data' }) | undefined {
    const { rvas, records } = (this.#data ??= this.#dataIndex());
    let low = 0;
    let high = rvas.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rvas[middle]! <= rva) low = middle + 1;
      else high = middle;
    }
    const symbol = low === 0 ? undefined : this.at(records[low - 1]!);
    return symbol?.kind === 'data' ? symbol : undefined;
  }

  /** All data, in order of address. */
  *data(): Generator<GlobalSymbol & { kind: 'data' }> {
    for (const record of (this.#data ??= this.#dataIndex()).records) {
      const symbol = this.at(record);
      if (symbol?.kind === 'data') yield symbol;
    }
  }

  #dataIndex(): { rvas: Uint32Array; records: Uint32Array } {
    const found: { rva: number; record: number }[] = [];
    for (const record of this.offsets()) {
      const kind = this.#records.u16(record + 2);
      if (kind !== S.GDATA32 && kind !== S.LDATA32) continue;
      const rva = this.#sections.rvaOf(this.#records.u16(record + 12), this.#records.u32(record + 8));
      if (rva !== undefined) found.push({ rva, record });
    }
    found.sort((a, b) => a.rva - b.rva);
    return {
      rvas: Uint32Array.from(found, ({ rva }) => rva),
      records: Uint32Array.from(found, ({ record }) => record),
    };
  }
}

/** Bytes of the number behind each kind of numeric leaf; negative: it is signed. */
const leafSizes: Readonly<Record<number, number>> = {
  0x8000: -1,
  0x8001: -2,
  0x8002: 2,
  0x8003: -4,
  0x8004: 4,
  0x8009: -8,
  0x800a: 8,
};

/** A number: u16, or u16 kind ≥ 8000h and the number. `size` is that of the whole. */
function numericLeaf(bytes: FileBytes, at: number): { value: bigint; size: number } {
  const leaf = bytes.u16(at);
  if (leaf < 0x8000) return { value: BigInt(leaf), size: 2 };
  const kind = leafSizes[leaf] ?? 0;
  const size = Math.abs(kind);
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes.u8(at + 2 + i));
  return { value: kind < 0 ? BigInt.asIntN(size * 8, value) : value, size: 2 + size };
}
