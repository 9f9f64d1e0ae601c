/** Symbols of an image that has no PDB: its exports, bounded by its function table and by its sections. */

import type { ExportTable } from '../pe/exports';
import type { FunctionTable } from '../pe/functionTable';
import type { Section } from '../pe/headers';
import type { FoundSymbol, ImageSymbols, SourceFrame, SymbolAt } from './imageSymbols';
import { wildcard } from './wildcard';

export class ExportSymbols implements ImageSymbols {
  readonly quality = 'exports';
  /** In order of address; what is exported by ordinal only is called `Ordinal7`. */
  readonly #symbols: readonly { readonly name: string; readonly rva: number }[];

  /**
   * @param functions Without it (x86), an address belongs to the nearest export below it in its section.
   * @param sections Of the image.
   */
  constructor(
    table: ExportTable,
    private readonly functions: FunctionTable | undefined,
    private readonly sections: readonly Section[],
  ) {
    this.#symbols = table.symbols
      .filter(({ forwarder }) => forwarder === undefined)
      .map(({ name, ordinal, rva }) => ({ name: name ?? `Ordinal${ordinal}`, rva }))
      .sort((a, b) => a.rva - b.rva);
  }

  get settled(): boolean {
    return this.functions?.partial !== true;
  }

  symbolAt(rva: number): SymbolAt | undefined {
    const part = this.functions?.find(rva);
    const index = this.#before(part?.primary ?? rva);
    const found = this.#symbols[index];
    if (found === undefined) return undefined;
    // Inside a function only its own name will do; outside all of them, no name from beyond the last one.
    if (part !== undefined && found.rva !== part.primary) return undefined;
    if (part === undefined && found.rva !== rva) {
      // Who knows where functions end must say so; who knows only some of them cannot.
      if (this.functions?.partial === true || this.functions?.find(found.rva) !== undefined) return undefined;
      if (this.#sectionOf(found.rva) !== this.#sectionOf(rva)) return undefined;
    }
    return {
      name: found.name,
      rva: found.rva,
      displacement: rva - found.rva,
      size: undefined,
      kind: 'export',
      separated: part !== undefined && part.begin !== part.primary,
    };
  }

  framesAt(rva: number): SourceFrame[] {
    const symbol = this.symbolAt(rva);
    return symbol === undefined ? [] : [{ name: symbol.name, inlined: false, source: undefined }];
  }

  search(pattern: string, limit: number): FoundSymbol[] {
    const wanted = wildcard(pattern);
    return this.#symbols
      .filter(({ name }) => wanted.matches(name))
      .slice(0, limit)
      .map(({ name, rva }) => ({ name, kind: 'export', rva, type: 0 }));
  }

  #sectionOf(rva: number): Section | undefined {
    return this.sections.find((section) => rva >= section.rva && rva < section.rva + section.size);
  }

  #before(rva: number): number {
    let low = 0;
    let high = this.#symbols.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#symbols[middle]!.rva <= rva) low = middle + 1;
      else high = middle;
    }
    // Of several names for one place, the first.
    const found = this.#symbols[low - 1]?.rva;
    let index = low - 1;
    while (index > 0 && this.#symbols[index - 1]!.rva === found) index--;
    return index;
  }
}
