// How long a type takes by name: its record found, its layout made. Used by the bench of symbols.

import { openFileSource } from '../../src/engine/core/byteSource';
import { Pdb } from '../../src/engine/symbols/pdb/pdb';
import { layoutOf } from '../../src/engine/symbols/types/structLayout';
import type { TypeTable } from '../../src/engine/symbols/types/typeTable';

/**
 * Milliseconds from an opened PDB to the layout of a type by its name, all its members' definitions included. To be
 * called first in a process of its own: the second call finds compiled code.
 */
export function coldTypeMs(path: string, name: string): number {
  const file = openFileSource(path);
  try {
    const pdb = new Pdb(file);
    const start = performance.now();
    const types = pdb.types;
    lookUp(types, name);
    return performance.now() - start;
  } finally {
    file.close();
  }
}

/** Microseconds for one look-up of a type that was looked up before, over the types of a PDB in turn, at most 1,000. */
export function warmTypeUs(path: string): number {
  const file = openFileSource(path);
  try {
    const pdb = new Pdb(file);
    const types = pdb.types;
    const names = new Set<string>();
    types.forEachTag((index, name) => {
      const known = types.tag(index);
      if (names.size < 1000 && known?.kind !== 'enum' && types.find(name).includes(index)) names.add(name);
    });
    for (const name of names) lookUp(types, name);
    const rounds = 20;
    const start = performance.now();
    for (let i = 0; i < rounds; i++) for (const name of names) lookUp(types, name);
    return ((performance.now() - start) * 1000) / (rounds * names.size);
  } finally {
    file.close();
  }
}

function lookUp(types: TypeTable, name: string): void {
  const found = types.find(name)[0];
  if (found === undefined || !layoutOf(types, found)) throw new Error(`There is no type ${name}`);
}
