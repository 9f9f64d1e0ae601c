/**
 * Symbols of a whole kernel: its modules in order of address, each with what serves it, and the questions that go to
 * all of them.
 *
 *   `nt!KeBugCheckEx+0x12`   the kernel is called `nt`, whatever its file is; others by file name without the ending
 *
 * Questions are answered at once, from what is loaded; only `load` and what it says of itself wait for anything.
 */

import { plus, type VirtualAddress } from '../core/addresses';
import type { VirtualMemory } from '../memory/virtualMemory';
import type { FoundSymbol, SourceFrame, SymbolAt } from '../symbols/services/imageSymbols';
import {
  findLine,
  linesWithCode,
  type LineCode,
  type LineMatch,
  type LineQuery,
} from '../symbols/services/sourceLines';
import { undecorateName } from '../symbols/undecorate';
import { moduleNameOf } from '../symbols/services/moduleName';
import { wildcard } from '../symbols/services/wildcard';
import type { SymbolStore } from '../symbols/store/symbolStore';
import type { LoadedModule } from './modules';
import { ModuleSymbols } from './moduleSymbols';

export interface NamedAddress {
  readonly module: ModuleSymbols;
  /** Of `module`'s base. */
  readonly rva: number;
  /** Undefined: nothing loaded knows it. */
  readonly symbol: SymbolAt | undefined;
}

export interface FoundInModule extends FoundSymbol {
  readonly module: ModuleSymbols;
  readonly address: VirtualAddress;
}

export interface LineInModule extends Omit<LineMatch, 'code'> {
  readonly module: ModuleSymbols;
  readonly code: readonly (LineCode & { readonly address: VirtualAddress })[];
}

export interface KernelSymbolsOptions {
  /** Of the target; asked only while it is stopped. */
  readonly memory: VirtualMemory;
  readonly store: SymbolStore;
  /** Told when the symbols of a module change their state. */
  readonly onState?: (module: ModuleSymbols) => void;
}

const mostFound = 100_000;
/** Addresses whose answers are kept. */
const mostKept = 4096;
const mostNested = 8;

export class KernelSymbols {
  /** In order of address. */
  #modules: readonly ModuleSymbols[] = [];
  #generation = 0;
  /** Answers of one generation: a stack has the same callers at each stop, and loops come to the same code. */
  readonly #names = new Map<VirtualAddress, NamedAddress>();
  readonly #frames = new Map<VirtualAddress, readonly SourceFrame[]>();
  #keptOf = 0;

  constructor(private readonly options: KernelSymbolsOptions) {}

  /** Counts what changed: an answer that was given under another number may be another now. */
  get generation(): number {
    return this.#generation;
  }

  get modules(): readonly ModuleSymbols[] {
    return this.#modules;
  }

  /**
   * Takes the loader's list: the kernel first. Modules that stayed keep their symbols.
   * @returns Those that are new, and those that went (their files are closed).
   */
  update(loaded: readonly LoadedModule[]): { added: ModuleSymbols[]; removed: ModuleSymbols[] } {
    const before = new Map(this.#modules.map((module) => [keyOf(module.module), module]));
    const added: ModuleSymbols[] = [];
    const taken = new Set<string>();
    const nameFor = (module: LoadedModule, i: number): string => {
      const name = i === 0 ? 'nt' : moduleNameOf(module.name);
      // As WinDbg tells namesakes apart; the kernel comes first.
      const isFree = !taken.has(name.toLowerCase());
      return isFree ? name : `${name}_${module.base.toString(16)}`;
    };
    const now = loaded.map((module, i) => {
      const known = before.get(keyOf(module));
      if (known !== undefined) {
        before.delete(keyOf(module));
        taken.add(known.alias.toLowerCase());
        return known;
      }
      const { memory, store, onState } = this.options;
      const made = new ModuleSymbols(module, nameFor(module, i), memory, store, (m) => {
        this.#generation++;
        onState?.(m);
      });
      taken.add(made.alias.toLowerCase());
      added.push(made);
      return made;
    });
    this.#modules = now.sort((a, b) => (a.base < b.base ? -1 : a.base > b.base ? 1 : 0));
    const removed = [...before.values()];
    if (added.length + removed.length > 0) this.#generation++;
    for (const module of removed) module.close();
    return { added, removed };
  }

  /** Forgets a module that was unloaded, or the kernel with all of them: another may come to the same place. */
  forget(base?: VirtualAddress): void {
    const gone = this.#modules.filter((module) => base === undefined || module.base === base);
    this.#modules = this.#modules.filter((module) => !gone.includes(module));
    this.#generation++;
    for (const module of gone) module.close();
  }

  moduleAt(address: VirtualAddress): ModuleSymbols | undefined {
    let low = 0;
    let high = this.#modules.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#modules[middle]!.base <= address) low = middle + 1;
      else high = middle;
    }
    // The nearest below, mostly; a hostile list may have modules inside others.
    for (let i = low - 1; i >= 0 && i > low - 1 - mostNested; i--) {
      const found = this.#modules[i]!;
      if (address - found.base < BigInt(found.module.size)) return found;
    }
    return undefined;
  }

