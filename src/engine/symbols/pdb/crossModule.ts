/**
 * Indices of types and functions that a module takes from another one. Microsoft's link-time code generation leaves
 * them in symbols and lines, in place of indices into TPI and IPI.
 *
 *   index    31 set   30–20 which imported module   19–0 which of the indices taken from it
 *   imports  {u32 name of the module in /names, u32 n, n × u32 index as the other module has it}, one a module
 *   exports  {u32 index as this module has it, bit 31 set if it is a function's; u32 index into IPI, else into TPI}
 *
 * Source: LLVM, DebugInfo/CodeView (CrossModuleImports, CrossModuleExports); how the parts of an index lie was found in
 * the PDBs of node-pty.
 */

import type { FileBytes } from '../fileBytes';

export const isImported = (index: number): boolean => index >= 0x8000_0000;

export interface ImportedIndex {
  /** Offset of the other module's name in `/names`. */
  readonly moduleName: number;
  /** As the other module has it. */
  readonly index: number;
}

export class CrossModule {
  #exported: ReadonlyMap<number, number> | undefined;

  /** The two subsections of a module; empty if it has none. */
  constructor(
    private readonly imports: FileBytes,
    private readonly exports: FileBytes,
  ) {}

  /** Where an index comes from; undefined if this module takes none of that number. @throws file-damaged */
  imported(index: number): ImportedIndex | undefined {
    const { imports } = this;
    let modules = (index >>> 20) & 0x7ff;
    const wanted = index & 0xf_ffff;
    for (let at = 0; at + 8 <= imports.length; at += 8 + imports.u32(at + 4) * 4) {
      if (modules-- > 0) continue;
      if (wanted >= imports.u32(at + 4)) return undefined;
      return { moduleName: imports.u32(at), index: imports.u32(at + 8 + wanted * 4) };
    }
    return undefined;
  }

  /** The index into TPI or IPI of one that others take from this module. */
  exported(index: number): number | undefined {
    return (this.#exported ??= this.#readExports()).get(index);
  }

  #readExports(): ReadonlyMap<number, number> {
    const found = new Map<number, number>();
    for (let at = 0; at + 8 <= this.exports.length; at += 8)
      found.set(this.exports.u32(at), this.exports.u32(at + 4));
    return found;
  }
}
