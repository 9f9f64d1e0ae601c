/**
 * What symbols can tell about an image, whoever knows it: a PDB, or the image's own exports. All addresses are RVAs.
 * Nothing here reads a target, downloads, or waits.
 */

export interface SymbolAt {
  readonly name: string;
  /** Where the symbol begins. */
  readonly rva: number;
  /** The address asked for minus `rva`. Negative in code that was moved in front of its function. */
  readonly displacement: number;
  /** Bytes, if known. */
  readonly size: number | undefined;
  readonly kind: SymbolKind;
  /** The address lies in a part that the linker moved away from the function. */
  readonly separated: boolean;
}

/** `public` and `export` are names without types; of data as well as of code. */
export type SymbolKind = 'procedure' | 'thunk' | 'data' | 'public' | 'export';

export interface SourceLine {
  /** As in the PDB: of the machine that built it. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 if there are no columns. */
  readonly column: number;
  readonly isStatement: boolean;
  /** The code of this row: [start, end), in the address order of one function. */
  readonly start: number;
  readonly end: number;
}

/** One frame of those that share an address: inlined functions, innermost first, then the procedure itself. */
export interface SourceFrame {
  /** Undefined if nothing is known but the line. */
  readonly name: string | undefined;
  readonly inlined: boolean;
  readonly source: SourceLine | undefined;
}

export interface FoundSymbol {
  readonly name: string;
  readonly kind: SymbolKind;
  readonly rva: number;
  /** TPI index (IPI for a procedure), 0 if there is none. */
  readonly type: number;
}

export interface ImageSymbols {
  /** How much there is: `private` has types, lines and locals; `public` names; `exports` only what is exported. */
  readonly quality: 'private' | 'public' | 'exports';
  /** What is answered now will be answered always: nothing that is yet to be found out bounds its names. */
  readonly settled: boolean;
  /** The symbol that an address belongs to. Undefined rather than a guess. */
  symbolAt(rva: number): SymbolAt | undefined;
  /** Innermost first; empty if nothing is known. Give a return address minus 1. */
  framesAt(rva: number): SourceFrame[];
  /**
   * By name; `*` and `?` stand for any characters, letters match in either case. In order of address.
   * At most `limit`.
   */
  search(pattern: string, limit: number): FoundSymbol[];
}
