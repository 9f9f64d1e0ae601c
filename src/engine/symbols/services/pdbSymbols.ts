/**
 * Symbols out of a PDB.
 *
 * Which name an address gets: that of the procedure of its module which holds it; else, in code, of the nearest public
 * that is code, but none from outside the function (RUNTIME_FUNCTION) or the linker's piece that the address is in;
 * else, in data, of the nearest data symbol in that piece. A name from beyond these bounds would be a lie.
 */

import { isHiddenLine } from '../pdb/c13';
import type { Contribution } from '../pdb/contributions';
import type { GlobalSymbol } from '../pdb/globals';
import type { ModuleInfo } from '../pdb/moduleInfo';
import type { Procedure } from '../pdb/moduleSymbols';
import type { Pdb } from '../pdb/pdb';
import type { PublicSymbol } from '../pdb/publics';
import type { SectionOffset } from '../pdb/sections';
import type { FunctionTable } from '../pe/functionTable';
import { functionName } from '../types/functionName';
import type { FoundSymbol, ImageSymbols, SourceFrame, SourceLine, SymbolAt } from './imageSymbols';
import { wildcard } from './wildcard';

/** What the PDB has at an address. */
interface Found {
  readonly rva: number;
  readonly place: SectionOffset;
  readonly piece: Contribution | undefined;
  readonly module: ModuleInfo | undefined;
  readonly procedure: Procedure | undefined;
}

export class PdbSymbols implements ImageSymbols {
  /** People ask for the name, the line and the frames of one address in turn. */
  #last: Found | undefined;

  /**
   * @param functions The image's function table; without it the PDB's own copy is used, if there is one.
   */
  constructor(
    readonly pdb: Pdb,
    private readonly functions: FunctionTable | undefined = pdb.functions,
  ) {}

  get quality(): 'private' | 'public' {
    return this.pdb.dbi.stripped ? 'public' : 'private';
  }

  get settled(): boolean {
    return this.functions?.partial !== true;
  }

  symbolAt(rva: number): SymbolAt | undefined {
    const found = this.#find(rva);
    if (found === undefined) return undefined;
    const { place, piece, procedure } = found;
    if (procedure !== undefined) return this.#procedureAt(procedure, rva);
    return this.pdb.sections.isCode(place.section)
      ? this.#codePublicAt(rva, piece)
      : this.#dataAt(rva, place, piece);
  }

  framesAt(rva: number): SourceFrame[] {
    const found = this.#find(rva);
    if (found === undefined) return [];
    const { place, module, procedure } = found;
    const frames: SourceFrame[] = [];
    if (module !== undefined && procedure !== undefined) {
      const offset = place.offset - procedure.offset;
      for (const site of module.inlineSites(procedure, offset)) {
        const row = site.rows.at(-1)!;
        const base = rva - offset;
        frames.push({
          name: this.#inlinedName(module, site.inlinee),
          inlined: true,
          source: this.#source(module, row, base, 0, true),
        });
      }
      frames.reverse();
    }
    const row = module?.line(place.section, place.offset);
    const source =
      module && row && this.#source(module, row, rva - place.offset, row.column, row.isStatement);
    const name = procedure?.name ?? this.symbolAt(rva)?.name;
    if (name !== undefined || source !== undefined) frames.push({ name, inlined: false, source });
    return frames;
  }

  search(pattern: string, limit: number): FoundSymbol[] {
    const wanted = wildcard(pattern);
    const { globals, publics } = this.pdb;
    const found = new Map<string, FoundSymbol>();
    const add = (symbol: FoundSymbol | undefined): void => {
      if (symbol !== undefined) found.set(`${symbol.rva} ${symbol.name}`, symbol);
    };
    // Globals after publics: where both know a name, the one with a type stays.
    if (wanted.plain === undefined) {
      for (const at of publics.offsets()) {
        const symbol = publics.at(at);
        if (symbol !== undefined && wanted.matches(symbol.name)) add(foundPublic(symbol));
      }
      for (const at of globals.offsets()) {
        const symbol = globals.at(at);
        if (symbol !== undefined && wanted.matches(symbol.name)) add(this.#foundGlobal(symbol));
      }
    } else {
      for (const symbol of publics.find(wanted.plain, wanted.matches)) add(foundPublic(symbol));
      for (const symbol of globals.find(wanted.plain, wanted.matches)) add(this.#foundGlobal(symbol));
    }
    return [...found.values()].sort((a, b) => a.rva - b.rva).slice(0, limit);
  }

  #find(rva: number): Found | undefined {
    if (this.#last?.rva === rva) return this.#last;
    const place = this.pdb.sections.placeOf(rva);
    if (place === undefined) return undefined;
    const piece = this.pdb.contributions.find(place.section, place.offset);
    const module = piece && this.pdb.module(piece.module);
    const procedure = module?.symbols.find(place.section, place.offset);
    this.#last = { rva, place, piece, module, procedure };
    return this.#last;
  }

  #inlinedName(module: ModuleInfo, inlinee: number): string | undefined {
    const id = this.pdb.globalIndex(module, inlinee);
    return id === undefined ? undefined : functionName(this.pdb.types, id);
  }

  #procedureAt(procedure: Procedure, rva: number): SymbolAt | undefined {
    const { sections } = this.pdb;
    const start = sections.rvaOf(procedure.parent.section, procedure.parent.offset);
    if (start === undefined) return undefined;
    const separated = procedure.kind === 'separated';
    const name = procedure.name === '' ? this.pdb.publics.before(start, true)?.name : procedure.name;
    if (name === undefined) return undefined;
    return {
      name,
      rva: start,
      displacement: rva - start,
      size: separated ? undefined : procedure.length,
      kind: procedure.kind === 'thunk' ? 'thunk' : 'procedure',
      separated,
    };
  }