  /** By `nt`, file name, or file name without the ending; letters in either case. */
  moduleNamed(name: string): ModuleSymbols | undefined {
    const wanted = name.toLowerCase();
    return (
      this.#modules.find((module) => module.alias.toLowerCase() === wanted) ??
      this.#modules.find(
        ({ module }) => module.name.toLowerCase() === wanted || stemOf(module.name).toLowerCase() === wanted,
      )
    );
  }

  /** Which module and symbol an address belongs to. Undefined: no module is there. */
  at(address: VirtualAddress): NamedAddress | undefined {
    return this.#once(this.#names, address, (module, rva) => ({
      module,
      rva,
      symbol: module.ask((symbols) => symbols.symbolAt(rva), undefined),
    }));
  }

  /** `nt!KeBugCheckEx+0x12`, `nt+0x1234` without a symbol; undefined if no module is there. */
  nameOf(address: VirtualAddress): string | undefined {
    const found = this.at(address);
    return found && nameText(found);
  }

  /** Source lines and inlined functions, innermost first. Give a return address minus 1. */
  framesAt(address: VirtualAddress): readonly SourceFrame[] {
    const ask = (module: ModuleSymbols, rva: number): readonly SourceFrame[] =>
      module.ask((symbols) => symbols.framesAt(rva), []);
    return this.#once(this.#frames, address, ask) ?? [];
  }

  /** Undefined: no module is there. */
  #once<T>(
    answers: Map<VirtualAddress, T>,
    address: VirtualAddress,
    ask: (module: ModuleSymbols, rva: number) => T,
  ): T | undefined {
    if (this.#keptOf !== this.#generation) {
      this.#names.clear();
      this.#frames.clear();
      this.#keptOf = this.#generation;
    }
    const kept = answers.get(address);
    if (kept !== undefined) return kept;
    const module = this.moduleAt(address);
    if (module === undefined) return undefined;
    const answer = ask(module, Number(address - module.base));
    // Damage shows when a PDB is asked: then this is another generation already.
    if (module.symbols?.settled === true && this.#keptOf === this.#generation) {
      if (answers.size >= mostKept) answers.clear();
      answers.set(address, answer);
    }
    return answer;
  }

  /** `Mm*` in all modules, `nt!Mm*`, `*!Driver?ntry`; in order of module and address, at most `limit`. */
  search(pattern: string, limit: number): FoundInModule[] {
    const bang = pattern.indexOf('!');
    const wanted = wildcard(bang < 0 ? '*' : pattern.slice(0, bang));
    const name = pattern.slice(bang + 1);
    const found: FoundInModule[] = [];
    for (const module of this.#modules) {
      const { alias, symbols } = module;
      if (symbols === undefined || !(wanted.matches(alias) || wanted.matches(module.module.name))) continue;
      const most = Math.min(limit, mostFound) - found.length;
      for (const symbol of module.ask((asked) => asked.search(name, most), [])) {
        found.push({ ...symbol, module, address: plus(module.base, symbol.rva) });
      }
      if (found.length >= limit) break;
    }
    return found;
  }

  /** All lines of a file that have code, by its path in the PDBs, each with where its code begins. */
  linesWithCode(path: string): Map<number, VirtualAddress[]> {
    const lines = new Map<number, VirtualAddress[]>();
    for (const module of this.#modules) {
      const { pdb, base } = module;
      if (pdb === undefined) continue;
      for (const [line, rvas] of module.ask(() => linesWithCode(pdb, path), new Map<number, number[]>())) {
        const addresses = rvas.map((rva) => plus(base, rva));
        lines.set(line, [...(lines.get(line) ?? []), ...addresses]);
      }
    }
    return lines;
  }

  /** Code of a source line in all modules whose PDBs know the file. */
  findLine(query: LineQuery): LineInModule[] {
    return this.#modules.flatMap((module) => {
      const { pdb, base } = module;
      if (pdb === undefined) return [];
      return module
        .ask(() => findLine(pdb, query), [])
        .map((match) => ({
          ...match,
          module,
          code: match.code.map((code) => ({ ...code, address: plus(base, code.rva) })),
        }));
    });
  }
}

/** `nt!KeBugCheckEx+0x12`. */
export function nameText({ module, rva, symbol }: NamedAddress): string {
  if (symbol === undefined) return `${module.alias}+0x${rva.toString(16)}`;
  const { displacement } = symbol;
  const name = undecorateName(symbol.name);
  const sign = displacement < 0 ? '-' : '+';
  const offset = displacement === 0 ? '' : `${sign}0x${Math.abs(displacement).toString(16)}`;
  return `${module.alias}!${name}${offset}`;
}

const stemOf = (name: string): string => name.replace(/\.[^.]*$/, '');
const keyOf = ({ base, size, name, entry }: LoadedModule): string => `${base} ${size} ${entry} ${name}`;
