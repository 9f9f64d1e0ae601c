/** Types by the names that people write: tags, typedefs, `struct` in front or not, wildcards. */

import type { Pdb } from '../pdb/pdb';
import type { TypeIndex } from '../types/records';
import { wildcard } from './wildcard';

export interface NamedType {
  readonly name: string;
  readonly type: TypeIndex;
}

/** All of that name, the best first: several where object files disagreed. Empty if there is none. */
export function findType(pdb: Pdb, text: string): NamedType[] {
  const name = text.replace(/^(struct|class|union|enum)\s+/, '').trim();
  const tags = pdb.types.find(name);
  if (tags.length > 0) return tags.map((type) => ({ name, type }));
  const typedef = pdb.globals.find(name).find(({ kind }) => kind === 'type');
  return typedef?.kind === 'type' ? [{ name, type: typedef.type }] : [];
}

/** Tags and typedefs that match, each name once, in alphabetical order. */
export function searchTypes(pdb: Pdb, pattern: string): NamedType[] {
  const { matches } = wildcard(pattern);
  const found = new Map<string, TypeIndex>();
  pdb.types.forEachTag((type, name) => {
    if (matches(name) && !found.has(name)) found.set(name, type);
  });
  for (const at of pdb.globals.offsets()) {
    const symbol = pdb.globals.at(at);
    if (symbol?.kind !== 'type' || found.has(symbol.name)) continue;
    if (matches(symbol.name)) found.set(symbol.name, symbol.type);
  }
  return [...found]
    .map(([name, type]) => ({ name, type }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
