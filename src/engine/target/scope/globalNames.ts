/**
 * Names that belong to no frame: globals, functions, constants and types, of one module or of the first that has them. A
 * module whose symbols are not loaded says so: showing a value never loads them.
 */

import { plus, type VirtualAddress } from '../../core/addresses';
import type { Meaning, TypeMeaning } from '../../expr/context';
import { typeOf, type Type } from '../../expr/types/type';
import { inMemory } from '../../expr/values/place';
import type { GlobalSymbol } from '../../symbols/pdb/globals';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { ModuleSymbols } from '../../windows/moduleSymbols';

export class GlobalNames {
  constructor(private readonly symbols: KernelSymbols) {}

  /**
   * @param near The module to ask first; then the kernel, then all others.
   * @param code An address in the object file whose statics are meant where several have the name.
   */
  symbol(
    module: string | undefined,
    name: string,
    near: ModuleSymbols | undefined,
    code: VirtualAddress | undefined,
  ): Meaning | undefined {
    return this.#first(module, near, (one) => symbolOf(one, name, one === near ? code : undefined));
  }

  type(module: string | undefined, name: string, near: ModuleSymbols | undefined): TypeMeaning | undefined {
    let incomplete: TypeMeaning | undefined;
    const found = this.#first(module, near, (one) => {
      const type = typeNamed(one, name);
      if (type === undefined) return undefined;
      const meaning = { kind: 'type', type } as const;
      if (!(type.kind === 'struct' && type.incomplete)) return meaning;
      incomplete ??= meaning;
      return undefined;
    });
    return found?.kind === 'type' ? found : (incomplete ?? found);
  }

  #first<M>(
    module: string | undefined,
    near: ModuleSymbols | undefined,
    ask: (module: ModuleSymbols) => M | undefined,
  ): M | { readonly kind: 'symbols-not-loaded'; readonly module: string } | undefined {
    let unloaded: ModuleSymbols | undefined;
    for (const one of this.#inOrder(module, near)) {
      const found = ask(one);
      if (found !== undefined) return found;
      if (one.state.kind === 'unloaded' || one.state.kind === 'loading') unloaded ??= one;
    }
    return unloaded && { kind: 'symbols-not-loaded', module: unloaded.alias };
  }

  #inOrder(name: string | undefined, near: ModuleSymbols | undefined): readonly ModuleSymbols[] {
    if (name !== undefined) {
      const module = this.symbols.moduleNamed(name);
      return module === undefined ? [] : [module];
    }
    const kernel = this.symbols.moduleNamed('nt');
    const first = [near, kernel].filter((module) => module !== undefined);
    return [...new Set([...first, ...this.symbols.modules])];
  }
}

function symbolOf(
  module: ModuleSymbols,
  name: string,
  code: VirtualAddress | undefined,
): Meaning | undefined {
  const { pdb } = module;
  if (pdb === undefined) {
    const exported = module.symbols?.search(name, 2).find((symbol) => symbol.name === name);
    return exported && { kind: 'untyped', address: plus(module.base, exported.rva) };
  }
  const found = pdb.globals.find(name);
  const chosen = nearest(module, found, code);
  const meaning = chosen && meaningOf(module, chosen);
  if (meaning !== undefined) return meaning;
  const [known] = pdb.publics.find(name, (candidate) => candidate === name);
  if (known?.rva === undefined) return undefined;
  const address = plus(module.base, known.rva);
  const place = pdb.sections.placeOf(known.rva);
  return place !== undefined && pdb.sections.isCode(place.section)
    ? { kind: 'function', address, type: undefined }
    : { kind: 'untyped', address };
}

/** Of several statics of one name, that of the same object file. */
function nearest(
  module: ModuleSymbols,
  found: readonly GlobalSymbol[],
  code: VirtualAddress | undefined,
): GlobalSymbol | undefined {
  const values = found.filter(({ kind }) => kind !== 'type');
  if (values.length < 2 || code === undefined) return values[0];
  const own = pieceOf(module, Number(code - module.base));
  return (
    values.find((symbol) => {
      if (symbol.kind === 'procedure') return symbol.module === own;
      return symbol.kind === 'data' && symbol.rva !== undefined && pieceOf(module, symbol.rva) === own;
    }) ?? values[0]
  );
}

function pieceOf({ pdb }: ModuleSymbols, rva: number): number | undefined {
  const place = pdb?.sections.placeOf(rva);
  return place && pdb?.contributions.find(place.section, place.offset)?.module;
}

function meaningOf(module: ModuleSymbols, symbol: GlobalSymbol): Meaning | undefined {
  const { pdb, base } = module;
  if (pdb === undefined) return undefined;
  switch (symbol.kind) {
    case 'data': {
      if (symbol.rva === undefined) {
        const reason = 'thread-local: there is one for each thread';
        return {
          kind: 'variable',
          type: typeIn(module, symbol.type),
          locate: () => ({ kind: 'unavailable', reason }),
        };
      }
      const place = inMemory(plus(base, symbol.rva));
      return { kind: 'variable', type: typeIn(module, symbol.type), locate: () => place };
    }
    case 'procedure': {
      const procedure = pdb.module(symbol.module)?.symbols.at(symbol.symbolOffset);
      const rva = procedure && pdb.sections.rvaOf(procedure.section, procedure.offset);
      if (procedure === undefined || rva === undefined) return undefined;
      return { kind: 'function', address: plus(base, rva), type: functionTypeOf(module, procedure.type) };
    }
    case 'constant':
      return { kind: 'constant', type: typeIn(module, symbol.type), value: symbol.value };
    case 'type':
      return undefined;
  }
}

/** Linkers leave the type itself; object files have an id of the function that has it. */
function functionTypeOf(module: ModuleSymbols, type: number): Type | undefined {
  const { types } = module;
  if (types === undefined || type === 0) return undefined;
  const own = typeIn(module, type);
  if (own.kind === 'function') return own;
  const id = types.id(type);
  const found =
    id?.kind === 'functionId' || id?.kind === 'memberFunctionId' ? typeIn(module, id.type) : undefined;
  return found?.kind === 'function' ? found : undefined;
}

function typeNamed(module: ModuleSymbols, name: string): Type | undefined {
  const { types, pdb } = module;
  if (types === undefined || pdb === undefined) return undefined;
  const [tag] = types.find(name);
  if (tag !== undefined) return typeIn(module, tag);
  const alias = pdb.globals.find(name).find(({ kind }) => kind === 'type');
  return alias?.kind === 'type' ? typeIn(module, alias.type) : undefined;
}

/** A type of a module's own table. */
export function typeIn(module: ModuleSymbols, index: number): Type {
  const { types, alias } = module;
  if (types === undefined) throw new Error(`${alias} has no types`);
  return typeOf({ types, index, module: alias });
}
