/**
 * Decorated (mangled) C++ names of MSVC and its kin, made readable: `?f@A@@QEAAXH@Z` → `public: void __cdecl A::f(int)`.
 *
 * A name that is not decorated, is damaged, or says more than 512 KiB of text is returned as it is: names come from
 * images and PDBs, and a debugger shows what it cannot explain. Nothing throws.
 *
 *   names.ts    scopes, templates, operators        types.ts      types and functions
 *   symbols.ts  whole names, tables, thunks         printer.ts    the tree as text
 *   reader.ts   the bounds: depth, nodes, text      stringLiteral.ts   ??_C@…
 *
 * Source of truth: llvm-undname, except where it knows less than MSVC (undecorate.test.ts lists the differences).
 */

import type { SymbolNode } from './undecorate/ast';
import { writeSymbol, writeSymbolName, writeType } from './undecorate/printer';
import { longestName, notDecorated, Reader } from './undecorate/reader';
import { readSymbol, readTypeDescriptorName } from './undecorate/symbols';

/** The whole declaration: access, types, calling convention, parameters. Else the name itself. */
export function undecorate(name: string): string {
  return attempt(name, writeSymbol);
}

/** Scopes and name alone, `A::f`, as stacks and symbol lists show it. Else the name itself. */
export function undecorateName(name: string): string {
  return attempt(name, writeSymbolName);
}

/** `.?AV…` and `?AV…`, the unique names of types, as `class a::b`. Else the name itself. */
export function undecorateTypeName(name: string): string {
  return attempt(name.startsWith('?A') ? `.${name}` : name, (symbol, reader) =>
    symbol.kind === 'variable' && symbol.type ? writeType(symbol.type, reader) : name,
  );
}

function attempt(name: string, write: (symbol: SymbolNode, reader: Reader) => string): string {
  const lead = name.charAt(0);
  if ((lead !== '?' && lead !== '.') || name.length > longestName) return name;
  const reader = new Reader(withoutModuleHash(name));
  try {
    const symbol = lead === '.' ? readTypeDescriptorName(reader) : readSymbol(reader);
    return reader.left > 0 ? name : write(symbol, reader);
  } catch (error) {
    if (error === notDecorated) return name;
    throw error;
  }
}

/** MSVC sets the unique names of types local to a file apart by eight hex digits behind a back quote. */
const withoutModuleHash = (name: string): string => name.replace(/`[0-9a-f]{8}$/, '');
