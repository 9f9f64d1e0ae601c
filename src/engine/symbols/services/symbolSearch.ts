/** Symbols by wildcard as a person wants to see them: in order of address, each once, and how many there are in all. */

import { undecorateName } from '../undecorate';
import type { FoundSymbol, ImageSymbols } from './imageSymbols';

export interface SymbolSearch {
  /** In order of address, then name. */
  readonly symbols: readonly FoundSymbol[];
  /** How many there would be without a limit. */
  readonly total: number;
}

/** A public is left out where a symbol with a type stands at the same place under the same name, undecorated. */
export function searchSymbols(symbols: ImageSymbols, pattern: string, limit: number): SymbolSearch {
  const found = symbols.search(pattern, Infinity);
  const typed = new Set<string>();
  for (const { kind, rva, name } of found) if (kind !== 'public') typed.add(`${rva} ${bare(name)}`);
  const shown = found
    .filter(
      ({ kind, rva, name }) =>
        kind !== 'public' || !sourceNames(name).some((source) => typed.has(`${rva} ${bare(source)}`)),
    )
    .sort((a, b) => a.rva - b.rva || (a.name < b.name ? -1 : 1));
  return { symbols: shown.slice(0, limit), total: shown.length };
}

/** What a decorated name may be called in the source: C++, and C on x86 (`_f`, `_f@8`, `@f@8`). */
const sourceNames = (name: string): string[] => [
  undecorateName(name),
  name.replace(/^[_@](.+?)(@\d+)?$/, '$1'),
];

/** Compilers write `A<B>` where decorated names say `A<struct B>`, and set blanks as they like. */
const bare = (name: string): string => name.replace(/\b(struct|class|union|enum) |\s+/g, '');