  #codePublicAt(rva: number, piece: Contribution | undefined): SymbolAt | undefined {
    const part = this.functions?.find(rva);
    const separated = part !== undefined && part.begin !== part.primary;
    const symbol = this.pdb.publics.before(separated ? part.primary : rva, true);
    if (symbol?.rva === undefined) return undefined;
    const lowest = part?.primary ?? this.#startOf(piece);
    if (lowest === undefined || symbol.rva < lowest) return undefined;
    // A leaf function has no RUNTIME_FUNCTION, but its neighbours do: their names are not its own.
    if (part === undefined && this.functions?.find(symbol.rva) !== undefined) return undefined;
    return { ...named(symbol.name, symbol.rva, rva), kind: 'public', separated };
  }

  #dataAt(rva: number, place: SectionOffset, piece: Contribution | undefined): SymbolAt | undefined {
    const lowest = this.#startOf(piece) ?? this.pdb.sections.rvaOf(place.section, 0);
    if (lowest === undefined) return undefined;
    const data = this.pdb.globals.dataBefore(rva);
    const symbol = this.pdb.publics.before(rva, false);
    const dataRva = data?.rva ?? -1;
    const publicRva = symbol?.rva ?? -1;
    if (Math.max(dataRva, publicRva) < lowest) return undefined;
    return data !== undefined && dataRva >= publicRva
      ? { ...named(data.name, dataRva, rva), kind: 'data', separated: false }
      : { ...named(symbol!.name, publicRva, rva), kind: 'public', separated: false };
  }

  #startOf(piece: Contribution | undefined): number | undefined {
    return piece && this.pdb.sections.rvaOf(piece.section, piece.offset);
  }

  /** Made for every address that is looked up: no object is spread, for those outlive V8's young generation. */
  #source(
    module: ModuleInfo,
    row: Pick<SourceLine, 'line' | 'start' | 'end'> & { readonly file: number },
    base: number,
    column: number,
    isStatement: boolean,
  ): SourceLine | undefined {
    if (isHiddenLine(row.line)) return undefined;
    const path = this.pdb.strings?.at(module.c13.nameOffset(row.file));
    if (path === undefined) return undefined;
    return { path, line: row.line, column, isStatement, start: base + row.start, end: base + row.end };
  }

  #foundGlobal(symbol: GlobalSymbol): FoundSymbol | undefined {
    switch (symbol.kind) {
      case 'data':
        return symbol.rva === undefined
          ? undefined
          : { name: symbol.name, kind: 'data', rva: symbol.rva, type: symbol.type };
      case 'procedure': {
        const procedure = this.pdb.module(symbol.module)?.symbols.at(symbol.symbolOffset);
        const rva = procedure && this.pdb.sections.rvaOf(procedure.section, procedure.offset);
        return rva === undefined
          ? undefined
          : { name: symbol.name, kind: 'procedure', rva, type: procedure!.type };
      }
      case 'type':
      case 'constant':
        return undefined;
    }
  }
}

const foundPublic = ({ name, rva }: PublicSymbol): FoundSymbol | undefined =>
  rva === undefined ? undefined : { name, kind: 'public', rva, type: 0 };

const named = (
  name: string,
  symbolRva: number,
  rva: number,
): Pick<SymbolAt, 'name' | 'rva' | 'displacement' | 'size'> => ({
  name,
  rva: symbolRva,
  displacement: rva - symbolRva,
  size: undefined,
});
